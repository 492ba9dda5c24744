//! Tokens, polls and origins with wounds: nothing forged is believed, everything is answered briefly.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use connector::testing::hostile::{Wound, wounded};
use connector_chat::Secret;
use connector_chat::address::{email, phone};
use connector_chat::frame::{Frame, Said};
use connector_chat::token::Identity;
use contact::chat::Page;
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::world::{Core, KEY, SITE, chat, config, pace};

const NOW: i64 = 1_800_000_000;

fn wounds(most: usize) -> impl Strategy<Value = Vec<Wound>> {
    prop::collection::vec(any::<Wound>(), 1..most)
}

fn token(key: &str, claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn identity() -> Identity {
    Identity { secret: Secret::new(KEY), audience: Some("desk".to_owned()), issuer: None }
}

const FRAMES: [&[u8]; 22] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-0",
    b"1e999",
    b"99999999999999999999",
    b"{\"type\":\"hello\"}",
    b"{\"type\":\"message\",\"id\":\"a\",\"text\":\"b\"}",
    b"{\"type\":\"identify\",\"email\":\"a@b.example\"}",
    b"{\"type\":\"read\",\"seq\":9223372036854775807}",
    b"{\"type\":\"typing\"}",
    b"\"type\":\"message\"",
    b"\"after\":-9223372036854775808",
    b"\"visitor\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
    b"\"token\":\"a.b.c\"",
    b"\xff\xfe",
];

proptest! {
    #[test]
    fn fuzz_of_a_genuine_token_nothing_may_be_changed(wounds in wounds(5), other in any::<bool>()) {
        let claims = json!({"sub": "42", "exp": NOW + 60, "aud": "desk", "email": "olena@client.example"});
        let now = Timestamp::from_second(NOW).unwrap();
        let genuine = token(KEY, &claims);
        let stolen = token("another key of thirty-two bytes!", &json!({"sub": "43", "exp": NOW + 60, "aud": "desk"}));
        prop_assert_eq!(identity().prove(&genuine, None, now).unwrap().sub, "42");
        // Parts of other tokens, and heads that ask for less.
        let mut words: Vec<&[u8]> = stolen.split('.').map(str::as_bytes).collect();
        words.extend([b".".as_slice(), b"=", b"eyJhbGciOiJub25lIn0", b"eyJhbGciOiJIUzM4NCJ9", b"eyJhbGciOiJSUzI1NiJ9", b"\0", b"A"]);
        let from = if other { &stolen } else { &genuine };
        let forged = String::from_utf8_lossy(&wounded(from.as_bytes(), &words, &wounds)).into_owned();
        if forged != genuine {
            let told = identity().prove(&forged, None, now);
            prop_assert!(told.is_err(), "{} proves {:?}", forged, told);
            prop_assert!(told.unwrap_err().to_string().len() < 200);
        }
    }

    #[test]
    fn fuzz_signed_claims_of_any_kind_prove_something_or_nothing(
        exp in prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), ".{0,9}".prop_map(Value::from)],
        nbf in prop::option::of(any::<f64>()),
        sub in prop_oneof![".{0,300}".prop_map(Value::from), any::<i64>().prop_map(Value::from)],
        email in prop::option::of(".{0,60}"),
        phone in prop::option::of(".{0,60}"),
        name in prop::option::of(".{0,300}"),
    ) {
        let claims = json!({"sub": sub, "exp": exp, "nbf": nbf, "aud": ["desk"], "email": email, "phone": phone, "name": name});
        let now = Timestamp::from_second(NOW).unwrap();
        if let Ok(proof) = identity().prove(&token(KEY, &claims), Some("UA".parse().unwrap()), now) {
            prop_assert!((1..=255).contains(&proof.sub.len()) && proof.parties.len() <= 2);
            prop_assert!(claims["exp"].as_f64().is_some_and(|exp| exp + 30.0 > NOW as f64));
            prop_assert!(proof.name.is_none_or(|name| name.chars().count() <= 100 && !name.contains(char::is_control)));
        }
    }

    #[test]
    fn fuzz_a_frame_is_read_or_told_briefly_what_is_wrong(wounds in wounds(6), which in any::<prop::sample::Index>()) {
        let frame = which.get(&FRAMES[12..17]);
        let text = String::from_utf8_lossy(&wounded(frame, &FRAMES, &wounds)).into_owned();
        match Frame::read(&text) {
            Err(Said::Error(fault)) => prop_assert!(fault.detail.chars().count() <= 300 && !fault.detail.contains(char::is_control)),
            Err(other) => prop_assert!(false, "{:?}", other),
            Ok(_) => {}
        }
    }

    #[test]
    fn fuzz_what_is_typed_becomes_an_address_or_none(text in prop_oneof![".{0,80}", "[a-z.+]{0,70}@[a-zäß.-]{0,80}", "[+0-9 ()-]{0,70}"]) {
        for party in [email(&text, None), phone(&text, None, Some("UA".parse().unwrap()))] {
            prop_assert!(party.raw.chars().count() <= 200 && !party.raw.contains(char::is_control));
            prop_assert!(party.value.is_none_or(|value| value.len() <= 320 && !value.contains(char::is_whitespace)));
        }
        let page = Page { url: Some(text.clone()), title: Some(text) };
        if let Some(url) = connector_chat::frame::page(page).and_then(|page| page.url) {
            prop_assert!(url.starts_with("http"));
        }
    }
}

