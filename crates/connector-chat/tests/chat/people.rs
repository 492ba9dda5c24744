//! Processes that serve the chat, and visitors' browsers.

use std::net::SocketAddr;
use std::sync::Arc;

use connector::{Intake, Supervisor};
use connector_chat::{Config, Pace};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{Core, DEADLINE, SITE, config, over, pace, until};

/// One process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) sockets: TaskTracker,
    tasks: TaskTracker,
}

impl Server {
    pub(crate) async fn start(core: &Arc<Core>) -> Self {
        Self::with(core, &config(), pace()).await
    }

    pub(crate) async fn with(core: &Arc<Core>, config: &Config, pace: Pace) -> Self {
        Self::over(core.clone(), core, config, pace).await
    }

    pub(crate) async fn over(intake: Arc<dyn Intake>, core: &Arc<Core>, config: &Config, pace: Pace) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (connector, sockets) = over(intake, core, config, pace, stop.clone());
        let listening = core.listeners();
        for task in connector.tasks {
            Supervisor::default().watch(task, &tasks, stop.clone());
        }
        // The task listens before anybody comes.
        until(|| core.listeners() > listening).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = connector.routes.into_make_service_with_connect_info::<SocketAddr>();
        let closing = stop.clone().cancelled_owned();
        tasks.spawn(async move {
            axum::serve(listener, app).with_graceful_shutdown(closing).await.unwrap();
        });
        Self { address, stop, sockets, tasks }
    }

    /// Stops it, and waits until nothing of it runs.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.sockets.close();
        self.tasks.close();
        timeout(DEADLINE, async {
            self.sockets.wait().await;
            self.tasks.wait().await;
        })
        .await
        .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A visitor's browser, or something that claims to be one.
pub(crate) struct Client {
    /// Answers pings while it is listened to.
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// From a page of our site.
    pub(crate) async fn open(server: &Server) -> Self {
        Self::from(server, "/chat/site/socket", &[("origin", SITE)]).await.unwrap()
    }

    /// With these headers; or the status and body of the refusal.
    pub(crate) async fn from(
        server: &Server,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, (u16, Value)> {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match timeout(DEADLINE, connect_async(request)).await.unwrap() {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => {
                let problem = serde_json::from_slice(response.body().as_deref().unwrap_or_default());
                Err((response.status().as_u16(), problem.unwrap_or(Value::Null)))
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// A new visitor, welcomed; with their secret.
    pub(crate) async fn welcomed(server: &Server) -> (Self, String) {
        let mut client = Self::open(server).await;
        client.say(json!({"type": "hello"})).await;
        let welcome = client.hear().await;
        assert_eq!((&welcome["type"], &welcome["seq"]), (&json!("welcome"), &json!(0)));
        let secret = welcome["visitor"].as_str().unwrap().to_owned();
        (client, secret)
    }

    /// A visitor who comes back; with the welcome.
    pub(crate) async fn back(server: &Server, secret: &str, after: Option<i64>) -> (Self, Value) {
        let mut client = Self::open(server).await;
        client.say(json!({"type": "hello", "visitor": secret, "after": after})).await;
        let welcome = client.hear().await;
        assert_eq!((&welcome["type"], &welcome["visitor"]), (&json!("welcome"), &json!(secret)));
        (client, welcome)
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn line(&mut self, id: &str, text: &str) {
        self.say(json!({"type": "message", "id": id, "text": text})).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message)).await.unwrap().unwrap();
    }

    /// The same, if the server still listens.
    pub(crate) async fn try_send(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message)).await.unwrap().ok();
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Ok(frame) => frame,
            Err(code) => panic!("it was closed with {code:?}"),
        }
    }

    /// The next frame, or the code it was closed with.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match timeout(DEADLINE, self.socket.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Listens for ever, to nothing but pings.
    pub(crate) async fn pinged(&mut self) {
        loop {
            match timeout(DEADLINE, self.socket.next()).await.expect("nothing came") {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Answers nothing until the server has hung up: the code it was closed with.
    pub(crate) async fn unheard(self) -> Option<u16> {
        let MaybeTlsStream::Plain(mut stream) = self.socket.into_inner() else { panic!("it is in clear") };
        let mut said = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("it goes on").unwrap();
        // Short frames of a server: a byte of kind, a byte of length.
        let mut rest = said.as_slice();
        while let [kind, length, after @ ..] = rest {
            match after {
                [high, low, ..] if *kind == 0x88 => return Some(u16::from_be_bytes([*high, *low])),
                _ => rest = after.get(usize::from(*length)..).unwrap_or_default(),
            }
        }
        None
    }

    /// The next frame of this type; what comes before it is passed over.
    pub(crate) async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.hear().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// So many lines, as (seq, text).
    pub(crate) async fn lines(&mut self, count: usize) -> Vec<(i64, String)> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let line = self.hear_of("message").await;
            lines.push((line["seq"].as_i64().unwrap(), line["text"].as_str().unwrap().to_owned()));
        }
        lines
    }

    /// The code it is closed with; what comes before it is passed over.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Proves that nothing was said to us: the next frame is the answer to a question.
    pub(crate) async fn hears_nothing(&mut self) {
        self.say(json!({"type": "ping"})).await;
        assert_eq!(self.hear().await, json!({"type": "pong"}));
    }
}
