//! The contract of every connector, through both doors.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use connector::testing::{MemoryIntake, Rig, Told, contract};
use connector_chat::Pace;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::people::{Client, Server};
use crate::world::{Core, SITE, config, over, pace};

/// Frames as a browser sends them, each after a hello of the same visitor.
struct Chat;

const HELLO: &str = r#"{"type":"hello","visitor":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

#[async_trait]
impl Rig for Chat {
    fn fixtures(&self) -> Vec<(String, Vec<u8>)> {
        [
            (
                "line",
                r#"{"type":"message","id":"6c0a4a0e-4b1e-4a8e-9a3c-0d5f6c7b8a90","text":"Добрий день 👋"}"#,
            ),
            ("escaped", r#"{"id":"m1","text":"a\u0000\ud83d\ude00\n b","type":"message","more":[{}]}"#),
            (
                "claims",
                r#"{"type":"identify","id":"i1","email":"olena@client.example","phone":"0441234567"}"#,
            ),
        ]
        .map(|(name, frame)| (name.to_owned(), frame.as_bytes().to_vec()))
        .into()
    }

    async fn deliver(&self, intake: Arc<MemoryIntake>, input: &[u8]) -> Told {
        let pace = Pace { poll: Duration::ZERO, ..pace() };
        let (connector, _) = over(intake, &Core::new(), &config(), pace, CancellationToken::new());
        let body = [b"[", HELLO.as_bytes(), b",", input, b"]"].concat();
        let request = Request::post("/chat/site/poll").header("origin", SITE).body(Body::from(body)).unwrap();
        let response = connector.routes.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let said: Value = serde_json::from_slice(&body).unwrap();
        match status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST => return Told::Refused,
            other => panic!("a client is never told {other}: {said}"),
        }
        let said = said.as_array().unwrap();
        if said.iter().any(|frame| frame["type"] == "ack") {
            Told::GotIt
        } else if said.iter().any(|frame| frame["code"] == "not_now") {
            Told::NotNow
        } else {
            Told::Refused
        }
    }
}

/// The same through the socket.
struct Socket;

#[async_trait]
impl Rig for Socket {
    fn fixtures(&self) -> Vec<(String, Vec<u8>)> {
        Chat.fixtures()
    }

    async fn deliver(&self, intake: Arc<MemoryIntake>, input: &[u8]) -> Told {
        let core = Core::new();
        let server = Server::over(intake, &core, &config(), pace()).await;
        let mut client = Client::open(&server).await;
        client.try_send(Message::text(HELLO)).await;
        assert_eq!(client.hear().await["type"], "welcome");
        // As a text whatever the bytes are, which no browser would do.
        let frame = Frame::message(input.to_vec(), OpCode::Data(Data::Text), true);
        client.try_send(Message::Frame(frame)).await;
        // Claims without an id are kept, and nothing is said of them.
        client.try_send(Message::text(r#"{"type":"ping"}"#)).await;
        match client.next().await {
            Ok(said) if said["type"] == "ack" => Told::GotIt,
            Ok(said) if said["code"] == "not_now" => Told::NotNow,
            Ok(said) => {
                assert!(said["type"] == "error" || said["type"] == "pong", "{said}");
                Told::Refused
            }
            Err(code) => {
                // What was not read when the line was cut may take the farewell with it.
                assert!(matches!(code, Some(1009) | None), "{code:?}: {}", String::from_utf8_lossy(input));
                Told::Refused
            }
        }
    }
}

#[tokio::test]
async fn the_poll_keeps_the_contract() {
    contract(&Chat).await;
}

#[tokio::test]
async fn the_socket_keeps_the_contract() {
    contract(&Socket).await;
}