proptest! {
    // A case is a house: a quarter of what others try by default.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(4)))]

    #[test]
    fn fuzz_a_poll_is_answered_and_keeps_what_it_acknowledges(wounds in wounds(6), lines in 0_usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let core = Core::new();
            let mut frames = vec![json!({"type": "hello", "visitor": null, "after": 0})];
            frames.extend((0..lines).map(|nth| json!({"type": "message", "id": format!("m{nth}"), "text": "hi"})));
            let body = wounded(json!(frames).to_string().as_bytes(), &FRAMES, &wounds);
            let (status, said) = polled(&core, SITE, body).await;
            prop_assert!(status == StatusCode::OK || status.is_client_error(), "{}", status);
            prop_assert!(said.to_string().len() < 400_000);
            let told = said.as_array().map_or(0, |said| said.iter().filter(|frame| frame["type"] == "ack").count());
            let kept = core.accepted();
            prop_assert!(told == 0 || !kept.is_empty(), "acknowledged, but not kept");
            for (event, raw) in kept {
                prop_assert!(raw.bytes.len() <= 64 * 1024 && event.key.id.len() <= 100, "{:?}", event.key);
            }
            Ok(())
        })?;
    }

    #[test]
    fn fuzz_no_site_passes_for_another(
        wounds in prop::collection::vec(any::<Wound>(), 0..3),
        before in prop::sample::select(vec!["", "", "https://evil.example#", "https://evil.example/", "https://x@", "x"]),
        after in prop::sample::select(vec!["", "", "/", ".", ".evil.example", "@evil.example", ":8443", ":443", "#", "/path", ", null"]),
    ) {
        let words: [&[u8]; 9] = [b"https://", b"http://", b"://", b"@", b"#", b"?", b"\\", b".evil.example", b"null"];
        let origin = wounded(format!("{before}{SITE}{after}").as_bytes(), &words, &wounds);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let core = Core::new();
            let Ok(header) = axum::http::HeaderValue::from_bytes(&origin) else { return Ok(()) };
            let text = String::from_utf8_lossy(&origin).into_owned();
            let (status, _) = polled(&core, header, br#"[{"type":"hello"},{"type":"message","id":"a","text":"b"}]"#.to_vec()).await;
            // Whatever a browser means by it, as the standard reads it.
            let meant = url::Url::parse(&text).map(|url| url.origin().ascii_serialization());
            if meant.as_deref() != Ok(SITE) {
                prop_assert_eq!(status, StatusCode::FORBIDDEN, "{}", text);
                prop_assert!(core.accepted().is_empty());
            }
            Ok(())
        })?;
    }
}

async fn polled(
    core: &std::sync::Arc<Core>,
    origin: impl TryInto<axum::http::HeaderValue, Error: Into<axum::http::Error>>,
    body: Vec<u8>,
) -> (StatusCode, Value) {
    // Nothing is waited for, because nothing more will come.
    let pace = connector_chat::Pace { poll: std::time::Duration::from_millis(1), ..pace() };
    let routes = chat(core, &config(), pace, CancellationToken::new()).0.routes;
    let request = Request::post("/chat/site/poll").header("origin", origin).body(Body::from(body)).unwrap();
    let (parts, body) = routes.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, serde_json::from_slice(&body).unwrap_or_default())
}
