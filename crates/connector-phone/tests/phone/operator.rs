//! What an operator does with what was kept.

use connector_phone::{Lines, ReleaseError, release_unverified, renormalise, reverify};
use contact::{Content, RawBytes, Suspect, Trust};

use crate::{Desk, FORM, PATH, lines, now, public_url, signed, source};

const RINGING: &[u8] = b"CallSid=CA1&Direction=inbound&From=%2B442079460018&CallStatus=ringing";

/// A request that was signed with another token than today's.
async fn held(body: &[u8], genuine: bool) -> Suspect {
    let desk = Desk::new();
    let mut request = signed(PATH, body);
    let signature = request.headers_mut().remove("x-twilio-signature").unwrap();
    desk.send(request).await;
    let mut suspect = desk.intake.held().remove(0);
    if genuine {
        // As if it had been signed, and our token had been wrong that day.
        let message = String::from_utf8(suspect.request.bytes().unwrap()).unwrap();
        let line = format!("x-twilio-signature: {}\r\n\r\n", signature.to_str().unwrap());
        let message = message.replacen("\r\n\r\n", &format!("\r\n{line}"), 1);
        suspect.request = RawBytes::new("message/http", message).inline();
    }
    suspect
}

#[tokio::test]
async fn a_held_request_is_released_when_it_verifies_today() {
    let suspect = held(RINGING, true).await;
    let events = reverify(&lines(), &suspect, &public_url()).unwrap();
    let [(event, raw)] = events.as_slice() else { panic!("one event") };
    assert_eq!((event.trust, event.received_at), (Trust::Verified, contact::micros(suspect.received_at)));
    assert_eq!((raw.media_type.as_str(), raw.bytes.as_slice()), (FORM, RINGING));

    let desk = Desk::new();
    desk.post(RINGING).await;
    let at_the_door = desk.intake.accepted().remove(0).0;
    assert_eq!(event.key, at_the_door.key, "the same fact as if it had come through the door");

    let unreadable = held(b"CallSid=CA1", true).await;
    let events = reverify(&lines(), &unreadable, &public_url()).unwrap();
    assert!(matches!(events[0].0.content, Content::Unreadable(_)));
}

#[tokio::test]
async fn a_forgery_is_released_only_marked() {
    let suspect = held(RINGING, false).await;
    let refused = reverify(&lines(), &suspect, &public_url()).unwrap_err();
    assert_eq!(refused.to_string(), "it does not verify with today's configuration: it has no signature");
    let (event, _) = release_unverified(&lines(), &suspect).unwrap().remove(0);
    assert_eq!(event.trust, Trust::Unverified);
    assert_eq!(event.contact.0, "phone/main-line/CA1");

    let gone = reverify(&Lines::new(), &suspect, &public_url()).unwrap_err();
    assert!(matches!(gone, ReleaseError::UnknownSource(_)));
    let mut empty = suspect.clone();
    empty.request.text = None;
    assert_eq!(release_unverified(&lines(), &empty).unwrap_err(), ReleaseError::Gone);
    empty.request = RawBytes::new("message/http", "garbage").inline();
    assert!(matches!(release_unverified(&lines(), &empty).unwrap_err(), ReleaseError::Garbled(_)));
}

#[tokio::test]
async fn a_raw_read_again_gives_the_same_events() {
    let desk = Desk::new();
    desk.post(RINGING).await;
    let (mut event, raw) = desk.intake.accepted().remove(0);
    event.raw = None;
    let again = renormalise(&lines(), &source("main-line"), &raw, now(), Trust::Verified).unwrap();
    assert_eq!(again, [event]);
    let why = renormalise(&Lines::new(), &source("main-line"), &raw, now(), Trust::Verified).unwrap_err();
    assert!(why.reason.contains("phone/main-line"), "{}", why.reason);
    let bad = RawBytes::new(FORM, "CallSid=");
    assert!(renormalise(&lines(), &source("main-line"), &bad, now(), Trust::Verified).is_err());
}
