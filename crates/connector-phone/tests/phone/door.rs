//! What each sender is told, and what was kept of what it sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use connector::IntakeError;
use connector::testing::MemoryIntake;
use connector_phone::providers::twilio;
use contact::{Content, Event, Trust};

use crate::{Desk, FORM, PATH, PATH_SECRET, TOKEN, signed};

const RINGING: &[u8] = b"CallSid=CA1&Direction=inbound&From=%2B442079460018&CallStatus=ringing";

#[tokio::test]
async fn a_call_is_kept_and_answered_with_what_twilio_wants() {
    let desk = Desk::new();
    let told = desk.post(RINGING).await;
    assert_eq!((told.status, told.header("content-type")), (StatusCode::OK, "text/xml"));
    assert!(told.body.ends_with("<Response/>"));
    let callback = [RINGING, b"&SequenceNumber=1"].concat();
    let told = desk.post(&callback).await;
    assert_eq!((told.status, told.body.as_str()), (StatusCode::NO_CONTENT, ""));
    let accepted = desk.intake.accepted();
    assert_eq!(accepted.len(), 2);
    let (event, raw) = &accepted[0];
    assert_eq!(event.contact.0, "phone/main-line/CA1");
    assert_eq!(event.trust, Trust::Verified);
    assert_eq!((raw.media_type.as_str(), raw.bytes.as_slice()), (FORM, RINGING));
}

#[tokio::test]
async fn a_get_carries_its_call_in_the_url() {
    let desk = Desk::new();
    let target = format!("{PATH}?{}", String::from_utf8(RINGING.to_vec()).unwrap());
    let url = format!("https://hub.example.net{target}");
    let signature = twilio::sign::<&str, &str>(TOKEN.as_bytes(), &url, &[]);
    let get = Request::get(&target).header("x-twilio-signature", signature).body(Body::empty()).unwrap();
    assert_eq!(desk.send(get).await.status, StatusCode::OK);
    let (event, raw) = desk.intake.accepted().remove(0);
    assert_eq!((raw.media_type.as_str(), raw.bytes.as_slice()), (FORM, RINGING));
    assert_eq!(event.contact.0, "phone/main-line/CA1");
}

#[tokio::test]
async fn a_trace_is_taken_over_when_well_formed() {
    let desk = Desk::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for given in [trace, "00-nonsense"] {
        let mut request = signed(PATH, RINGING);
        request.headers_mut().insert("traceparent", given.parse().unwrap());
        desk.send(request).await;
    }
    let traces: Vec<_> = desk.intake.accepted().into_iter().map(|(event, _)| event.traceparent).collect();
    assert_eq!(traces, [Some(trace.to_owned()), None]);
}

#[tokio::test]
async fn nobody_learns_which_hooks_exist() {
    let desk = Desk::new();
    let mut answers = Vec::new();
    for target in [
        "/hooks/phone/unknown".to_owned(),
        "/hooks/phone/Not-A-Name".to_owned(),
        "/hooks/phone/%ff".to_owned(),
        "/hooks/phone/walled".to_owned(),
        "/hooks/phone/walled/wrong".to_owned(),
        format!("/hooks/phone/walled/{PATH_SECRET}x"),
        format!("{PATH}/{PATH_SECRET}"),
    ] {
        let told = desk.send(signed(&target, RINGING)).await;
        assert_eq!(told.status, StatusCode::NOT_FOUND, "{target}");
        answers.push(told.problem());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "they are told apart by nothing");
    assert_eq!(desk.kept(), (0, 0));
    let right = desk.send(signed(&format!("/hooks/phone/walled/{PATH_SECRET}"), RINGING)).await;
    assert_eq!(right.status, StatusCode::OK);
    let unsigned = Request::post(format!("/hooks/phone/walled/{PATH_SECRET}")).body(Body::empty()).unwrap();
    assert_eq!(
        desk.send(unsigned).await.status,
        StatusCode::UNAUTHORIZED,
        "the secret replaces no signature"
    );
}

