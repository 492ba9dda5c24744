//! One line to an SMTP server, step by step (RFC 5321).
//!
//! lettre writes our mails, but its client cannot carry them: it does not tell how far it came when a
//! line broke, keeps what was sent before STARTTLS for an answer given after it, and reads a reply
//! without a bound.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::text::clean_line;

/// The longest reply, in bytes, all its lines together. RFC 5321 asks for 512 a line.
const LONGEST_REPLY: usize = 16 * 1024;
/// The most characters of a reply that a person is shown.
const SHOWN: usize = 500;

/// What a line goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a line is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the line broke: {0}")]
    Lost(#[from] io::Error),
    #[error("the server hung up")]
    HungUp,
    #[error("the server does not speak SMTP: {0}")]
    Nonsense(&'static str),
    /// It answered as the protocol allows, but not as it must for us to go on.
    #[error("the server refuses: {0}")]
    Refused(Reply),
    /// This mail can never go over this server.
    #[error("{0}")]
    Never(&'static str),
    /// We do not go on, whatever the server would do.
    #[error("{0}")]
    Unwilling(String),
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    lines: Vec<String>,
}

impl Reply {
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// For a person: code and text on one line, bounded.
impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = clean_line(&self.lines.join(" "), SHOWN);
        write!(f, "{}{}{text}", self.code, if text.is_empty() { "" } else { " " })
    }
}

/// What a server offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    pub(super) starttls: bool,
    pub(super) utf8: bool,
    plain: bool,
    login: bool,
    xoauth2: bool,
}

