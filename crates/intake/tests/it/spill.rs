//! Raws too large to ride along: durable before the record, in the blob store before the event, gone
//! with the record, whatever crashes between.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use contact::RawBytes;
use intake::Refusal;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::sim_disk::{Loss, State, Step};
use crate::support::{Desk, Setting, eventually, folder, small};

fn raw(letter: u8) -> Vec<u8> {
    vec![letter; 40_000]
}

fn reference(bytes: &[u8]) -> contact::Raw {
    RawBytes::new("message/rfc822", bytes).reference()
}

fn spill_folder() -> PathBuf {
    folder().join("spill")
}

async fn blob(blobs: &Arc<dyn ObjectStore>, bytes: &[u8]) -> Option<Bytes> {
    let found = blobs.get(&reference(bytes).blob_path().into()).await.ok()?;
    Some(found.bytes().await.unwrap())
}

fn spills(desk: &Desk) -> usize {
    desk.disk.names().iter().filter(|name| name.len() == 64).count()
}

#[tokio::test]
async fn it_is_durable_before_the_record_and_blobbed_before_the_event() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    desk.put_with_raw("a mail", &raw(b'a')).await.unwrap();
    eventually("it is published", || desk.broker.bodies() == ["a mail"]).await;
    assert_eq!(blob(&desk.blobs, &raw(b'a')).await.unwrap(), raw(b'a'));
    assert_eq!(spills(&desk), 1);

    let trace = desk.disk.trace();
    let at = |wanted: &dyn Fn(&Step) -> bool| trace.iter().position(wanted).unwrap();
    let flush = at(&|step| *step == Step::Flush(0));
    let renamed = at(&|step| matches!(step, Step::Rename(..)));
    let folder_flush = at(&|step| *step == Step::FlushFolder(spill_folder()));
    let recorded = at(&|step| matches!(step, Step::Append(_, bytes) if bytes.ends_with(b"a mail")));
    assert!(
        flush < renamed && renamed < folder_flush && folder_flush < recorded,
        "{flush} {renamed} {folder_flush} {recorded}"
    );

    desk.broker.core_sleeps(false);
    desk.drained().await;
    eventually("the spill is gone", || spills(&desk) == 0).await;
    assert!(blob(&desk.blobs, &raw(b'a')).await.is_some());
}

#[tokio::test]
async fn two_records_share_a_file_until_the_last_is_retired() {
    let desk = Desk::new();
    desk.broker.refuse(b"second", true);
    desk.put_with_raw("first", &raw(b'a')).await.unwrap();
    desk.put_with_raw("second", &raw(b'a')).await.unwrap();
    eventually("the first is retired", || desk.door.status().unretired == 1).await;
    assert_eq!(spills(&desk), 1);
    desk.broker.refuse(b"second", false);
    desk.drained().await;
    eventually("the spill is gone", || spills(&desk) == 0).await;
}

#[tokio::test]
async fn the_bound_counts_it_and_a_refused_one_leaves_nothing() {
    let desk =
        Setting { limits: intake::Limits { max_bytes: 60_000, ..small() }, ..Setting::default() }.open();
    desk.broker.disconnect();
    desk.put_with_raw("first", &raw(b'a')).await.unwrap();
    assert!(desk.door.status().bytes > 40_000);
    assert!(matches!(desk.put_with_raw("second", &raw(b'b')).await, Err(Refusal::Full { .. })));
    assert_eq!(spills(&desk), 1);
}

#[tokio::test]
async fn a_disk_that_fails_it_promises_nothing() {
    let desk = Desk::new();
    desk.disk.fail_flush_after(0);
    assert!(matches!(desk.put_with_raw("a mail", &raw(b'a')).await, Err(Refusal::Broken { .. })));
    assert_eq!(desk.disk.names(), Vec::<String>::new());
    desk.put_with_raw("a mail", &raw(b'a')).await.unwrap();
    desk.drained().await;
}

#[tokio::test]
async fn a_blob_store_that_is_away_holds_back_only_its_own() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("blobs");
    std::fs::create_dir(&place).unwrap();
    let blobs: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(&place).unwrap().with_fsync(true));
    // A file where the folder should be: nothing can be put.
    std::fs::write(place.join("raw"), b"in the way").unwrap();
    let desk = Setting { blobs, ..Setting::default() }.open();
    desk.put_with_raw("a mail", &raw(b'a')).await.unwrap();
    for n in 0..10 {
        desk.put(format!("a call {n}")).await.unwrap();
    }
    eventually("the calls are through", || desk.door.status().unretired == 1).await;
    assert!(!desk.broker.has_committed(b"a mail"));
    std::fs::remove_file(place.join("raw")).unwrap();
    desk.drained().await;
    assert!(desk.broker.has_committed(b"a mail"));
    assert_eq!(blob(&desk.blobs, &raw(b'a')).await.unwrap(), raw(b'a'));
}

/// Its file went when it was retired; its segment stands as long as another record in it is owed.
#[tokio::test]
async fn a_retired_record_that_is_found_again_does_not_wait_for_its_file() {
    let desk = Desk::new();
    desk.broker.refuse(b"a call", true);
    desk.put_with_raw("a mail", &raw(b'a')).await.unwrap();
    desk.put("a call").await.unwrap();
    eventually("the mail is retired", || desk.door.status().unretired == 1).await;
    eventually("its file is gone", || spills(&desk) == 0).await;
    desk.broker.refuse(b"a call", false);
    desk.broker.disconnect();
    for loss in Loss::ALL {
        let again =
            Setting { blobs: desk.blobs.clone(), disk: desk.disk.state().after(loss), ..Setting::default() };
        let again = again.open();
        again.drained().await;
        assert!(again.broker.has_committed(b"a call"), "{loss:?}");
        again.stop().await;
    }
}

/// A crash after each step of a life with spills: the record never points at nothing, and what no
/// record points at is swept.
#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing_and_leaves_no_litter() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    for (event, letter) in [("first", b'a'), ("second", b'b'), ("third", b'a')] {
        desk.put_with_raw(event, &raw(letter)).await.unwrap();
        desk.disk.mark(format!("promised {event}"));
    }
    eventually("all are published", || desk.broker.arrived().len() == 3).await;
    desk.broker.disconnect();
    desk.stop().await;

    let mut state = State::default();
    let mut promised = Vec::new();
    for step in &desk.disk.trace() {
        state.apply(step);
        if let Step::Mark(what) = step {
            promised.push(what.strip_prefix("promised ").unwrap().to_owned());
        }
        for loss in Loss::ALL {
            let again = Setting { disk: state.after(loss), ..Setting::default() }.open();
            let swept =
                again.disk.names().iter().filter(|name| name.contains('.') && name.len() > 64).count();
            assert_eq!(swept, 0, "litter after {step:?}, {loss:?}");
            again.drained().await;
            for event in &promised {
                assert!(
                    again.broker.has_committed(event.as_bytes()),
                    "lost {event} after {step:?}, {loss:?}"
                );
                let letter = if event == "second" { b'b' } else { b'a' };
                assert_eq!(blob(&again.blobs, &raw(letter)).await.unwrap(), raw(letter));
            }
            again.stop().await;
            assert_eq!(again.disk.names(), Vec::<String>::new(), "after {step:?}, {loss:?}");
        }
    }
}
