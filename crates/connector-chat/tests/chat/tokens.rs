//! Visitors whom their site names.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::people::{Client, Server};
use crate::world::{Core, KEY, change, config, pace};

/// The clock of the tests begins here.
const NOW: i64 = 1_800_000_000;

fn token(key: &str, claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn claims() -> Value {
    json!({"sub": "42", "exp": NOW + 60, "email": "olena@client.example", "phone": "+380441234567", "name": "Олена"})
}

async fn hello(server: &Server, token: &str, visitor: Option<&str>) -> (Client, Value) {
    let mut client = Client::open(server).await;
    client.say(json!({"type": "hello", "token": token, "visitor": visitor, "after": 0})).await;
    let said = client.hear().await;
    (client, said)
}

#[tokio::test]
async fn a_token_proves_who_it_is_on_every_line() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, welcome) = hello(&server, &token(KEY, &claims()), None).await;
    assert_eq!(welcome, json!({"type": "welcome", "visitor": null, "seq": 0}));
    for id in ["a", "b"] {
        client.line(id, "x").await;
        client.hear_of("ack").await;
    }
    for (event, _) in core.accepted() {
        let values: Vec<_> = change(&event).proved.into_iter().filter_map(|party| party.value).collect();
        assert_eq!(values, ["olena@client.example", "+380441234567"]);
        assert_eq!(event.from.unwrap().name.as_deref(), Some("Олена"));
    }
    // The same person, on another machine, with a new token.
    let (mut elsewhere, welcome) =
        hello(&server, &token(KEY, &json!({"sub": "42", "exp": NOW + 900})), None).await;
    assert_eq!(welcome["seq"], 2);
    assert_eq!(elsewhere.lines(2).await.len(), 2);
}

#[tokio::test]
async fn a_forged_or_expired_token_goes_to_no_timeline() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (_anonymous, secret) = Client::welcomed(&server).await;
    let expired = token(KEY, &json!({"sub": "42", "exp": NOW - 60}));
    for (token, code) in [
        (token("another key", &claims()), "bad_token"),
        (token(KEY, &json!({"sub": "42"})), "bad_token"),
        ("x".repeat(9000), "bad_token"),
        (String::new(), "bad_token"),
        (expired, "expired_token"),
    ] {
        // Not even as who they were without it.
        let (mut client, said) = hello(&server, &token, Some(&secret)).await;
        assert_eq!((&said["type"], &said["code"]), (&json!("error"), &json!(code)));
        client
            .try_send(tokio_tungstenite::tungstenite::Message::text(
                json!({"type": "message", "id": "m1", "text": "let me in"}).to_string(),
            ))
            .await;
        assert_eq!(client.closed().await, Some(4001));
    }
    assert_eq!(core.accepted().len(), 0);
    // Where no tokens are taken, none is good.
    let config = connector_chat::Config { identity_secret: None, ..config() };
    let server = Server::with(&core, &config, pace()).await;
    let (mut client, said) = hello(&server, &token(KEY, &claims()), None).await;
    assert_eq!((&said["code"], client.closed().await), (&json!("bad_token"), Some(4001)));
}

#[tokio::test]
async fn who_knows_a_sub_but_no_key_does_not_read_its_chat() {
    let core = Core::new();
    let server = Server::start(&core).await;
    // Chosen by the site to look like a secret.
    let sub = "A".repeat(43);
    let named = token(KEY, &json!({"sub": sub, "exp": NOW + 60}));
    let (mut client, _) = hello(&server, &named, None).await;
    client.line("m1", "private").await;
    client.lines(1).await;
    let (mut thief, welcome) = Client::back(&server, &sub, Some(0)).await;
    assert_eq!(welcome["seq"], 0);
    thief.hears_nothing().await;
    thief.line("m2", "mine").await;
    thief.lines(1).await;
    client.hears_nothing().await;
}
