//! What a visitor says: kept, and only then acknowledged.

use std::time::Duration;

use connector::{IntakeError, Sign};
use contact::chat::ChatFact;
use contact::{Event, IdentifierKind};
use serde_json::json;

use crate::people::{Client, Server};
use crate::world::{Core, change, config, pace, session, until, visitor};

fn texts(events: &[(Event, contact::RawBytes)]) -> Vec<String> {
    let text = |event: &Event| match change(event).fact {
        ChatFact::Line { text, .. } => text,
        other => panic!("{other:?}"),
    };
    events.iter().map(|(event, _)| text(event)).collect()
}

#[tokio::test]
async fn a_line_is_acknowledged_only_after_it_is_kept() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    core.hold(true);
    client.line("m1", "  Добрий день\u{0} ").await;
    // What is said after it is heard, so it was heard too; the pong waits behind the ack.
    client.say(json!({"type": "ping"})).await;
    client.say(json!({"type": "typing"})).await;
    until(|| core.told().iter().any(|signal| signal.what == Sign::Typing { agent: None })).await;
    assert_eq!(core.accepted().len(), 0);
    core.hold(false);
    assert_eq!(client.hear().await, json!({"type": "ack", "id": "m1"}));
    let accepted = core.accepted();
    assert_eq!(texts(&accepted), ["Добрий день"]);
    let (event, raw) = accepted.first().unwrap();
    assert!(raw.bytes.starts_with(br#"{"id":"m1""#), "the raw is the frame");
    assert_eq!(event.from.as_ref().unwrap().value, Some(visitor(&secret)));
    assert!(!String::from_utf8(event.to_json()).unwrap().contains(&secret), "a secret is never kept");
}

#[tokio::test]
async fn a_refused_line_is_not_acknowledged_and_can_be_sent_again() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    core.refuse(Some(IntakeError::Full { retry_after: Duration::from_millis(6500) }));
    client.line("m1", "a").await;
    let error = client.hear().await;
    assert_eq!(
        (&error["code"], &error["id"], &error["retry_after"]),
        (&json!("not_now"), &json!("m1"), &json!(7))
    );
    core.refuse(None);
    client.line("m1", "a").await;
    assert_eq!(client.hear().await, json!({"type": "ack", "id": "m1"}));
    assert_eq!(core.recorded(&visitor(&secret)), ["a"]);
}

#[tokio::test]
async fn an_intake_that_does_not_answer_is_no_ack() {
    let core = Core::new();
    let hasty = connector_chat::Pace { accept: Duration::from_millis(50), ..pace() };
    let server = Server::with(&core, &config(), hasty).await;
    let (mut client, _) = Client::welcomed(&server).await;
    core.hold(true);
    client.line("m1", "a").await;
    let error = client.hear().await;
    assert_eq!((&error["code"], &error["id"]), (&json!("not_now"), &json!("m1")));
}

#[tokio::test]
async fn a_record_that_does_not_answer_holds_up_no_line() {
    let core = Core::new();
    let server = Server::start(&core).await;
    core.stuck(true);
    let mut client = Client::open(&server).await;
    client.say(json!({"type": "hello", "after": 0})).await;
    assert_eq!(client.hear().await["seq"], json!(null));
    for id in ["m1", "m2", "m3"] {
        client.line(id, "a").await;
        assert_eq!(client.hear().await, json!({"type": "ack", "id": id}));
    }
}

#[tokio::test]
async fn a_line_sent_again_is_the_same_line_and_a_changed_one_is_another() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    for (id, text) in [("m0", "first"), ("m1", "a"), ("m1", "a"), ("m1", "b")] {
        client.line(id, text).await;
        assert_eq!(client.hear_of("ack").await["id"], id);
    }
    // Also from another connection, after the session is over.
    core.later(7200);
    let (mut again, _) = Client::back(&server, &secret, None).await;
    again.line("m1", "a").await;
    assert_eq!(again.hear_of("ack").await["id"], "m1");
    assert_eq!(texts(&core.accepted()), ["first", "a", "a", "b", "a"]);
    assert_eq!(core.recorded(&visitor(&secret)), ["first", "a", "b"]);
}

#[tokio::test]
async fn many_lines_are_kept_together_and_in_order() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    core.hold(true);
    for n in 0..50 {
        client.line(&format!("m{n}"), &n.to_string()).await;
    }
    core.hold(false);
    for n in 0..50 {
        assert_eq!(client.hear_of("ack").await["id"], format!("m{n}"));
    }
    let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(core.recorded(&visitor(&secret)), expected);
}

#[tokio::test]
async fn a_line_that_is_none_is_refused_and_nothing_is_kept() {
    let core = Core::new();
    let server = Server::with(&core, &connector_chat::Config { max_text: 5, ..config() }, pace()).await;
    let (mut client, _) = Client::welcomed(&server).await;
    for (id, text, code) in [
        ("m1", "6chars", "too_long"),
        ("m2", " \u{0}\n ", "empty"),
        ("m 3", "a", "bad_id"),
        ("", "a", "bad_id"),
    ] {
        client.line(id, text).await;
        assert_eq!(client.hear().await["code"], code);
    }
    assert_eq!(core.accepted().len(), 0);
    // Characters, not bytes, and what is trimmed does not count.
    client.line("m4", "  п'ять  ").await;
    assert_eq!(client.hear().await["type"], "ack");
}

