//! A small HTTP client: one keep-alive connection, requests written from a buffer, answers read by their
//! length. The load generator shares the machine with what it measures, so it must cost little.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::hooks::Hook;

/// A connection and its buffers.
pub(crate) struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    answer: Vec<u8>,
    body_at: usize,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(addr).await.with_context(|| format!("could not connect to {addr}"))?;
        stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
        Ok(Self { stream, out: Vec::with_capacity(2048), answer: Vec::with_capacity(8192), body_at: 0 })
    }

    /// Posts a hook; its answer's status.
    pub(crate) async fn post(&mut self, path: &str, hook: &Hook) -> anyhow::Result<u16> {
        self.out.clear();
        for part in [
            "POST ",
            path,
            " HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/x-www-form-urlencoded\r\nX-Twilio-Signature: ",
            &hook.signature,
            "\r\nContent-Length: ",
            &hook.body.len().to_string(),
            "\r\n\r\n",
            &hook.body,
        ] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.exchange().await
    }

    /// Gets a page; its status. The body is in [`Self::body`].
    pub(crate) async fn get(&mut self, path: &str, token: &str) -> anyhow::Result<u16> {
        self.out.clear();
        for part in
            ["GET ", path, " HTTP/1.1\r\nHost: bench.example\r\nAuthorization: Bearer ", token, "\r\n\r\n"]
        {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.exchange().await
    }

    /// Sends JSON (or nothing) as whoever has the token; its status.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        json: &str,
    ) -> anyhow::Result<u16> {
        self.out.clear();
        for part in [
            method,
            " ",
            path,
            " HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\nAuthorization: Bearer ",
            token,
            "\r\nContent-Length: ",
            &json.len().to_string(),
            "\r\n\r\n",
            json,
        ] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.exchange().await
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.answer.get(self.body_at..).unwrap_or_default()
    }

    async fn exchange(&mut self) -> anyhow::Result<u16> {
        self.stream.write_all(&self.out).await.context("could not send a request")?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await.context("could not read an answer")? == 0 {
                bail!("the server closed the connection before it answered");
            }
            let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            self.body_at = end + 4;
            let (status, length) = head(self.answer.get(..end).unwrap_or_default())?;
            let whole = self.body_at + length;
            while self.answer.len() < whole {
                if self.stream.read_buf(&mut self.answer).await.context("could not read an answer")? == 0 {
                    bail!("the server closed the connection within its answer");
                }
            }
            return Ok(status);
        }
    }
}

/// The status and the length of the body.
fn head(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let head = std::str::from_utf8(head).context("an answer's head is no text")?;
    let status: u16 =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("an answer has no status")?;
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    match length {
        Some(length) => Ok((status, length.context("an answer's length is no number")?)),
        None if status == 204 => Ok((status, 0)),
        None => bail!("an answer of status {status} has no length"),
    }
}

/// One POST of a text on a connection of its own.
///
/// # Errors
/// When it is not answered 2xx, too.
pub(crate) async fn post(addr: SocketAddr, path: &str, body: String) -> anyhow::Result<()> {
    let mut connection = Connection::open(addr).await?;
    let status = connection.post(path, &Hook { signature: String::new(), body }).await?;
    if !(200..300).contains(&status) {
        bail!("{path} answered {status}: {}", String::from_utf8_lossy(connection.body()));
    }
    Ok(())
}

/// One GET on a connection of its own: for what is asked now and then.
pub(crate) async fn get(addr: SocketAddr, path: &str, token: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut connection = Connection::open(addr).await?;
    let status = connection.get(path, token).await?;
    Ok((status, connection.body().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        assert_eq!(head(b"HTTP/1.1 204 No Content\r\ndate: x").unwrap(), (204, 0));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 12").unwrap(), (200, 12));
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked").is_err());
    }
}
