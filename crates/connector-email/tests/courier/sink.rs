//! A mail server in this process that fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_email::testing::Identity;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What it does instead of going on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// These bytes; then it goes on as if they were its usual answer.
    Says(&'static str),
    /// Nothing, for ever; not even reading.
    Hangs,
    Closes,
    /// A reply that never ends, a byte at a time.
    Trickles,
    /// As many bytes as are taken, and no line end.
    Floods,
}

/// What it does at a step (`greeting`, the verb of a command, `mail` in its first line, `.` after it) of
/// the n-th connection, from 1.
type Script = Arc<dyn Fn(usize, &str) -> Option<Does> + Send + Sync>;

pub(crate) struct Sink {
    pub(crate) port: u16,
    seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    lines: Mutex<Vec<String>>,
    mails: Mutex<Vec<String>>,
    /// The steps at which the script was followed instead of the usual.
    surprises: Mutex<Vec<String>>,
}

impl Sink {
    /// In clear.
    pub(crate) fn clear(script: impl Fn(usize, &str) -> Option<Does> + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(script), Begin::Clear)
    }

    /// TLS from the first byte.
    pub(crate) fn tls(identity: &Identity) -> Self {
        Self::start(Arc::new(|_, _| None), Begin::Tls(acceptor(identity)))
    }

    /// STARTTLS.
    pub(crate) fn starttls(
        identity: &Identity,
        script: impl Fn(usize, &str) -> Option<Does> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(script), Begin::StartTls(acceptor(identity)))
    }

    fn start(script: Script, begin: Begin) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let mut serving = JoinSet::new();
        let (all, begin) = (seen.clone(), Arc::new(begin));
        serving.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = all.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (seen, script, begin) = (all.clone(), script.clone(), begin.clone());
                lines.spawn(async move {
                    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_open.fetch_max(open, Ordering::SeqCst);
                    serve(stream, number, &script, &begin, &seen).await.ok();
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, seen, _serving: serving }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    /// Every line it was sent, but those of mails.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.lines.lock().unwrap().clone()
    }

    /// Whether it did something unusual at this step.
    pub(crate) fn came_to(&self, step: &str) -> bool {
        self.seen.surprises.lock().unwrap().iter().any(|at| at == step)
    }

    /// Every mail it was sent to its end, whatever it said then.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.mails.lock().unwrap().clone()
    }
}

/// How a server begins.
enum Begin {
    Clear,
    Tls(TlsAcceptor),
    StartTls(TlsAcceptor),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Line<'a> {
    stream: Box<dyn Stream>,
    number: usize,
    script: &'a Script,
    seen: &'a Seen,
}

impl Line<'_> {
    /// What the script wants at a step, or the usual answer. `false` when the line is over.
    async fn at(&mut self, step: &str, usual: &str) -> std::io::Result<bool> {
        let does = (self.script)(self.number, step);
        if does.is_some() {
            self.seen.surprises.lock().unwrap().push(step.to_owned());
        }
        match does {
            None => self.stream.write_all(usual.as_bytes()).await?,
            Some(Does::Says(words)) => self.stream.write_all(words.as_bytes()).await?,
            Some(Does::Closes) => return Ok(false),
            Some(Does::Hangs) => std::future::pending().await,
            Some(Does::Floods) => loop {
                self.stream.write_all(&[b'x'; 4096]).await?;
            },
            Some(Does::Trickles) => loop {
                self.stream.write_all(b"250-still here\r\n").await?;
                self.stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
        }
        self.stream.flush().await?;
        Ok(true)
    }

    async fn read(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            // Byte by byte: what follows may be another protocol.
            let byte = self.stream.read_u8().await?;
            line.push(byte);
            if byte == b'\n' {
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    number: usize,
    script: &Script,
    begin: &Begin,
    seen: &Seen,
) -> std::io::Result<()> {
    let stream: Box<dyn Stream> = match begin {
        Begin::Tls(acceptor) => Box::new(acceptor.accept(stream).await?),
        Begin::Clear | Begin::StartTls(_) => Box::new(stream),
    };
    let mut starttls = if let Begin::StartTls(acceptor) = begin { Some(acceptor) } else { None };
    let mut line = Line { stream, number, script, seen };
    let mut go_on = line.at("greeting", "220 sink ready\r\n").await?;
    while go_on {
        let words = line.read().await?;
        seen.lines.lock().unwrap().push(words.trim_end().to_owned());
        let verb = words.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let offers = "250-sink\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250-SIZE 1000\r\n";
        go_on = match (verb.as_str(), starttls) {
            ("EHLO", None) => line.at("EHLO", &format!("{offers}250 SMTPUTF8\r\n")).await?,
            ("EHLO", Some(_)) => line.at("EHLO", &format!("{offers}250 STARTTLS\r\n")).await?,
            ("STARTTLS", Some(acceptor)) => {
                if !line.at("STARTTLS", "220 go ahead\r\n").await? {
                    return Ok(());
                }
                let clear = std::mem::replace(&mut line.stream, Box::new(tokio::io::empty()));
                line.stream = Box::new(acceptor.accept(clear).await?);
                starttls = None;
                true
            }
            ("DATA", _) => {
                if !line.at("DATA", "354 go ahead\r\n").await? {
                    return Ok(());
                }
                // The first of it shows that they know it was asked for.
                let mut mail = line.read().await?;
                if !line.at("mail", "").await? {
                    return Ok(());
                }
                while !mail.ends_with("\r\n.\r\n") {
                    mail += &line.read().await?;
                }
                seen.mails.lock().unwrap().push(mail);
                line.at(".", "250 2.0.0 queued as 1\r\n").await?
            }
            ("QUIT", _) => false,
            ("AUTH", _) => line.at("AUTH", "235 2.7.0 welcome\r\n").await?,
            ("MAIL" | "RCPT", _) => line.at(&verb, "250 2.0.0 fine\r\n").await?,
            // What a login says after its first line.
            _ => line.at("more", "235 2.7.0 welcome\r\n").await?,
        };
    }
    Ok(())
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
