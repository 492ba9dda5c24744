//! A line to a mail server that cannot hang, cannot flood us, and can be cut from outside.
//!
//! Every read and write has a time-out, every command an absolute deadline (a server that trickles is
//! not waited for) and a budget of bytes (a server that never stops is not listened to). All three are
//! kept below TLS, so that a handshake is bound by them as well.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use imap::extensions::idle::SetReadTimeout;
use rustls::{ClientConnection, StreamOwned};

use crate::account::Account;
use crate::courier::Security;
use crate::trouble::Trouble;

/// Reaching one address of a server.
const CONNECT: Duration = Duration::from_secs(10);
/// Of how many addresses.
const MOST_ADDRESSES: usize = 4;
/// A server is silent for no longer. Failed logins are answered late on purpose, by 15 seconds and more.
const SILENCE: Duration = Duration::from_secs(45);
/// One command, from its first byte to the last of its answer.
const COMMAND: Duration = Duration::from_secs(300);
/// What any answer may hold beside the mails asked for, in bytes: a million UIDs take eight million.
const ANSWER: u64 = 16 * 1024 * 1024;
/// The longest line before TLS, in bytes.
const LONGEST_LINE: usize = 8 * 1024;
/// The most lines before TLS.
const MOST_LINES: usize = 100;

/// What holds for the command that runs now; shared with whoever may cut the line.
pub(crate) struct Watch {
    began: Instant,
    /// Milliseconds since `began`.
    deadline: AtomicU64,
    /// In milliseconds.
    silence: AtomicU64,
    /// In bytes.
    budget: AtomicU64,
    stopped: AtomicBool,
    tcp: Mutex<Option<TcpStream>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let watch = Self {
            began: Instant::now(),
            deadline: AtomicU64::new(0),
            silence: AtomicU64::new(0),
            budget: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            tcp: Mutex::new(None),
        };
        watch.command(0);
        watch
    }

    /// A command begins, in whose answer `bytes` of mail are expected.
    pub(crate) fn command(&self, bytes: u64) {
        self.begin(SILENCE, COMMAND, ANSWER.saturating_add(bytes.saturating_mul(2)));
    }

    fn begin(&self, silence: Duration, whole: Duration, budget: u64) {
        let deadline = self.began.elapsed() + whole;
        self.deadline.store(millis(deadline), Ordering::Relaxed);
        self.silence.store(millis(silence), Ordering::Relaxed);
        self.budget.store(budget, Ordering::Relaxed);
    }

    /// Cuts the line, whatever runs on it.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(tcp) = self.tcp.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A line that is cut already is as good.
            tcp.shutdown(Shutdown::Both).ok();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// From now on [`Watch::stop`] cuts this line.
    fn hold(&self, tcp: &TcpStream) -> io::Result<()> {
        let mut held = self.tcp.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock: a stop comes either before and is seen, or after and finds the line.
        if self.is_stopped() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was stopped"));
        }
        *held = Some(tcp.try_clone()?);
        Ok(())
    }

    /// How long one may wait now.
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.load(Ordering::Relaxed).saturating_sub(millis(self.began.elapsed()));
        match left.min(self.silence.load(Ordering::Relaxed)) {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, "the server took too long")),
            left => Ok(Duration::from_millis(left)),
        }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        self.budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |budget| budget.checked_sub(bytes))
            .map(|_| ())
            .map_err(|_| io::Error::other("the server sent far more than was asked for"))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// TCP, watched.
struct Watched {
    tcp: TcpStream,
    watch: Arc<Watch>,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.watch.left()?))?;
        let read = self.tcp.read(into)?;
        self.watch.spend(read)?;
        Ok(read)
    }
}

impl Write for Watched {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.watch.left()?))?;
        self.tcp.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// The stream IMAP is spoken over.
pub(crate) struct MailStream {
    io: Io,
    watch: Arc<Watch>,
}

enum Io {
    Clear(Watched),
    Tls(Box<StreamOwned<ClientConnection, Watched>>),
}

impl Read for MailStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Clear(io) => io.read(into),
            Io::Tls(io) => io.read(into),
        }
    }
}

impl Write for MailStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Clear(io) => io.write(from),
            Io::Tls(io) => io.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.io {
            Io::Clear(io) => io.flush(),
            Io::Tls(io) => io.flush(),
        }
    }
}

impl SetReadTimeout for MailStream {
    /// Called before and after IDLE only. The end of it is `None`, "wait for ever", which is never done.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> imap::Result<()> {
        match timeout {
            Some(time) => self.watch.begin(time, time, ANSWER),
            None => self.watch.command(0),
        }
        Ok(())
    }
}

