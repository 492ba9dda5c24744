//! From nothing to a line that is logged in, and a mail over it. lettre talks; how far it came is ours to know.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter, ServerInfo};
use lettre::transport::smtp::response::{Response, Severity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::{Security, Server};
use super::wire::Wire;
use super::{Credential, Unfit};
use crate::compose::Letter;
use connector::secret::{Given, Secret};

/// How far a try has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Waiting,
    Connecting,
    Greeting,
    LoggingIn,
    /// From here on it is this mail that is spoken of.
    Announcing,
    /// The server has asked for the mail. How much of it was written, lettre does not tell.
    Sending,
}

impl Step {
    pub(super) fn words(self) -> &'static str {
        match self {
            Step::Waiting => "waiting for a free line",
            Step::Connecting => "connecting",
            Step::Greeting => "greeting the server",
            Step::LoggingIn => "logging in",
            Step::Announcing => "announcing the mail",
            Step::Sending => "sending the mail",
        }
    }
}

/// Why a line is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It broke, or we do not go on whatever the server would do.
    #[error("{0}")]
    Broken(String),
    /// It answered as the protocol allows, but not as it must for us to go on.
    #[error("the server refuses: {0}")]
    Refused(Reply),
    /// This mail can never go over this server.
    #[error("{0}")]
    Never(&'static str),
}

/// What a server answered; for a person, code and text on one line.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    text: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        let text = response.message().collect::<Vec<_>>().join(" ");
        Self { code: response.code().into(), text }
    }
}