impl Offers {
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        // The first line is its name.
        for line in reply.lines.iter().skip(1) {
            // Old servers write `AUTH=`.
            let mut words = line.split([' ', '=']).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("AUTH") => {
                    for word in words {
                        match word.as_str() {
                            "PLAIN" => offers.plain = true,
                            "LOGIN" => offers.login = true,
                            "XOAUTH2" => offers.xoauth2 = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// By what we prove who we are.
pub(super) enum Proof<'a> {
    Password(&'a str),
    /// An access token (XOAUTH2).
    Token(&'a str),
}

/// A line on which one thing is asked at a time.
pub(super) struct Dialogue<S> {
    stream: S,
    /// Read, but not yet part of a reply.
    held: Vec<u8>,
}

impl<S: Stream> Dialogue<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: Vec::new() }
    }

    /// What lies under the line, for TLS to begin on it.
    ///
    /// # Errors
    /// When more came than was asked for: it would pass for words of the server that TLS is to prove.
    pub(super) fn into_stream(self) -> Result<S, Fault> {
        self.is_quiet()?;
        Ok(self.stream)
    }

    /// The server's first word.
    pub(super) async fn greeting(&mut self) -> Result<(), Fault> {
        positive(self.reply().await?).map(|_| ())
    }

    pub(super) async fn hello(&mut self, name: &str) -> Result<Offers, Fault> {
        let reply = positive(self.ask(&format!("EHLO {name}")).await?)?;
        Ok(Offers::read(&reply))
    }

    pub(super) async fn starttls(&mut self) -> Result<(), Fault> {
        positive(self.ask("STARTTLS").await?).map(|_| ())
    }

    /// AUTH (RFC 4954) by the best way the server offers.
    pub(super) async fn login(
        &mut self,
        offers: &Offers,
        user: &str,
        proof: &Proof<'_>,
    ) -> Result<(), Fault> {
        let reply = match proof {
            Proof::Token(token) if offers.xoauth2 => {
                let proof = BASE64.encode(format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"));
                let reply = self.ask(&format!("AUTH XOAUTH2 {proof}")).await?;
                // Why it refuses is in a challenge; only after an empty answer it says so with a code.
                if reply.code == 334 { self.ask("").await? } else { reply }
            }
            Proof::Token(_) => {
                return Err(Fault::Unwilling("the server takes no token (AUTH XOAUTH2)".to_owned()));
            }
            Proof::Password(password) if offers.plain => {
                let proof = BASE64.encode(format!("\0{user}\0{password}"));
                self.ask(&format!("AUTH PLAIN {proof}")).await?
            }
            Proof::Password(password) if offers.login => {
                let mut reply = self.ask("AUTH LOGIN").await?;
                for word in [user, password] {
                    if reply.code != 334 {
                        break;
                    }
                    reply = self.ask(&BASE64.encode(word)).await?;
                }
                reply
            }
            Proof::Password(_) => {
                return Err(Fault::Unwilling(
                    "the server takes no password (AUTH PLAIN or LOGIN)".to_owned(),
                ));
            }
        };
        positive(reply).map(|_| ())
    }

    pub(super) async fn mail(&mut self, from: &str, utf8: bool) -> Result<(), Fault> {
        let options = if utf8 { " BODY=8BITMIME SMTPUTF8" } else { "" };
        positive(self.ask(&format!("MAIL FROM:<{from}>{options}")).await?).map(|_| ())
    }

    pub(super) async fn rcpt(&mut self, to: &str) -> Result<(), Fault> {
        positive(self.ask(&format!("RCPT TO:<{to}>")).await?).map(|_| ())
    }

    pub(super) async fn data(&mut self) -> Result<(), Fault> {
        let reply = self.ask("DATA").await?;
        if reply.code == 354 { Ok(()) } else { Err(Fault::Refused(reply)) }
    }

    /// The mail, but not its end: while [`Dialogue::end`] was not called, no server may take it.
    pub(super) async fn body(&mut self, mail: &[u8]) -> Result<(), Fault> {
        self.is_quiet()?;
        self.stream.write_all(&stuffed(mail)).await?;
        Ok(self.stream.flush().await?)
    }

    /// The end of the mail, and what became of it. If this fails without a reply, nobody knows.
    pub(super) async fn end(&mut self) -> Result<Reply, Fault> {
        positive(self.ask(".").await?)
    }

    /// A farewell that is not waited for.
    pub(super) async fn bye(&mut self) -> Result<(), Fault> {
        self.stream.write_all(b"QUIT\r\n").await?;
        Ok(self.stream.flush().await?)
    }

    async fn ask(&mut self, words: &str) -> Result<Reply, Fault> {
        self.is_quiet()?;
        self.stream.write_all(format!("{words}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        self.reply().await
    }

    /// An answer that came before its question would be taken for the answer to the next one.
    fn is_quiet(&self) -> Result<(), Fault> {
        if self.held.is_empty() { Ok(()) } else { Err(Fault::Nonsense("it answers what was not asked")) }
    }

    async fn reply(&mut self) -> Result<Reply, Fault> {
        let mut size = 0;
        let mut reply: Option<Reply> = None;
        loop {
            let line = self.line(&mut size).await?;
            let (code, last, text) = parse(&line).ok_or(Fault::Nonsense("a line is no reply"))?;
            let reply = reply.get_or_insert_with(|| Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Fault::Nonsense("a reply has two codes"));
            }
            reply.lines.push(text);
            if last {
                return Ok(reply.clone());
            }
        }
    }

    /// The next line, without its end; `size` is what the reply has taken so far.
    async fn line(&mut self, size: &mut usize) -> Result<Vec<u8>, Fault> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.held.iter().skip(searched).position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(searched + at + 1);
                let line = std::mem::replace(&mut self.held, rest);
                *size += line.len();
                if *size > LONGEST_REPLY {
                    return Err(Fault::Nonsense("a reply without end"));
                }
                return Ok(line.trim_ascii_end().to_vec());
            }
            searched = self.held.len();
            if *size + searched > LONGEST_REPLY {
                return Err(Fault::Nonsense("a reply without end"));
            }
            let mut piece = [0; 1024];
            let read = self.stream.read(&mut piece).await?;
            if read == 0 {
                return Err(Fault::HungUp);
            }
            self.held.extend(piece.iter().take(read));
        }
    }
}

fn positive(reply: Reply) -> Result<Reply, Fault> {
    if reply.is_positive() { Ok(reply) } else { Err(Fault::Refused(reply)) }
}

/// `250-text` or `250 text` or `250`: the code, whether it is the last line, the text.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| (200..600).contains(code))?;
    let (last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((code, last, String::from_utf8_lossy(text).into_owned()))
}

/// With every leading dot doubled (RFC 5321 section 4.5.2), and ending in a line end.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_reply_are_read_strictly() {
        let read = |line: &str| parse(line.as_bytes());
        assert_eq!(read("250 ok"), Some((250, true, "ok".to_owned())));
        assert_eq!(read("250-SIZE 1"), Some((250, false, "SIZE 1".to_owned())));
        assert_eq!(read("250"), Some((250, true, String::new())));
        for nonsense in
            ["", "25", "+50 x", "99 x", "199 x", "600 x", "2500 x", "abc x", "250x", "HTTP/1.1 400"]
        {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn offers_are_read_in_every_dress() {
        let lines = ["mx AUTH LOGIN STARTTLS", "auth=plain XOAUTH2", "StartTLS", "SIZE 10", "SMTPUTF8"];
        let reply = Reply { code: 250, lines: lines.map(str::to_owned).into() };
        let offers = Offers::read(&reply);
        assert!(offers.starttls && offers.plain && offers.xoauth2 && offers.utf8 && !offers.login);
        let reply = Reply { code: 250, lines: vec!["mx AUTH LOGIN STARTTLS".to_owned()] };
        assert!(!Offers::read(&reply).login && !Offers::read(&reply).starttls, "its name is no offer");
    }

    #[test]
    fn no_line_of_a_mail_ends_it() {
        assert_eq!(stuffed(b".\r\na\r\n..\r\n.b"), b"..\r\na\r\n...\r\n..b\r\n");
        assert_eq!(stuffed(b"a\r\n"), b"a\r\n");
    }
}
