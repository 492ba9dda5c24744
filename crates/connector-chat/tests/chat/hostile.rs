//! Whatever is said, there is an answer of bounded size, and nothing is kept that was not a line.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::people::{Client, Server};
use crate::world::{Core, config, pace};

/// Whatever a frame may be made of.
fn frame() -> impl Strategy<Value = String> {
    let kind =
        prop::sample::select(vec!["hello", "message", "identify", "typing", "read", "ping", "dance", ""]);
    let field = prop::sample::select(vec![
        "id", "text", "email", "phone", "name", "seq", "visitor", "token", "after", "page", "type",
    ]);
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[a-z0-9-]{1,40}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::from),
        Just(json!({"url": "https://x.example", "title": 7})),
        Just(json!("x".repeat(5000))),
    ];
    let object = (kind, prop::collection::vec((field, value), 0..5)).prop_map(|(kind, fields)| {
        let mut frame = json!({"type": kind});
        fields.into_iter().for_each(|(field, value)| frame[field] = value);
        frame.to_string()
    });
    prop_oneof![4 => object, 1 => ".{0,200}", 1 => Just("[".repeat(30_000))]
}

#[test]
fn any_frames_are_answered_and_the_chat_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let quick = connector_chat::Config {
        address_per_minute: 1_000_000,
        address_hellos_per_minute: 1_000_000,
        ..config()
    };
    let run = |frames: Vec<String>, hello: bool| {
        runtime.block_on(async {
            let core = Core::new();
            let server = Server::with(&core, &quick, pace()).await;
            let mut client = Client::open(&server).await;
            if hello {
                client.say(json!({"type": "hello"})).await;
            }
            for frame in &frames {
                client.try_send(Message::text(frame.clone())).await;
            }
            client.try_send(Message::text(r#"{"type":"ping"}"#)).await;
            // One answer to a frame, or the chat is closed with a reason.
            let mut answers = 0;
            loop {
                match client.next().await {
                    Ok(answer) if answer["type"] == "pong" => break,
                    // The ping itself came before any hello.
                    Ok(answer) if !hello && answer["code"] == "hello_first" && answers == frames.len() => {
                        break;
                    }
                    Ok(answer) => {
                        assert!(answer.to_string().len() < 25_000, "{answer}");
                        answers += usize::from(answer["type"] != "message" && answer["type"] != "welcome");
                    }
                    Err(code) => {
                        assert_eq!(code, Some(4001), "of {frames:?}");
                        break;
                    }
                }
            }
            assert!(answers <= frames.len() + 1);
            for (event, raw) in core.accepted() {
                assert!(raw.bytes.len() <= 64 * 1024 && event.key.id.len() <= 100, "{:?}", event.key);
            }
        });
    };
    runner
        .run(&(prop::collection::vec(frame(), 1..12), any::<bool>()), |(frames, hello)| {
            run(frames, hello);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn what_is_no_text_or_too_large_ends_the_connection() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, _) = Client::welcomed(&server).await;
    client.send(Message::binary(vec![0xff; 10])).await;
    assert_eq!(client.closed().await, Some(1003));
    let (mut client, _) = Client::welcomed(&server).await;
    client.try_send(Message::text("x".repeat(1_000_000))).await;
    let code = client.closed().await;
    assert!(matches!(code, Some(1009) | None), "{code:?}");
    // And the house is as it was.
    let (mut client, _) = Client::welcomed(&server).await;
    client.line("m1", "hi").await;
    assert_eq!(client.hear().await["type"], "ack");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let core = Core::new();
    let pace = connector_chat::Pace { send: Duration::from_millis(100), ..pace() };
    let server = Server::with(&core, &config(), pace).await;
    let (client, secret) = Client::welcomed(&server).await;
    let who = crate::world::visitor(&secret);
    // More than both ends' buffers hold.
    let long = "x".repeat(100_000);
    for _ in 0..300 {
        core.append(&who, &long);
    }
    core.answer(&who, "last");
    let sockets = server.sockets.clone();
    crate::world::until(|| sockets.is_empty()).await;
    drop(client);
}
