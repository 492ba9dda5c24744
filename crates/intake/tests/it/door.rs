//! The door as connectors see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use connector::{Held, Intake, IntakeError, Quarantine};
use contact::{
    Channel, ContactKey, Content, Direction, Event, EventKey, RawBytes, SourceName, Suspect, Trust,
    Unreadable,
};
use intake::{Limits, QuarantineDoor};
use jiff::Timestamp;
use object_store::ObjectStoreExt;

use crate::support::{Desk, Setting, eventually, small};

fn source() -> SourceName {
    SourceName::new(Channel::Phone, "main-line").unwrap()
}

fn event(id: &str) -> Event {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Event {
        key: EventKey { source: source(), id: id.into() },
        contact: ContactKey::new(&source(), id),
        occurred_at: at,
        received_at: at,
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: None,
        to: vec![],
        content: Content::Unreadable(Unreadable { reason: "for a test".into(), field: None }),
        raw: None,
    }
}

#[tokio::test]
async fn a_small_raw_rides_inside_the_event() {
    let desk = Desk::new();
    let raw = RawBytes::new("text/plain", "CallSid=CA1");
    desk.door.accept(event("CA1"), raw.clone()).await.unwrap();
    desk.drained().await;
    let arrived = desk.broker.arrived();
    let [(subject, body)] = arrived.as_slice() else { panic!("{arrived:?}") };
    assert_eq!(subject, "contact.v1.phone.main-line");
    let mut expected = event("CA1");
    expected.raw = Some(raw.inline());
    assert_eq!(Event::from_json(body).unwrap(), expected);
}

#[tokio::test]
async fn a_large_raw_goes_beside_it() {
    let desk = Desk::new();
    let raw = RawBytes::new("text/plain", vec![b'x'; contact::INLINE_LIMIT + 1]);
    desk.door.accept(event("CA1"), raw.clone()).await.unwrap();
    desk.drained().await;
    let published = Event::from_json(&desk.broker.bodies()[0]).unwrap().raw.unwrap();
    assert_eq!(published, raw.reference());
    let blob = desk.blobs.get(&published.blob_path().into()).await.unwrap().bytes().await.unwrap();
    assert_eq!(blob, raw.bytes);
}

#[tokio::test]
async fn a_full_journal_is_told_to_the_connector() {
    let desk = Setting { limits: Limits { max_bytes: 500, ..small() }, ..Setting::default() }.open();
    desk.broker.disconnect();
    let raw = RawBytes::new("text/plain", vec![b'x'; 600]);
    let refusal = desk.door.accept(event("CA1"), raw).await.unwrap_err();
    assert!(matches!(refusal, IntakeError::Full { retry_after } if retry_after.as_secs() > 0));
}

#[tokio::test]
async fn a_stopped_door_refuses_and_keeps_nothing() {
    let desk = Desk::new();
    desk.stop().await;
    let refusal = desk.door.accept(event("CA1"), RawBytes::new("text/plain", "x")).await.unwrap_err();
    assert!(matches!(refusal, IntakeError::Broken { .. }), "{refusal}");
    assert_eq!(desk.broker.arrived(), []);
}

#[tokio::test]
async fn the_status_tells_the_age_of_the_oldest() {
    let desk = Desk::new();
    assert_eq!(desk.door.status().oldest, None);
    assert!(desk.door.status().accepting);
    desk.broker.disconnect();
    desk.put("waiting").await.unwrap();
    desk.now.fetch_add(90, Ordering::Relaxed);
    desk.put("newer").await.unwrap();
    let status = desk.door.status();
    assert_eq!((status.unretired, status.oldest.map(|age| age.as_secs())), (2, Some(90)));
    assert!(status.bytes > 0);
    desk.broker.connect();
    desk.drained().await;
    assert_eq!(desk.door.status().oldest, None);
}

fn suspect(nth: usize, peer: &str) -> Suspect {
    let request = RawBytes::new("message/http", format!("POST /{nth} HTTP/1.1\r\n\r\n"));
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Suspect::new(source(), at, Some(peer.into()), "the signature is wrong".into(), &request)
}

#[tokio::test]
async fn a_forger_is_held_ten_times_a_minute_and_no_more() {
    let desk = Desk::new();
    let now = Arc::new(AtomicI64::new(1_800_000_000));
    let clock = now.clone();
    let clock = Arc::new(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap());
    let quarantine = QuarantineDoor::new(desk.door.clone(), clock);
    let mut kept = 0;
    for nth in 0..25 {
        kept += usize::from(quarantine.hold(suspect(nth, "203.0.113.5")).await == Held::Kept);
    }
    assert_eq!(kept, 10);
    assert_eq!(quarantine.hold(suspect(0, "203.0.113.6")).await, Held::Kept);
    now.fetch_add(60, Ordering::Relaxed);
    assert_eq!(quarantine.hold(suspect(26, "203.0.113.5")).await, Held::Kept);
    eventually("all held are published", || desk.broker.arrived().len() == 12).await;
    let (subject, body) = desk.broker.arrived().swap_remove(0);
    assert_eq!(subject, "quarantine.v1.phone.main-line");
    assert_eq!(Suspect::from_json(&body).unwrap(), suspect(0, "203.0.113.5"));
}

#[tokio::test]
async fn a_full_quarantine_drops_the_newest() {
    let desk = Setting { limits: Limits { max_bytes: 2000, ..small() }, ..Setting::default() }.open();
    desk.broker.disconnect();
    let clock = Arc::new(|| Timestamp::from_second(1_800_000_000).unwrap());
    let quarantine = QuarantineDoor::new(desk.door.clone(), clock);
    let mut held = Vec::new();
    for nth in 0..10 {
        held.push(quarantine.hold(suspect(nth, &format!("203.0.113.{nth}"))).await);
    }
    assert_eq!(held[0], Held::Kept);
    assert_eq!(held[9], Held::Dropped);
}

#[tokio::test]
async fn a_suspect_the_broker_would_never_take_does_not_clog_the_quarantine() {
    let desk = Setting {
        limits: Limits { max_bytes: 1 << 26, segment_bytes: 1 << 24, ..small() },
        ..Setting::default()
    }
    .open();
    let clock = Arc::new(|| Timestamp::from_second(1_800_000_000).unwrap());
    let quarantine = QuarantineDoor::new(desk.door.clone(), clock);
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let request = RawBytes::new("message/http", vec![b'x'; 1 << 20]);
    let huge = Suspect::new(source(), at, None, "the signature is wrong".into(), &request);
    assert_eq!(quarantine.hold(huge).await, Held::Dropped);
    assert_eq!(quarantine.hold(suspect(1, "203.0.113.5")).await, Held::Kept);
}