#[tokio::test]
async fn a_session_ends_after_a_silence_and_when_it_is_resolved() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    let mut say = async |id: &str| {
        client.line(id, "x").await;
        client.hear_of("ack").await;
    };
    say("a").await;
    core.later(1799);
    say("b").await;
    core.later(1801);
    say("c").await;
    core.resolve(&visitor(&secret));
    core.later(60);
    say("d").await;
    // Another process goes on with what is recorded.
    let other = Server::start(&core).await;
    let (mut elsewhere, _) = Client::back(&other, &secret, None).await;
    elsewhere.line("e", "x").await;
    elsewhere.hear_of("ack").await;
    let sessions: Vec<_> = core.accepted().iter().map(|(event, _)| session(event)).collect();
    assert_eq!(sessions, ["a", "a", "c", "d", "d"]);
}

#[tokio::test]
async fn without_the_record_a_session_begins_and_goes_on() {
    let core = Core::new();
    let server = Server::start(&core).await;
    core.away(true);
    let mut client = Client::open(&server).await;
    client.say(json!({"type": "hello"})).await;
    assert_eq!(client.hear().await["seq"], json!(null));
    for id in ["a", "b"] {
        client.line(id, "x").await;
        client.hear_of("ack").await;
        core.later(60);
    }
    let sessions: Vec<_> = core.accepted().iter().map(|(event, _)| session(event)).collect();
    assert_eq!(sessions, ["a", "a"]);
}

#[tokio::test]
async fn what_a_visitor_types_about_themselves_is_claimed() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    client
        .say(
            json!({"type": "identify", "id": "i1", "email": " Olena@Client.Example", "phone": "044 123 45 67",
                    "name": "Олена"}),
        )
        .await;
    assert_eq!(client.hear().await, json!({"type": "ack", "id": "i1"}));
    client.line("m1", "hi").await;
    client.lines(1).await;
    let accepted = core.accepted();
    let claimed = change(&accepted[0].0);
    assert_eq!((claimed.fact.clone(), claimed.proved.len()), (ChatFact::Identified, 0));
    let values: Vec<_> = claimed
        .claimed
        .iter()
        .map(|party| (party.value.clone().unwrap(), party.name.clone().unwrap()))
        .collect();
    assert_eq!(
        values,
        [
            ("olena@client.example".to_owned(), "Олена".to_owned()),
            ("+380441234567".to_owned(), "Олена".to_owned())
        ]
    );
    assert_eq!(accepted[1].0.from.as_ref().unwrap().name.as_deref(), Some("Олена"), "and so they are shown");
    assert_eq!(session(&accepted[0].0), session(&accepted[1].0), "a form before the chat is part of it");

    client.say(json!({"type": "identify", "name": "Олена"})).await;
    client.hears_nothing().await;
    let named = change(&core.accepted()[2].0).claimed;
    assert_eq!((named[0].kind, named[0].value.clone()), (IdentifierKind::Visitor, Some(visitor(&secret))));

    for (claims, field) in [
        (json!({"email": "nobody"}), json!("email")),
        (json!({"phone": "112"}), json!("phone")),
        (json!({"email": " ", "name": ""}), json!(null)),
    ] {
        let mut frame = claims;
        frame["type"] = json!("identify");
        client.say(frame).await;
        let error = client.hear().await;
        assert_eq!((&error["code"], &error["field"]), (&json!("bad_claim"), &field));
    }
    assert_eq!(core.accepted().len(), 3);
}

#[tokio::test]
async fn reading_is_told_to_the_other_tabs_and_kept() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    let who = visitor(&secret);
    client.line("m1", "hi").await;
    core.answer(&who, "hello");
    client.lines(2).await;
    let (mut tab, _) = Client::back(&server, &secret, None).await;
    client.say(json!({"type": "read", "seq": 99})).await;
    assert_eq!(tab.hear().await, json!({"type": "read", "seq": 2}), "nobody reads what they were not shown");
    until(|| core.accepted().len() == 2).await;
    let read = core.accepted().pop().unwrap().0;
    assert_eq!((change(&read).fact, session(&read).as_str()), (ChatFact::Read { seq: 2 }, "m1"));
    let (mut later, _) = Client::back(&server, &secret, None).await;
    assert_eq!(later.hear().await, json!({"type": "read", "seq": 2}));
}

#[tokio::test]
async fn many_read_marks_are_kept_as_one_and_not_lost_at_the_end() {
    let core = Core::new();
    let slow = connector_chat::Pace { read: Duration::from_secs(600), ..pace() };
    let server = Server::with(&core, &config(), slow).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    client.line("m1", "hi").await;
    for text in ["one", "two", "three"] {
        core.answer(&visitor(&secret), text);
    }
    client.lines(4).await;
    for seq in [2, 3, 4, 1, -7] {
        client.say(json!({"type": "read", "seq": seq})).await;
    }
    client.hears_nothing().await;
    assert_eq!(core.accepted().len(), 1);
    client.send(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    until(|| server.sockets.is_empty()).await;
    let facts: Vec<_> = core.accepted().iter().skip(1).map(|(event, _)| change(event).fact).collect();
    assert_eq!(facts, [ChatFact::Read { seq: 4 }]);
}

#[tokio::test]
async fn that_a_visitor_writes_is_told_now_and_then_and_kept_nowhere() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    for _ in 0..5 {
        client.say(json!({"type": "typing"})).await;
    }
    client.hears_nothing().await;
    let told = core.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].visitor.clone(), told[0].what.clone()),
        (visitor(&secret), Sign::Typing { agent: None })
    );
    assert_eq!(core.accepted().len(), 0);
}
