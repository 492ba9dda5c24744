//! The contract of every connector, over each mail handed in; and what else holds for those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector::testing::{MemoryIntake, Rig, Told, contract};
use connector_email::{Config, Doors, NotTaken, Source, attachment, hand_in, normalise};
use contact::Content;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::stage::{MemoryCursors, now};

struct Pipe;

fn source() -> Source {
    let config = Config {
        address: Some("support@desk.example".to_owned()),
        max_bytes: 1024 * 1024,
        ..Config::default()
    };
    config.check("support").unwrap()
}

fn doors(intake: &Arc<MemoryIntake>) -> Doors {
    let cursors: Arc<MemoryCursors> = Arc::default();
    Doors::new(intake.clone(), Arc::<MemoryIntake>::default(), cursors, Arc::new(now))
}

/// Every mail of our own collection.
pub(crate) fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/made");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

#[async_trait]
impl Rig for Pipe {
    fn fixtures(&self) -> Vec<(String, Vec<u8>)> {
        fixtures()
    }

    async fn deliver(&self, intake: Arc<MemoryIntake>, input: &[u8]) -> Told {
        match hand_in(&source(), input.to_vec(), &doors(&intake)).await {
            Ok(_) => Told::GotIt,
            Err(NotTaken::NotNow(_)) => Told::NotNow,
            Err(NotTaken::Empty | NotTaken::TooLarge { .. }) => Told::Refused,
        }
    }
}

#[tokio::test]
async fn what_is_handed_in_keeps_the_contract() {
    contract(&Pipe).await;
}

#[tokio::test]
async fn what_is_handed_in_is_told_what_became_of_it() {
    let intake: Arc<MemoryIntake> = Arc::default();
    let doors = doors(&intake);
    let taken = hand_in(&source(), crate::mail("one"), &doors).await.unwrap();
    assert!(taken.readable);
    let taken = hand_in(&source(), b" \r\n".to_vec(), &doors).await.unwrap();
    assert!(!taken.readable && taken.key.id.starts_with("unreadable:"));
    let accepted = intake.accepted();
    assert!(matches!(&accepted[1].0.content, Content::Unreadable(_)), "a dead letter with its raw");
    assert_eq!(accepted[1].1.bytes, b" \r\n");
    assert_eq!(hand_in(&source(), Vec::new(), &doors).await, Err(NotTaken::Empty));
    // The largest is kept whole, whatever `max_bytes` says, which is for mailboxes.
    let most = 64 * 1024 * 1024;
    let mut largest = crate::mail("two");
    largest.resize(most, b'x');
    let told = hand_in(&source(), [largest.as_slice(), b"x"].concat(), &doors).await;
    assert_eq!(told, Err(NotTaken::TooLarge { size: most as u64 + 1, most: most as u64 }));
    assert!(hand_in(&source(), largest, &doors).await.unwrap().readable);
    assert_eq!(intake.accepted().len(), 3);
    assert_eq!(intake.accepted()[2].1.bytes.len(), most);
}

#[test]
fn another_mail_under_the_same_id_is_kept_and_counted() {
    let intake: Arc<MemoryIntake> = Arc::default();
    let doors = doors(&intake);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let hand_in = |raw: Vec<u8>| runtime.block_on(hand_in(&source(), raw, &doors)).unwrap();
    let other = String::from_utf8(crate::mail("one")).unwrap().replace("The words", "Other words");
    let counted = Counted::default();
    metrics::with_local_recorder(&counted, || {
        for raw in [crate::mail("one"), crate::mail("one"), crate::mail("two")] {
            hand_in(raw);
        }
        assert_eq!(counted.of("frontdesk_mail_namesakes_total"), 0);
        hand_in(other.into_bytes());
    });
    assert_eq!(counted.of("frontdesk_mail_namesakes_total"), 1);
    assert_eq!(counted.of("frontdesk_mail_kept_total"), 4);
    let contacts: BTreeSet<_> = intake.accepted().into_iter().map(|(event, _)| event.contact.0).collect();
    assert_eq!(contacts.len(), 3);
}

/// What was counted, whatever its labels.
#[derive(Default)]
struct Counted(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counted {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).map_or(0, |count| count.load(Ordering::SeqCst))
    }
}

impl metrics::Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut all = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(all.entry(key.name().to_owned()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn every_attachment_of_an_event_is_found_again_in_the_raw() {
    let mut found = 0;
    for (name, raw) in fixtures() {
        let (event, attachments) = normalise(source().mailbox(), &raw, now(), now()).unwrap();
        let Content::Email(email) = &event.content else { panic!("{name}") };
        for (reference, whole) in email.attachments.iter().zip(&attachments) {
            assert_eq!(attachment(&raw, &reference.sha256).as_ref(), Some(whole), "{name}");
            found += 1;
        }
        assert_eq!(attachment(&raw, &"0".repeat(64)), None, "{name}");
    }
    assert!(found > 0, "no fixture has an attachment");
}
