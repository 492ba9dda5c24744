//! Somebody who chats on the clinic's site: the other end of the chat's socket.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// From a line to its echo, or its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// A connection on which nothing comes for so long is given up, and made again.
const SILENCE: Duration = Duration::from_secs(10);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(200);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A visitor, as their browser keeps them.
pub(super) struct Visitor {
    url: String,
    page: String,
    /// Says who is signed in.
    token: Option<String>,
    /// What a stranger was given at their first visit.
    secret: Option<String>,
    socket: Option<Socket>,
    /// Every recorded line they were sent, by its id and by its text.
    lines: BTreeSet<String>,
    /// The last line they were sent.
    seq: i64,
}

impl Visitor {
    pub(super) fn new(base: &str, source: &str, token: Option<String>, secret: Option<String>) -> Self {
        Self {
            url: format!("{}/chat/{source}/socket", base.replacen("http", "ws", 1)),
            page: format!("{base}/chat/{source}/demo"),
            token,
            secret,
            socket: None,
            lines: BTreeSet::new(),
            seq: 0,
        }
    }

    /// Opens the chat, if it is not open. Gives a stranger's secret.
    pub(super) async fn come(&mut self) -> anyhow::Result<Option<&String>> {
        if self.socket.is_none() {
            self.connect().await?;
        }
        Ok(self.secret.as_ref())
    }

    /// Writes a line, and waits until it is on the timeline.
    pub(super) async fn write(&mut self, id: &str, text: &str) -> anyhow::Result<()> {
        self.send(id, &json!({ "type": "message", "id": id, "text": text })).await?;
        self.hears(id).await
    }

    /// Types who they are, and waits until it is kept.
    pub(super) async fn identify(&mut self, id: &str, name: &str, email: &str) -> anyhow::Result<()> {
        self.send(id, &json!({ "type": "identify", "id": id, "name": name, "email": email })).await
    }

    /// Waits for a line of this id or with this text.
    pub(super) async fn hears(&mut self, line: &str) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.lines.contains(line) {
            if Instant::now() > until {
                bail!("a line did not come into the visitor's chat within {} s", PATIENCE.as_secs());
            }
            if self.next().await.is_err() {
                self.socket = None;
                if self.come().await.is_err() {
                    sleep(PAUSE).await;
                }
            }
        }
        // They have seen it: whatever becomes of this, the line is there.
        self.say(&json!({ "type": "read", "seq": self.seq })).await.ok();
        Ok(())
    }

    /// Sends it until it is acknowledged, on another connection if need be.
    async fn send(&mut self, id: &str, frame: &Value) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let sent = match self.come().await {
                Ok(_) => self.try_send(id, frame).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(error) => tracing::debug!(error = format!("{error:#}"), "a visitor tries again"),
            }
            self.socket = None;
            sleep(PAUSE).await;
        }
    }

    async fn try_send(&mut self, id: &str, frame: &Value) -> anyhow::Result<()> {
        self.say(frame).await?;
        loop {
            let heard = self.next().await?;
            match heard["type"].as_str() {
                Some("ack") if heard["id"] == id => return Ok(()),
                Some("error") => bail!("the chat answered {heard}"),
                _ => {}
            }
        }
    }

    /// Connects again where the browser left off.
    async fn connect(&mut self) -> anyhow::Result<()> {
        self.socket = None;
        let opened = timeout(SILENCE, connect_async(&self.url)).await;
        let (socket, _) = opened
            .map_err(|_| anyhow!("nobody answered"))
            .and_then(|opened| Ok(opened?))
            .with_context(|| format!("could not open {}", self.url))?;
        self.socket = Some(socket);
        let hello = json!({
            "type": "hello", "visitor": self.secret, "token": self.token, "after": self.seq,
            "page": { "url": self.page, "title": "Стоматологія «Лілея»" },
        });
        self.say(&hello).await?;
        let welcome = self.next().await?;
        if welcome["type"] != "welcome" {
            bail!("the chat did not welcome a visitor: {welcome}");
        }
        if let Some(secret) = welcome["visitor"].as_str() {
            self.secret = Some(secret.to_owned());
        }
        Ok(())
    }

    async fn say(&mut self, frame: &Value) -> anyhow::Result<()> {
        let socket = self.socket.as_mut().context("not connected")?;
        Ok(timeout(SILENCE, socket.send(Message::text(frame.to_string())))
            .await
            .context("it stands still")??)
    }

    /// The next frame; a line is remembered.
    async fn next(&mut self) -> anyhow::Result<Value> {
        let socket = self.socket.as_mut().context("not connected")?;
        let heard = timeout(SILENCE, socket.next()).await.context("silence")?;
        let text = match heard {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(why))) => bail!("closed: {why:?}"),
            Some(Ok(_)) => return Ok(Value::Null),
            Some(Err(error)) => return Err(error.into()),
            None => bail!("hung up"),
        };
        let frame: Value = serde_json::from_str(&text).context("no frame of the protocol")?;
        if frame["type"] == "message" {
            self.seq = frame["seq"].as_i64().unwrap_or(self.seq);
            let told = ["id", "text"].into_iter().filter_map(|field| frame[field].as_str());
            self.lines.extend(told.map(str::to_owned));
        }
        Ok(frame)
    }
}