#[tokio::test]
async fn a_forgery_is_refused_and_held_whole() {
    let desk = Desk::new();
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    let mut forged = signed(PATH, RINGING);
    forged.headers_mut().insert("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap());
    forged.extensions_mut().insert(ConnectInfo(peer));
    let told = desk.send(forged).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert_eq!(told.problem()["title"], "Unauthorized");
    let unsigned = Request::post(PATH).header("content-type", FORM).body(Body::from(RINGING)).unwrap();
    assert_eq!(desk.send(unsigned).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(desk.kept(), (0, 2));
    let held = desk.intake.held();
    assert_eq!(held[0].peer.as_deref(), Some("192.0.2.7"));
    assert_eq!(
        (held[0].reason.as_str(), held[1].reason.as_str()),
        ("its signature is wrong", "it has no signature")
    );
    let message = String::from_utf8(held[0].request.bytes().unwrap()).unwrap();
    assert!(message.starts_with("POST /hooks/phone/main-line HTTP/1.1\r\n"), "{message}");
    assert!(message.ends_with(&format!("\r\n\r\n{}", String::from_utf8(RINGING.to_vec()).unwrap())));
}

#[tokio::test]
async fn other_methods_are_refused() {
    let desk = Desk::new();
    for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let mut request = signed(PATH, RINGING);
        *request.method_mut() = method.clone();
        let told = desk.send(request).await;
        assert_eq!(
            (told.status, told.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, POST"),
            "{method}"
        );
    }
    assert_eq!(desk.kept(), (0, 0));
}

/// Bodies that are signed and cannot be read, the field at fault, and that they are kept for later.
#[tokio::test]
async fn what_is_genuine_but_unreadable_is_refused_and_kept() {
    let many = (0..100_000).map(|n| format!("f{n}=1&")).collect::<String>();
    let bodies: [(&[u8], Option<&str>); 9] = [
        (b"", Some("CallSid")),
        (b"CallSid=CA1", Some("CallStatus")),
        (b"CallSid=CA1%00&CallStatus=ringing", Some("CallSid")),
        (b"CallSid=CA1&CallStatus=ringing&CallerName=%ff%fe", Some("CallerName")),
        (b"CallSid=CA1&CallStatus=ringing\xff", Some("CallStatus")),
        (b"%ff=1&CallSid=CA1&CallStatus=ringing", Some("\u{fffd}")),
        (b"CallSid=CA1&CallSid=CA2&CallStatus=ringing", Some("CallSid")),
        (b"\x00\x01\x02", Some("CallSid")),
        (many.as_bytes(), None),
    ];
    for (body, field) in bodies {
        let desk = Desk::new();
        let told = desk.post(body).await;
        let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{shown}");
        assert_eq!(told.problem().get("field").and_then(|f| f.as_str()), field, "{shown}");
        let accepted = desk.intake.accepted();
        let [(event, raw)] = accepted.as_slice() else { panic!("{shown}: {} kept", accepted.len()) };
        assert!(matches!(&event.content, Content::Unreadable(why) if why.field.as_deref() == field));
        assert!(event.key.id.starts_with("unreadable:"), "{}", event.key.id);
        assert_eq!(raw.bytes, body, "{shown}");
        let read = Event::from_json(&event.to_json()).unwrap();
        assert_eq!(&read, event, "{shown}: a dead letter survives its journey");
    }
}

#[tokio::test]
async fn odd_but_readable_values_are_kept_bounded() {
    let desk = Desk::new();
    let long = "9".repeat(300_000);
    let body =
        format!("CallSid=CA1&CallStatus=ringing&CallerName=A%00B{long}&From={long}&Timestamp=tomorrow");
    assert_eq!(desk.post(body.as_bytes()).await.status, StatusCode::OK);
    let (event, _) = desk.intake.accepted().remove(0);
    let from = event.from.as_ref().unwrap();
    assert_eq!(from.value, None);
    assert!(from.raw.len() <= 200 && from.name.as_ref().unwrap().starts_with("AB9"));
    assert!(event.to_json().len() < 300_000 + 2_000, "the raw is a reference, the rest is cut");
    assert_eq!(event.occurred_at, event.received_at, "a time that is none is the time of receipt");
}

#[tokio::test]
async fn a_clock_that_runs_ahead_moves_no_call_into_the_future() {
    let desk = Desk::new();
    let late = "&SequenceNumber=1&Timestamp=Mon%2C+03+Mar+2025+10%3A33%3A01+%2B0000";
    let future = "&SequenceNumber=1&Timestamp=Mon%2C+03+Mar+2031+10%3A33%3A01+%2B0000";
    for rest in [late, future] {
        let body = [RINGING, rest.as_bytes()].concat();
        assert_eq!(desk.post(&body).await.status, StatusCode::NO_CONTENT);
    }
    let times: Vec<_> = desk.intake.accepted().iter().map(|(e, _)| e.occurred_at.to_string()).collect();
    assert_eq!(times, ["2025-03-03T10:33:01Z", "2025-03-03T11:00:00.123456Z"]);
}

#[tokio::test]
async fn a_retry_is_one_fact_and_a_changed_retry_is_two() {
    let desk = Desk::new();
    for rest in ["", "", "&CallerName=ACME"] {
        desk.post(&[RINGING, rest.as_bytes()].concat()).await;
    }
    let keys: Vec<_> = desk.intake.accepted().into_iter().map(|(event, _)| event.key).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_comes() {
    let mut desk = Desk::new();
    desk.doors.body_limit = 100;
    assert_eq!(desk.post(&[b'a'; 101]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let announced = Request::post(PATH).header("content-length", "101").body(Body::empty()).unwrap();
    assert_eq!(desk.send(announced).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = futures::stream::iter((0..101).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"a"))));
    let told = desk.send(Request::post(PATH).body(Body::from_stream(chunks)).unwrap()).await;
    assert_eq!(told.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(told.problem()["detail"].as_str().unwrap().contains("100 bytes"));
    assert_eq!(desk.kept(), (0, 0));
    assert_eq!(desk.post(RINGING).await.status, StatusCode::OK, "a smaller one is taken");
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_and_a_broken_one_refused() {
    let desk = Desk::new();
    let mut request = signed(PATH, RINGING);
    let pieces: Vec<_> =
        RINGING.chunks(7).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
    *request.body_mut() = Body::from_stream(futures::stream::iter(pieces));
    assert_eq!(desk.send(request).await.status, StatusCode::OK);
    let mut request = signed(PATH, RINGING);
    let broken = [Ok(Bytes::from_static(b"CallSid")), Err(std::io::Error::other("the wire was cut"))];
    *request.body_mut() = Body::from_stream(futures::stream::iter(broken));
    assert_eq!(desk.send(request).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(desk.kept(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let desk = Desk::new();
    let mut request = signed(PATH, RINGING);
    *request.body_mut() = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let began = tokio::time::Instant::now();
    let told = desk.send(request).await;
    assert_eq!(told.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(told.problem()["title"], "Request Timeout");
    assert!(began.elapsed() >= Duration::from_secs(30) && began.elapsed() < Duration::from_secs(31));
}

#[tokio::test]
async fn nothing_is_promised_while_the_intake_refuses() {
    for (error, pause) in [
        (IntakeError::Full { retry_after: Duration::from_secs(7) }, "7"),
        (IntakeError::Broken { reason: "disk".into(), retry_after: Duration::from_millis(1_001) }, "2"),
        (IntakeError::Full { retry_after: Duration::ZERO }, "1"),
    ] {
        let desk = Desk::over(Arc::new(MemoryIntake::refusing(error)));
        for body in [RINGING, b"CallSid="] {
            let told = desk.post(body).await;
            assert_eq!((told.status, told.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, pause));
            assert_eq!(told.problem()["title"], "Service Unavailable");
        }
    }
}