/// Reaches the server of an account and protects the line. Gives the stream, and whether the server's
/// greeting is still to be read.
pub(crate) fn connect(account: &Account, watch: &Arc<Watch>) -> Result<(MailStream, bool), Trouble> {
    let place = &account.place;
    watch.command(0);
    let tcp = reach(&place.host, place.port, watch)
        .map_err(|error| Trouble::Broken(format!("could not reach {}: {error}", place.host)))?;
    let mut line = Watched { tcp, watch: Arc::clone(watch) };
    let (io, greeting) = match place.security {
        Security::Loopback => (Io::Clear(line), true),
        Security::Tls => (handshake(line, account)?, true),
        Security::StartTls => {
            starttls(&mut line)?;
            (handshake(line, account)?, false)
        }
    };
    Ok((MailStream { io, watch: Arc::clone(watch) }, greeting))
}

fn reach(host: &str, port: u16, watch: &Watch) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in (host, port).to_socket_addrs()?.take(MOST_ADDRESSES) {
        if watch.is_stopped() {
            break;
        }
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                watch.hold(&tcp)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn handshake(line: Watched, account: &Account) -> Result<Io, Trouble> {
    let connection = ClientConnection::new(Arc::clone(&account.tls), account.name.clone())
        .map_err(|error| Trouble::Refused(format!("TLS is not possible: {error}")))?;
    let mut stream = StreamOwned::new(connection, line);
    while stream.conn.is_handshaking() {
        // Here and not at the first command, so that what is wrong is told as what it is.
        stream.conn.complete_io(&mut stream.sock).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Trouble::Refused(format!("the server's TLS was refused: {error}")),
            _ => Trouble::Broken(format!("the line broke during the TLS handshake: {error}")),
        })?;
    }
    Ok(Io::Tls(Box::new(stream)))
}

/// STARTTLS by hand and one byte at a time, so that nothing sent in clear can be taken for a protected
/// answer. It is required: a server that does not offer it, or an attacker who strips it, is refused.
fn starttls(line: &mut Watched) -> Result<(), Trouble> {
    let broken = |error: io::Error| Trouble::Broken(format!("the line broke before TLS: {error}"));
    let greeting = read_line(line).map_err(broken)?;
    if !greeting.starts_with(b"* OK") {
        return Err(Trouble::Refused("the server does not greet as one that takes STARTTLS".to_owned()));
    }
    line.write_all(b"s1 STARTTLS\r\n").map_err(broken)?;
    for _ in 0..MOST_LINES {
        let answer = read_line(line).map_err(broken)?;
        if let Some(answer) = answer.strip_prefix(b"s1 ") {
            if answer.to_ascii_uppercase().starts_with(b"OK") {
                return Ok(());
            }
            break;
        }
    }
    Err(Trouble::Refused("the server refuses STARTTLS, and without it no password is sent".to_owned()))
}

fn read_line(line: &mut Watched) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let mut byte = [0];
    while read.len() < LONGEST_LINE {
        line.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return Ok(read);
        }
        read.extend_from_slice(&byte);
    }
    Err(io::Error::other("a line is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let watch = Arc::new(Watch::new());
        watch.hold(&tcp).unwrap();
        (Watched { tcp, watch }, listener.accept().unwrap().0)
    }

    #[test]
    fn a_server_that_trickles_is_waited_for_no_longer_than_the_deadline() {
        let (mut line, mut server) = pair();
        line.watch.begin(Duration::from_secs(5), Duration::from_millis(200), 1000);
        let trickle = std::thread::spawn(move || {
            // Until the other end is gone.
            while server.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let began = Instant::now();
        let error = line.read_exact(&mut [0; 100_000]).unwrap_err();
        // The deadline passes between two reads, or within one, which the system calls by another name.
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(5));
        drop(line);
        trickle.join().unwrap();
    }

    #[test]
    fn a_server_that_never_stops_is_not_listened_to() {
        let (mut line, mut server) = pair();
        line.watch.begin(Duration::from_secs(5), Duration::from_secs(5), 1000);
        server.write_all(&[b'x'; 2000]).unwrap();
        let error = line.read_exact(&mut [0; 2000]).unwrap_err();
        assert!(error.to_string().contains("far more"), "{error}");
    }

    #[test]
    fn a_stop_ends_a_read_at_once() {
        let (mut line, server) = pair();
        let watch = Arc::clone(&line.watch);
        let read = std::thread::spawn(move || line.read(&mut [0; 10]));
        watch.stop();
        let began = Instant::now();
        assert_eq!(read.join().unwrap().unwrap_or(0), 0);
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(server);
    }

    #[test]
    fn what_was_stopped_before_it_was_reached_is_not_begun() {
        let (line, _server) = pair();
        line.watch.stop();
        assert!(line.watch.hold(&line.tcp).is_err());
    }
}
