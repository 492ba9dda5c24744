//! From nothing to a line that is logged in, and a mail over it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dialogue::{Dialogue, Fault, Offers, Proof, Reply, Stream};
use super::server::{Security, Server};
use super::{Credential, Unfit};
use crate::compose::Letter;
use crate::secret::{Given, Secret};

/// How far a try has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Waiting,
    Connecting,
    Greeting,
    LoggingIn,
    /// From here on it is this mail that is spoken of.
    Announcing,
    Sending,
    /// The end of the mail was written, or may have been.
    Ended,
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
            Step::Ended => "waiting for the server to confirm the mail",
        }
    }
}

/// The way to one server.
pub(super) struct Way {
    server: Server,
    login: Option<(String, Credential)>,
    hello: String,
    tls: TlsConnector,
    name: ServerName<'static>,
    /// With one address of it.
    patience: Duration,
}

/// A line that is logged in and waits for the next mail.
pub(super) struct Line {
    dialogue: Dialogue<Box<dyn Stream>>,
    offers: Offers,
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
        Ok(Self { server, login, hello, tls, name, patience })
    }

    /// A line, logged in.
    pub(super) async fn open(&self, step: &mut Step) -> Result<Line, Fault> {
        *step = Step::Connecting;
        let stream = self.connect().await?;
        let stream: Box<dyn Stream> = match self.server.security {
            Security::Loopback => Box::new(stream),
            Security::Tls => Box::new(self.secured(stream).await?),
            Security::StartTls => {
                *step = Step::Greeting;
                let mut clear = Dialogue::new(stream);
                clear.greeting().await?;
                if !clear.hello(&self.hello).await?.starttls {
                    let sentence = "the server, or somebody between, offers no STARTTLS";
                    return Err(Fault::Unwilling(sentence.to_owned()));
                }
                clear.starttls().await?;
                Box::new(self.secured(clear.into_stream()?).await?)
            }
        };
        *step = Step::Greeting;
        let mut dialogue = Dialogue::new(stream);
        if self.server.security != Security::StartTls {
            dialogue.greeting().await?;
        }
        let offers = dialogue.hello(&self.hello).await?;
        *step = Step::LoggingIn;
        if let Some((user, credential)) = &self.login {
            let (Credential::Password(given) | Credential::Token(given)) = credential;
            let secret = read(given.clone()).await?;
            let proof = match credential {
                Credential::Password(_) => Proof::Password(secret.expose()),
                Credential::Token(_) => Proof::Token(secret.expose()),
            };
            dialogue.login(&offers, user, &proof).await?;
        }
        Ok(Line { dialogue, offers })
    }

    async fn secured(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let secured = self.tls.connect(self.name.clone(), stream).await;
        secured.map_err(|error| Fault::Unwilling(format!("the line cannot be secured: {error}")))
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
                Ok(Err(error)) => last = Some(Fault::Lost(error)),
                Err(_) => last = Some(Fault::Unwilling("the server cannot be reached".to_owned())),
            }
        }
        Err(last.unwrap_or_else(|| Fault::Unwilling("the server's name has no address".to_owned())))
    }
}

impl Line {
    pub(super) async fn announce(&mut self, letter: &Letter) -> Result<(), Fault> {
        if letter.needs_utf8 && !self.offers.utf8 {
            return Err(Fault::Never("the server cannot send to an address that is not ASCII (SMTPUTF8)"));
        }
        self.dialogue.mail(&letter.from, letter.needs_utf8).await
    }

    /// A farewell.
    pub(super) async fn bye(&mut self) -> Result<(), Fault> {
        self.dialogue.bye().await
    }

    pub(super) async fn send(&mut self, letter: &Letter, step: &mut Step) -> Result<Reply, Fault> {
        self.dialogue.rcpt(&letter.to).await?;
        self.dialogue.data().await?;
        *step = Step::Sending;
        self.dialogue.body(&letter.bytes).await?;
        *step = Step::Ended;
        self.dialogue.end().await
    }
}

async fn read(given: Given) -> Result<Secret, Fault> {
    let read = tokio::task::spawn_blocking(move || given.read()).await.map_err(std::io::Error::other)?;
    read.map_err(|error| Fault::Unwilling(format!("the file with the secret cannot be read: {error}")))
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

#[cfg(test)]
mod tests {
    use contact::ReplyFate;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::fate_of_break;
    use super::*;

    /// How far a mail comes with a server that answers what is before it, takes `takes` bytes of it, and
    /// then hangs up.
    async fn sent_to(takes: usize) -> (Step, Result<Reply, Fault>) {
        let letter = Letter {
            message_id: "a@desk.example".to_owned(),
            from: "help@desk.example".to_owned(),
            to: "olena@client.example".to_owned(),
            bytes: b"Subject: x\r\n\r\n".iter().chain(&[b'a'; 900]).copied().collect(),
            needs_utf8: false,
        };
        // Less than the mail: what is not read cannot be written.
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut line = Line { dialogue: Dialogue::new(Box::new(ours)), offers: Offers::default() };
        let mut step = Step::Announcing;
        let server = async move {
            for (asks, answer) in
                [("RCPT TO:<olena@client.example>\r\n", "250 ok\r\n"), ("DATA\r\n", "354 go\r\n")]
            {
                theirs.read_exact(&mut vec![0; asks.len()]).await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
            }
            theirs.read_exact(&mut vec![0; takes]).await.unwrap();
        };
        let (ended, ()) = tokio::join!(line.send(&letter, &mut step), server);
        (step, ended)
    }

    #[tokio::test]
    async fn a_line_that_breaks_within_the_mail_is_deferred_and_at_its_end_uncertain() {
        let whole = b"Subject: x\r\n\r\n".len() + 900 + b"\r\n.\r\n".len();
        for (takes, fate) in [
            (0, ReplyFate::Deferred),
            (500, ReplyFate::Deferred),
            (whole - 3 - 64 - 1, ReplyFate::Deferred),
            (whole - 3, ReplyFate::Uncertain),
            (whole, ReplyFate::Uncertain),
        ] {
            let (step, ended) = sent_to(takes).await;
            assert!(matches!(ended, Err(Fault::Lost(_) | Fault::HungUp)), "{takes}: {ended:?}");
            assert_eq!(fate_of_break(step), fate, "{takes} bytes");
        }
    }
}
