//! The same chat where no socket can be opened.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::people::{Client, Server};
use crate::world::{Core, DEADLINE, SITE, chat, config, pace, visitor};

struct Poller {
    routes: Router,
}

impl Poller {
    fn new(core: &Arc<Core>, pace: connector_chat::Pace) -> Self {
        Self { routes: chat(core, &config(), pace, CancellationToken::new()).0.routes }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        let answered = timeout(DEADLINE, self.routes.clone().oneshot(request)).await;
        let response = answered.expect("there was no answer").unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn poll(&self, frames: Value) -> Vec<Value> {
        let request =
            Request::post("/chat/site/poll").header("origin", SITE).body(Body::from(frames.to_string()));
        let (status, _, said) = self.send(request.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said.as_array().unwrap().clone()
    }
}

fn kinds(said: &[Value]) -> Vec<&str> {
    said.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_chat_by_polling_loses_and_repeats_nothing() {
    let core = Core::new();
    let poller = Poller::new(&core, pace());
    let said = poller
        .poll(json!([{"type": "hello"}, {"type": "message", "id": "m1", "text": "hi"},
                     {"type": "message", "id": "m2", "text": ""}, {"type": "message", "id": "m3", "text": "ho"}]))
        .await;
    assert_eq!(kinds(&said), ["welcome", "ack", "error", "ack", "message", "message"]);
    let secret = said[0]["visitor"].as_str().unwrap().to_owned();
    core.append(&visitor(&secret), "hello");
    let said = poller.poll(json!([{"type": "hello", "visitor": secret, "after": 2}])).await;
    assert_eq!(kinds(&said), ["welcome", "message"]);
    assert_eq!((&said[1]["seq"], &said[1]["text"]), (&json!(3), &json!("hello")));
    let said = poller
        .poll(json!([{"type": "hello", "visitor": secret, "after": 3}, {"type": "read", "seq": 3}]))
        .await;
    assert_eq!(kinds(&said), ["welcome"], "nothing came while it waited");
    let said = poller.poll(json!([{"type": "hello", "visitor": secret, "after": 3}])).await;
    assert_eq!(kinds(&said), ["welcome", "read"], "the mark was kept");
}

#[tokio::test]
async fn a_poll_waits_for_a_line_of_any_process() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    // Found by looking: no task brings signs of life to this one.
    let poller = Poller::new(
        &core,
        connector_chat::Pace { look: Duration::from_millis(20), poll: Duration::from_secs(60), ..pace() },
    );
    let waiting = poller.poll(json!([{"type": "hello", "visitor": secret, "after": 0}]));
    let line = async {
        client.line("m1", "hi").await;
        client.hear_of("ack").await;
    };
    let (said, ()) = tokio::join!(waiting, line);
    assert_eq!(kinds(&said), ["welcome", "message"]);
}

#[tokio::test]
async fn a_stop_ends_every_wait() {
    let core = Core::new();
    let stop = CancellationToken::new();
    let slow = connector_chat::Pace { poll: Duration::from_secs(60), ..pace() };
    let poller = Poller { routes: chat(&core, &config(), slow, stop.clone()).0.routes };
    let waiting = poller.poll(json!([{"type": "hello"}, {"type": "typing"}]));
    let stopping = async {
        crate::world::until(|| !core.told().is_empty()).await;
        stop.cancel();
    };
    let (said, ()) = tokio::join!(waiting, stopping);
    assert_eq!(kinds(&said), ["welcome"]);
    let request = Request::post("/chat/site/poll").header("origin", SITE).body(Body::from("[]")).unwrap();
    assert_eq!(poller.send(request).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn only_listed_sites_are_answered_across_origins() {
    let core = Core::new();
    let poller = Poller::new(&core, connector_chat::Pace { poll: Duration::ZERO, ..pace() });
    let ask = async |method: &str, origin: Option<&str>| {
        let request = Request::builder().method(method).uri("/chat/site/poll");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        poller.send(request.body(Body::from(r#"[{"type":"hello"}]"#)).unwrap()).await
    };
    for (method, good) in [("OPTIONS", StatusCode::NO_CONTENT), ("POST", StatusCode::OK)] {
        let (status, headers, _) = ask(method, Some(SITE)).await;
        assert_eq!(
            (status, headers["access-control-allow-origin"].to_str().unwrap()),
            (good, SITE),
            "{method}"
        );
        assert_eq!(headers["vary"], "Origin");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        for origin in [Some("https://evil.example"), None] {
            let (status, headers, problem) = ask(method, origin).await;
            assert_eq!(
                (status, &problem["status"]),
                (StatusCode::FORBIDDEN, &json!(403)),
                "{method} {origin:?}"
            );
            assert!(!headers.contains_key("access-control-allow-origin"));
            assert_eq!(headers["vary"], "Origin");
        }
    }
    let (status, ..) = poller.send(Request::post("/chat/shop/poll").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bad_body_is_a_problem_and_a_bad_hello_an_error() {
    let core = Core::new();
    let poller = Poller::new(&core, connector_chat::Pace { poll: Duration::ZERO, ..pace() });
    let many = format!("[{}]", vec![r#"{"type":"typing"}"#; 40].join(","));
    for (body, expected) in [
        (String::new(), 400),
        ("{}".into(), 400),
        ("[".repeat(50_000), 400),
        (many, 400),
        (format!("[\"{}\"]", "x".repeat(1_000_000)), 413),
    ] {
        let request = Request::post("/chat/site/poll").header("origin", SITE).body(Body::from(body)).unwrap();
        let (status, _, problem) = poller.send(request).await;
        assert_eq!((status.as_u16(), &problem["status"]), (expected, &json!(expected)));
    }
    for frames in
        [json!([]), json!([{"type": "typing"}]), json!([7]), json!([{"type": "hello", "token": "x"}])]
    {
        assert_eq!(kinds(&poller.poll(frames.clone()).await), ["error"], "{frames}");
    }
    assert_eq!(core.accepted().len(), 0);
}
