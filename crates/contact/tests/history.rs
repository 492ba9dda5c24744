//! Every version of the event ever published is still read, and what is written today is what is read.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::fs;
use std::path::Path;

use contact::{Act, Actor, ChatChange, ChatFact, Content, Deed, Event, ReplyChange, ReplyFate, Undecodable};

fn specimens() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("history");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn every_specimen_is_read_and_survives_the_round_trip() {
    let specimens = specimens();
    assert!(specimens.len() >= 28, "the history is not to be thinned out");
    for (name, bytes) in specimens {
        let event = Event::from_json(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(name.starts_with(event.content.type_name()), "{name} holds a {}", event.content.type_name());
        assert_eq!(Event::from_json(&event.to_json()).unwrap(), event, "{name}");
    }
}

#[test]
fn every_type_has_a_specimen() {
    let names: Vec<_> = specimens().into_iter().map(|(name, _)| name).collect();
    let act = |by| {
        let id = "cnv_0198b2c3d4e570008000000000000001".parse().unwrap();
        Content::Act(Box::new(Act { by, deed: Deed::Resolve { conversation: id } }))
    };
    for content in [
        act(Actor::Agent("anna".to_owned())),
        act(Actor::Policy("a-rule/1".to_owned())),
        Content::Chat(Box::new(ChatChange {
            fact: ChatFact::Identified,
            proved: Vec::new(),
            claimed: Vec::new(),
            page: None,
        })),
        Content::Reply(ReplyChange {
            reply: "ent_0198b2c3d4e570008000000000000001".parse().unwrap(),
            attempt: 1,
            fate: ReplyFate::Sent,
            detail: None,
            message_id: None,
        }),
        Content::Call(contact::CallChange::default()),
        Content::Email(Box::default()),
        Content::Unreadable(contact::Unreadable { reason: String::new(), field: None }),
    ] {
        assert!(names.iter().any(|name| name.starts_with(content.type_name())), "{}", content.type_name());
    }
}

#[test]
fn forgetting_is_told_from_leaving_as_it_is() {
    let (_, bytes) = specimens().into_iter().find(|(name, _)| name.contains("act.v1-change")).unwrap();
    let event = Event::from_json(&bytes).unwrap();
    let Content::Act(act) = &event.content else { panic!("{event:?}") };
    let Deed::Change { name, preferred_channel, language, .. } = &act.deed else { panic!("{act:?}") };
    assert_eq!((name, preferred_channel), (&None, &Some(None)));
    assert_eq!(language, &Some(Some("uk".to_owned())));
}

#[test]
fn what_is_not_an_event_says_why() {
    let (_, good) = specimens().into_iter().find(|(name, _)| name.starts_with("frontdesk.call")).unwrap();
    let text = String::from_utf8(good).unwrap();
    let unknown = text.replace("frontdesk.call.v1", "frontdesk.fax.v9");
    assert!(
        matches!(Event::from_json(unknown.as_bytes()), Err(Undecodable::UnknownType(t)) if t == "frontdesk.fax.v9")
    );
    let empty = text.replace("\"call\"", "\"column\"");
    assert!(matches!(Event::from_json(empty.as_bytes()), Err(Undecodable::MissingPart(_))));
    assert!(matches!(Event::from_json(b"{"), Err(Undecodable::Json(_))));
    let newer = text.replace("\"outcome\"", "\"mood\": 1, \"outcome\"");
    assert!(Event::from_json(newer.as_bytes()).is_ok(), "an unknown field is no reason to refuse");
}
