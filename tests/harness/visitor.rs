//! Somebody on a web site: the other end of a chat's socket.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::setup::{IDENTITY, WIDGET};
use crate::wait::PATIENCE;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A visitor of the widget [`WIDGET`], as their browser keeps them.
#[derive(Debug)]
pub struct Visitor {
    url: String,
    /// The secret they were given.
    secret: Option<String>,
    token: Option<String>,
    /// The last line they have.
    seq: Option<i64>,
    socket: Option<Socket>,
    /// Every line they were sent, by its number.
    pub lines: BTreeMap<i64, Value>,
}

impl Visitor {
    /// A stranger.
    pub fn new(base: &str) -> Self {
        let url = format!("{}/chat/{WIDGET}/socket", base.replacen("http", "ws", 1));
        Self { url, secret: None, token: None, seq: None, socket: None, lines: BTreeMap::new() }
    }

    /// Somebody the site has signed in, with these claims besides `sub` and `exp`.
    #[expect(clippy::disallowed_methods, reason = "a site signs with the time of its own clock")]
    pub fn signed(base: &str, sub: &str, claims: Value) -> Self {
        let mut claims = claims;
        claims["sub"] = json!(sub);
        let exp = Timestamp::now() + SignedDuration::from_mins(10);
        claims["exp"] = json!(exp.as_second());
        Self { token: Some(token(&claims, IDENTITY)), ..Self::new(base) }
    }

    /// Connects, or connects again where the browser left off.
    ///
    /// # Errors
    /// When there is nobody, or no welcome.
    pub async fn try_connect(&mut self) -> Result<(), String> {
        self.socket = None;
        let (socket, _) = connect_async(&self.url).await.map_err(|error| error.to_string())?;
        self.socket = Some(socket);
        let hello = json!({
            "type": "hello", "visitor": self.secret, "token": self.token, "after": self.seq.unwrap_or(0),
            "page": { "url": "https://shop.example/", "title": "Shop" },
        });
        self.send(&hello).await?;
        let welcome = self.next().await?;
        if welcome["type"] != "welcome" {
            return Err(format!("no welcome: {welcome}"));
        }
        if let Some(secret) = welcome["visitor"].as_str() {
            self.secret = Some(secret.to_owned());
        }
        Ok(())
    }

    /// As [`Visitor::try_connect`], until it works.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn connect(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = self.try_connect().await {
            assert!(tokio::time::Instant::now() < deadline, "the visitor cannot connect: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Writes a line and waits until it is kept; connects again and sends it again, with the same id, as
    /// often as it takes.
    pub async fn say(&mut self, id: &str, text: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.try_say(id, text).await {
                Ok(()) => return,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{id} is not kept: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.connect().await;
        }
    }

    async fn try_say(&mut self, id: &str, text: &str) -> Result<(), String> {
        self.send(&json!({ "type": "message", "id": id, "text": text })).await?;
        loop {
            let frame = self.next().await?;
            match frame["type"].as_str() {
                Some("ack") if frame["id"] == id => return Ok(()),
                Some("error") => return Err(frame.to_string()),
                _ => {}
            }
        }
    }

    /// Types who they are.
    ///
    /// # Errors
    /// When it is not kept.
    pub async fn identify(&mut self, mut claims: Value) -> Result<(), String> {
        claims["type"] = json!("identify");
        claims["id"] = json!("who");
        self.send(&claims).await?;
        loop {
            let frame = self.next().await?;
            match frame["type"].as_str() {
                Some("ack") if frame["id"] == "who" => return Ok(()),
                Some("error") => return Err(frame.to_string()),
                _ => {}
            }
        }
    }

    /// Says that everything so far is read.
    ///
    /// # Errors
    /// When the line is broken.
    pub async fn read(&mut self) -> Result<(), String> {
        let seq = self.lines.keys().next_back().copied().unwrap_or(0);
        self.send(&json!({ "type": "read", "seq": seq })).await
    }

    /// Waits for a line with this text, connecting again if need be.
    pub async fn hears(&mut self, text: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines.values().find(|line| line["text"] == text) {
                return line.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "`{text}` is not heard: {:?}", self.lines);
            if self.next().await.is_err() {
                self.connect().await;
            }
        }
    }

    /// Sends a frame, whatever it is.
    ///
    /// # Errors
    /// When the line is broken.
    pub async fn send(&mut self, frame: &Value) -> Result<(), String> {
        let socket = self.socket.as_mut().ok_or("not connected")?;
        socket.send(Message::text(frame.to_string())).await.map_err(|error| error.to_string())
    }

    /// The next frame; a line is remembered.
    ///
    /// # Errors
    /// When the line is broken, or silent for a while.
    ///
    /// # Panics
    /// When lines come out of their order, or one comes twice on a connection.
    pub async fn next(&mut self) -> Result<Value, String> {
        let socket = self.socket.as_mut().ok_or("not connected")?;
        // Half of what those wait who connect again then.
        let patience = PATIENCE / 2;
        let message = tokio::time::timeout(patience, socket.next()).await.map_err(|_| "silence")?;
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(why))) => return Err(format!("closed: {why:?}")),
            Some(Ok(_)) => return Ok(Value::Null),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("hung up".to_owned()),
        };
        let frame: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if frame["type"] == "message" {
            let seq = frame["seq"].as_i64().ok_or("a line without a number")?;
            assert_eq!(seq, self.seq.unwrap_or(0) + 1, "no line is left out and none comes twice: {frame}");
            self.seq = Some(seq);
            self.lines.insert(seq, frame.clone());
        }
        Ok(frame)
    }
}

/// A JWT signed with HS256 (RFC 7515, RFC 7519).
pub fn token(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
