//! A follower of server-sent events that times the first message about each contact.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::Dues;
use crate::machine::micros;
use crate::numbers::{Numbers, number_of};

/// How a stream's messages name a contact.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// The path of the stream.
    pub(crate) path: &'static str,
    /// Only messages with this line count; empty: all do.
    pub(crate) event: &'static [u8],
    /// What stands before a contact's id.
    pub(crate) mark: &'static [u8],
}

/// What a follower saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Contacts.
    pub(crate) contacts: usize,
    /// Messages of any kind.
    pub(crate) messages: usize,
    /// From when the contact was due to the message, in microseconds.
    pub(crate) latencies: Vec<u32>,
    /// When the message came, by the contact's place; 0 of one that was not seen.
    pub(crate) at: Vec<u64>,
}

/// An open stream.
pub(crate) struct Follower {
    stream: TcpStream,
    buffer: Vec<u8>,
    dialect: Dialect,
}

impl Follower {
    /// Connects and waits for the stream's head: what is recorded from now on will be seen.
    pub(crate) async fn open(addr: SocketAddr, dialect: Dialect, token: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(addr).await.context("could not connect to the stream")?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: bench.example\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n",
            dialect.path
        );
        stream.write_all(request.as_bytes()).await.context("could not ask for the stream")?;
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            if stream.read_buf(&mut buffer).await.context("could not read the stream's head")? == 0 {
                bail!("the stream ended before its head");
            }
            if let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
                if !buffer.starts_with(b"HTTP/1.1 200") {
                    bail!("the stream was refused: {}", String::from_utf8_lossy(&buffer));
                }
                buffer.drain(..end + 4);
                return Ok(Self { stream, buffer, dialect });
            }
        }
    }

    /// Reads until every one of these was seen or `patience` is over.
    pub(crate) async fn follow(
        mut self,
        numbers: Numbers,
        dues: Dues,
        patience: Duration,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen { at: vec![0; numbers.count], ..Seen::default() };
        let deadline = tokio::time::Instant::now() + patience;
        while seen.contacts < numbers.count {
            let read = tokio::time::timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await;
            match read {
                Err(_) => break,
                Ok(Ok(0)) => bail!("the stream ended while it was followed"),
                Ok(result) => result.context("could not read the stream")?,
            };
            let now = micros();
            let mut from = 0;
            while let Some(length) = memmem::find(self.buffer.get(from..).unwrap_or_default(), b"\n\n") {
                let message = self.buffer.get(from..from + length).unwrap_or_default();
                from += length + 2;
                seen.messages += 1;
                let place = contact(message, self.dialect).and_then(|number| numbers.place(number));
                if let Some(slot) = place.and_then(|place| seen.at.get_mut(place))
                    && *slot == 0
                {
                    *slot = now;
                    let due =
                        place.and_then(|place| dues.get(place)).map_or(0, |due| due.load(Ordering::Relaxed));
                    seen.contacts += 1;
                    seen.latencies.push(u32::try_from(now.saturating_sub(due)).unwrap_or(u32::MAX));
                }
            }
            self.buffer.drain(..from);
        }
        Ok(seen)
    }
}

/// The number of the contact a message is about.
fn contact(message: &[u8], dialect: Dialect) -> Option<u32> {
    if !dialect.event.is_empty() {
        memmem::find(message.get(..message.len().min(96))?, dialect.event)?;
    }
    let at = memmem::find(message, dialect.mark)? + dialect.mark.len();
    number_of(message.get(at..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_contact() {
        let dialect = Dialect { path: "/", event: b"event: entry", mark: b"\"call_id\":\"" };
        let message = |event: &str| {
            format!("id: 7\nevent: {event}\ndata: {{\"call_id\":\"CA000000000000000000000000000000ff\"}}")
        };
        assert_eq!(contact(message("entry").as_bytes(), dialect), Some(255));
        assert_eq!(contact(message("conversation").as_bytes(), dialect), None);
    }
}
