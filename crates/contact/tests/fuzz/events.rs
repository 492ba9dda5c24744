//! What is read back from the bus, the log and a URL may be anything: an answer, never a panic, and what is
//! understood survives being written again.

use std::fs;
use std::path::Path;

use contact::{
    ClientId, ContactId, ConversationId, EntryId, Event, IdentifierKind, Order, Raw, SourceName, Suspect,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn specimens() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("history");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

/// What a field may hold that was not meant for it.
fn value() -> impl Strategy<Value = Value> {
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(deep),
        Just(json!({"kind": "phone", "value": "\0", "raw": "", "name": null})),
        Just(json!("x".repeat(100_000))),
        prop::sample::select(vec![
            "",
            "/",
            "phone/",
            "phone/main/line",
            "fax/x",
            "\0",
            "\u{202e}",
            "cli_0198b2c3d4e570008000000000000001",
            "cli_ffffffffffffffffffffffffffffffff",
            "9999-12-30T22:00:00.999999999Z",
            "-009999-01-02T01:59:59Z",
            "2026-02-30T25:61:61Z",
            "2026-11-21T10:15:02.123456789Z",
            "frontdesk.call.v1",
            "frontdesk.email.v1",
            "frontdesk.chat.v1",
            "frontdesk.decision.v1",
            "frontdesk.call.v2",
            "====",
        ])
        .prop_map(Value::from),
    ]
}

/// Every place in a document, from its root down.
fn places(document: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    match document {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
            places(inner, &format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(nth, inner)| places(inner, &format!("{here}/{nth}"), into));
        }
        _ => {}
    }
}

/// A document with some of its places taken out or replaced.
fn changed(mut document: Value, changes: &[(prop::sample::Index, Option<Value>)]) -> Value {
    for (which, change) in changes {
        let mut all = Vec::new();
        places(&document, "", &mut all);
        let place = which.get(&all);
        match change {
            Some(value) => *document.pointer_mut(place).unwrap() = value.clone(),
            None => {
                let Some((parent, name)) = place.rsplit_once('/') else { continue };
                if let Some(Value::Object(fields)) = document.pointer_mut(parent) {
                    fields.remove(name);
                }
            }
        }
    }
    document
}

fn is_well_read(bytes: &[u8]) -> Result<(), TestCaseError> {
    let event = match Event::from_json(bytes) {
        Ok(event) => event,
        Err(error) => {
            prop_assert!(!error.to_string().is_empty());
            return Ok(());
        }
    };
    let again = Event::from_json(&event.to_json());
    prop_assert_eq!(again.unwrap(), event.clone(), "what is written is what is read");
    let _ = (event.key.digest(), event.contact.digest(), event.client_party());
    if let Some(raw) = &event.raw {
        raw.bytes();
        prop_assert!(raw.blob_path().starts_with("raw/"));
    }
    Ok(())
}

proptest! {
    #[test]
    fn fuzz_an_event_with_odd_fields_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.8, value())), 1..5),
    ) {
        let document = changed(which.get(&specimens()).clone(), &changes);
        is_well_read(document.to_string().as_bytes())?;
    }

    #[test]
    fn fuzz_the_bytes_of_an_event_may_be_any(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = which.get(&specimens()).to_string().into_bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_well_read(&bytes)?;
        bytes.truncate(cut.index(bytes.len()));
        bytes.extend(tail);
        is_well_read(&bytes)?;
    }

    #[test]
    fn fuzz_what_lies_on_a_shelf_or_waits_to_be_sent_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.8, value())), 0..4),
    ) {
        let suspect = json!({
            "id": "00000000000000000000000000000000", "source": "phone/main", "received_at": "2026-11-21T10:15:02Z",
            "peer": "127.0.0.1", "reason": "it has no signature",
            "request": {"sha256": "00", "size": 3, "media_type": "message/http", "base64": "AAAA"},
        });
        let order = json!({
            "reply": "ent_0198b2c3d4e570008000000000000001", "attempt": 1, "written_at": "2026-11-21T10:15:02Z",
            "to": "a@b.example", "name": null, "agent": "Mia", "text": "Hi", "seq": 1,
            "thread": {"subject": "s", "in_reply_to": null, "references": ["a@b"]},
        });
        if changes.is_empty() {
            prop_assert!(serde_json::from_value::<Order>(order.clone()).is_ok(), "the specimen itself is good");
            prop_assert!(Suspect::from_json(suspect.to_string().as_bytes()).is_ok());
        }
        if let Ok(suspect) = Suspect::from_json(changed(suspect, &changes).to_string().as_bytes()) {
            suspect.request.bytes();
            prop_assert_eq!(&Suspect::from_json(&serde_json::to_vec(&suspect).unwrap()).unwrap(), &suspect);
        }
        if let Ok(order) = serde_json::from_value::<Order>(changed(order, &changes)) {
            let again: Order = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
            prop_assert_eq!(again, order);
        }
    }

    #[test]
    fn fuzz_a_name_or_an_id_is_its_own_text_or_none(text in prop_oneof![
        ".{0,60}", "(phone|email|chat|desk|fax)/[a-z][a-z0-9-]{0,60}", "[a-z]{3,8}/[a-zA-Z0-9_./-]{0,9}", "(cli|con|cnv|ent)_[0-9a-fA-F]{30,34}",
    ]) {
        if let Ok(source) = text.parse::<SourceName>() {
            prop_assert_eq!(source.as_str(), &text);
            prop_assert!(source.name().len() <= 40);
        }
        let ids = [
            text.parse::<ClientId>().map(|id| id.to_string()),
            text.parse::<ContactId>().map(|id| id.to_string()),
            text.parse::<ConversationId>().map(|id| id.to_string()),
            text.parse::<EntryId>().map(|id| id.to_string()),
        ];
        prop_assert!(ids.iter().flatten().all(|id| id.eq_ignore_ascii_case(&text)), "{:?}", ids);
        prop_assert!(ids.iter().flatten().count() <= 1, "kinds are told apart: {:?}", ids);
        if let Ok(kind) = text.parse::<IdentifierKind>() {
            prop_assert_eq!(kind.as_str(), text);
        }
    }

    #[test]
    fn fuzz_a_raw_that_is_no_raw_has_no_bytes(text in prop::option::of(".{0,20}"), coded in prop::option::of("[A-Za-z0-9+/=_-]{0,20}")) {
        let raw = Raw { sha256: "ж".repeat(3), size: u64::MAX, media_type: String::new(), text, base64: coded };
        raw.bytes();
        prop_assert!(raw.blob_path().len() < 200);
    }
}