impl From<smtp::Error> for Fault {
    fn from(error: smtp::Error) -> Self {
        match error.status() {
            Some(code) => {
                let text = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Self::Refused(Reply { code: code.into(), text })
            }
            None => Self::Broken(error.to_string()),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// lettre has 3xx pass for a yes wherever it comes.
fn positive(response: Response) -> Result<Response, Fault> {
    let completed = response.code().severity == Severity::PositiveCompletion;
    if completed { Ok(response) } else { Err(Fault::Refused(response.into())) }
}

/// The way to one server.
pub(super) struct Way {
    server: Server,
    login: Option<(String, Credential)>,
    hello: ClientId,
    tls: TlsConnector,
    name: ServerName<'static>,
    /// With one address of it.
    patience: Duration,
}

/// A line that is logged in and waits for the next mail.
pub(super) struct Line {
    connection: AsyncSmtpConnection,
}

impl Way {
    pub(super) fn new(
        server: Server,
        login: Option<(String, Credential)>,
        hello: String,
        ca: Option<&[u8]>,
        patience: Duration,
    ) -> Result<Self, Unfit> {
        let name = ServerName::try_from(server.host.clone()).map_err(|_| Unfit {
            part: "smtp",
            sentence: "its host is neither a name nor an address".to_owned(),
        })?;
        let tls = trusting(ca).map_err(|sentence| Unfit { part: "ca", sentence })?;
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self { server, login, hello: ClientId::Domain(hello), tls, name, patience })
    }

    /// A line, logged in.
    pub(super) async fn open(&self, step: &mut Step) -> Result<Line, Fault> {
        *step = Step::Connecting;
        let stream = self.connect().await?;
        let wire: Box<dyn AsyncTokioStream> = match self.server.security {
            Security::Loopback => Box::new(Wire::new(stream)),
            Security::Tls => Box::new(Wire::new(self.secured(stream).await?)),
            Security::StartTls => {
                *step = Step::Greeting;
                let stream = self.starttls(stream).await?;
                Box::new(Wire::greeted(self.secured(stream).await?))
            }
        };
        *step = Step::Greeting;
        let mut connection = AsyncSmtpConnection::connect_with_transport(wire, &self.hello).await?;
        if let Some((user, credential)) = &self.login {
            *step = Step::LoggingIn;
            login(&mut connection, user, credential).await?;
        }
        Ok(Line { connection })
    }

    /// Asks for TLS (RFC 3207). Not by lettre, which would take what was said in clear for an answer under
    /// TLS.
    async fn starttls(&self, stream: TcpStream) -> Result<TcpStream, Fault> {
        let mut clear = Wire::new(stream);
        positive(clear.reply().await?)?;
        let hello = positive(clear.ask(Ehlo::new(self.hello.clone())).await?)?;
        if !ServerInfo::from_response(&hello)?.supports_feature(Extension::StartTls) {
            let sentence = "the server, or somebody between, offers no STARTTLS";
            return Err(Fault::Broken(sentence.to_owned()));
        }
        positive(clear.ask(Starttls).await?)?;
        Ok(clear.into_stream()?)
    }

    async fn secured(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let secured = self.tls.connect(self.name.clone(), stream).await;
        secured.map_err(|error| Fault::Broken(format!("the line cannot be secured: {error}")))
    }

    /// To the first address of the server that answers.
    async fn connect(&self) -> Result<TcpStream, Fault> {
        let Server { host, port, security, .. } = &self.server;
        let mut last = None;
        for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
            if *security == Security::Loopback && !address.ip().is_loopback() {
                continue;
            }
            match timeout(self.patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // The end of a mail is a small write after a large one.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(error.to_string()),
                Err(_) => last = Some("the server cannot be reached".to_owned()),
            }
        }
        Err(Fault::Broken(last.unwrap_or_else(|| "the server's name has no address".to_owned())))
    }
}

/// AUTH (RFC 4954) by the best way the server offers.
async fn login(
    connection: &mut AsyncSmtpConnection,
    user: &str,
    credential: &Credential,
) -> Result<(), Fault> {
    let (given, mechanisms, refusal) = match credential {
        Credential::Password(given) => {
            (given, DEFAULT_MECHANISMS, "the server takes no password (AUTH PLAIN or LOGIN)")
        }
        Credential::Token(given) => {
            (given, &[Mechanism::Xoauth2][..], "the server takes no token (AUTH XOAUTH2)")
        }
    };
    let secret = read(given.clone()).await?;
    if connection.server_info().get_auth_mechanism(mechanisms).is_none() {
        return Err(Fault::Broken(refusal.to_owned()));
    }
    let credentials = Credentials::new(user.to_owned(), secret.expose_text().to_owned());
    let response = match connection.auth(mechanisms, &credentials).await {
        // lettre has no answer to a challenge. Why a token is refused is in one, and only after an empty
        // answer the server says so with a code.
        Err(error) if error.is_client() && mechanisms == [Mechanism::Xoauth2] => {
            connection.command("\r\n").await?
        }
        response => response?,
    };
    positive(response).map(|_| ())
}

async fn read(given: Given) -> Result<Secret, Fault> {
    let read = tokio::task::spawn_blocking(move || given.read()).await.map_err(io::Error::other)?;
    read.map_err(|error| Fault::Broken(format!("the file with the secret cannot be read: {error}")))
}

impl Line {
    pub(super) async fn announce(&mut self, letter: &Letter) -> Result<(), Fault> {
        let mut parameters = Vec::new();
        if letter.needs_utf8 {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let sentence = "the server cannot send to an address that is not ASCII (SMTPUTF8)";
                return Err(Fault::Never(sentence));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mail = Mail::new(Some(letter.from.clone()), parameters);
        positive(self.connection.command(mail).await?).map(|_| ())
    }

    pub(super) async fn send(&mut self, letter: &Letter, step: &mut Step) -> Result<Reply, Fault> {
        positive(self.connection.command(Rcpt::new(letter.to.clone(), Vec::new())).await?)?;
        let go_ahead = self.connection.command(Data).await?;
        if !go_ahead.has_code(354) {
            return Err(Fault::Refused(go_ahead.into()));
        }
        *step = Step::Sending;
        // lettre ends the last line itself.
        let mail = letter.bytes.strip_suffix(b"\r\n").unwrap_or(&letter.bytes);
        Ok(positive(self.connection.message(mail).await?)?.into())
    }

    /// A farewell, if it can be said at once: nothing may wait for it.
    pub(super) fn bye(mut self) {
        _ = self.connection.quit().now_or_never();
    }
}

/// Whom we trust: the certificates in `ca` (PEM), or the public authorities.
pub(crate) fn trusting(ca: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for one in CertificateDer::pem_slice_iter(pem) {
                let one = one.map_err(|error| format!("it is no PEM: {error}"))?;
                roots.add(one).map_err(|error| format!("a certificate in it is of no use: {error}"))?;
            }
            if roots.is_empty() {
                return Err("it holds no certificate".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
