//! What lettre talks over: a server's replies, one line at a time.
//!
//! By itself lettre takes whatever lies in its buffer for the answer to its next command, even when it came
//! before STARTTLS, reads a line to its end however long that is, and knows only UTF-8, CR LF and codes with
//! a text. Given no more than the next line, and that clean and bounded, it is right about all of it.

use std::fmt::{Debug, Display};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};

use super::line::Fault;

/// The longest reply, in bytes, all its lines together. RFC 5321 asks for 512 a line; lettre takes 1000.
const LONGEST_REPLY: usize = 16 * 1024;

/// A stream that hands over the next line of a reply and keeps what follows it. Writing fails while
/// anything is kept: a server that answers what was not asked is not believed.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: BufReader<S>,
    /// A line of which the end is still to come.
    begun: Vec<u8>,
    /// What is left to hand over of the line before it.
    line: Vec<u8>,
    /// How much was read since something was asked.
    size: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream), begun: Vec::new(), line: Vec::new(), size: 0 }
    }

    /// Over a stream whose server has greeted already: after STARTTLS it does not greet again, but lettre
    /// waits for it.
    pub(super) fn greeted(stream: S) -> Self {
        Self { line: b"220 \r\n".to_vec(), ..Self::new(stream) }
    }

    /// The stream, for TLS to begin on it.
    ///
    /// # Errors
    /// When more came than was asked for: it would pass for words of the server that TLS is to prove.
    pub(super) fn into_stream(self) -> io::Result<S> {
        self.is_quiet()?;
        Ok(self.stream.into_inner())
    }

    /// One command and its reply, where it is too early for lettre.
    pub(super) async fn ask(&mut self, command: impl Display) -> Result<Response, Fault> {
        self.write_all(command.to_string().as_bytes()).await?;
        self.flush().await?;
        self.reply().await
    }

    /// A reply, whatever its code.
    pub(super) async fn reply(&mut self) -> Result<Response, Fault> {
        let mut reply = String::new();
        loop {
            poll_fn(|cx| self.poll_line(cx)).await?;
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply.parse()?);
            }
        }
    }

    fn is_quiet(&self) -> io::Result<()> {
        let quiet = self.line.is_empty() && self.begun.is_empty() && self.stream.buffer().is_empty();
        if quiet { Ok(()) } else { Err(io::Error::other("the server answers what was not asked")) }
    }

    /// Waits until `line` holds something.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.line.is_empty() {
            let read = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
            if read.is_empty() {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up");
                return Poll::Ready(Err(error));
            }
            let ended = read.iter().position(|byte| *byte == b'\n');
            let part = ended.map_or(read.len(), |at| at + 1);
            self.begun.extend(read.iter().take(part));
            Pin::new(&mut self.stream).consume(part);
            self.size += part;
            if self.size > LONGEST_REPLY {
                return Poll::Ready(Err(io::Error::other("a reply without end")));
            }
            if ended.is_some() {
                self.line = clean(std::mem::take(&mut self.begun));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A line as lettre knows it, from what servers send: other line ends, other character sets, a code alone
/// (RFC 5321 section 4.2).
fn clean(line: Vec<u8>) -> Vec<u8> {
    let ascii = |byte: u8| if byte.is_ascii() { char::from(byte) } else { '?' };
    let text =
        String::from_utf8(line).unwrap_or_else(|error| error.into_bytes().into_iter().map(ascii).collect());
    let text = text.trim_end();
    let space = if text.len() == 3 { " " } else { "" };
    format!("{text}{space}\r\n").into_bytes()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_line(cx))?;
        let fits = self.line.len().min(into.remaining());
        let rest = self.line.split_off(fits);
        into.put_slice(&std::mem::replace(&mut self.line, rest));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_quiet()?;
        self.size = 0;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> AsyncTokioStream for Wire<S> {
    /// Where the other end is does not matter to a line that exists already.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A server that says `said` and hangs up, and nothing else.
    fn saying(said: &[u8]) -> Wire<std::io::Cursor<Vec<u8>>> {
        Wire::new(std::io::Cursor::new(said.to_vec()))
    }

    #[tokio::test]
    async fn a_line_is_handed_over_as_lettre_knows_it_and_never_with_the_next() {
        for (said, handed) in [
            ("250 ok\r\n250 more\r\n".as_bytes(), "250 ok\r\n"),
            (b"250 ok\n", "250 ok\r\n"),
            (b"250\r\n", "250 \r\n"),
            (b"250-\r\n", "250-\r\n"),
            ("550 немає\r\n".as_bytes(), "550 немає\r\n"),
            (b"550 \xcd\xe5\xf2\r\n", "550 ???\r\n"),
        ] {
            let mut wire = saying(said);
            let mut line = [0; 100];
            let read = wire.read(&mut line).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&line[..read]), handed);
        }
        // However little is asked for at a time.
        let mut wire = saying(b"250-one\r\n250 two\r\n");
        let mut line = [0; 18];
        for byte in line.chunks_mut(1) {
            wire.read_exact(byte).await.unwrap();
        }
        assert_eq!(&line, b"250-one\r\n250 two\r\n");
    }

    #[tokio::test]
    async fn a_reply_without_end_is_given_up_before_it_fills_the_memory() {
        for piece in ["x", "250-still here\r\n"] {
            let mut wire = saying(piece.repeat(1024 * 1024 / piece.len()).as_bytes());
            let mut handed = Vec::new();
            let error = wire.read_to_end(&mut handed).await.unwrap_err();
            assert_eq!(error.to_string(), "a reply without end", "{piece}");
            let kept = handed.capacity() + wire.begun.capacity() + wire.line.capacity();
            assert!(kept <= 4 * LONGEST_REPLY, "{piece}: {kept} bytes");
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_of_a_server_that_has_more_to_say() {
        let mut wire = saying(b"220 go ahead\r\n250 slipped in\r\n");
        wire.reply().await.unwrap();
        let error = wire.write_all(b"EHLO\r\n").await.unwrap_err();
        assert_eq!(error.to_string(), "the server answers what was not asked");
        assert!(wire.into_stream().is_err());
    }
}
