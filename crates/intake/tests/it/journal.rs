//! What the journal promises, and what it does when the disk breaks its own.

use std::path::PathBuf;
use std::sync::Arc;

use intake::disk::{Disk, LockError, RealDisk};
use intake::segment::{MAX_RECORD, Record};
use intake::{Journal, Limits, OpenError, Refusal};
use tokio_util::task::TaskTracker;

use crate::sim_disk::{Loss, SimDisk, Step};
use crate::support::{eventually, folder, record, small};

fn open(disk: &SimDisk, limits: Limits) -> Journal {
    Journal::open(folder(), limits, Arc::new(disk.clone()), "test").unwrap()
}

fn large() -> Limits {
    Limits { segment_bytes: 1 << 18, ..small() }
}

fn segment(number: u32) -> PathBuf {
    folder().join(format!("{number:010}.seg"))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The order of things on the disk before each promise.
fn assert_flushed_before(trace: &[Step], promise: &str, event: &[u8]) {
    let told = trace.iter().position(|step| *step == Step::Mark(promise.to_owned())).unwrap();
    let (appended, file) = trace
        .iter()
        .enumerate()
        .find_map(|(at, step)| match step {
            Step::Append(file, bytes) if contains(bytes, event) => Some((at, *file)),
            _ => None,
        })
        .unwrap();
    let flushed = trace.iter().skip(appended).position(|step| *step == Step::Flush(file)).unwrap() + appended;
    assert!(flushed < told, "{promise} was given before the flush");
    let created = trace.iter().filter(|step| matches!(step, Step::Create(_))).count();
    assert!(file < created);
    let create =
        trace.iter().enumerate().filter(|(_, step)| matches!(step, Step::Create(_))).nth(file).unwrap().0;
    let named =
        trace.iter().skip(create).position(|step| matches!(step, Step::FlushFolder(_))).unwrap() + create;
    assert!(named < told, "{promise} was given before the segment's name was flushed");
}

#[tokio::test]
async fn the_flush_comes_before_the_promise() {
    let disk = SimDisk::default();
    let journal = open(&disk, small());
    let events: Vec<_> = (0..20).map(|n| format!("event number {n:03}")).collect();
    for event in &events {
        journal.append(&record(event.clone())).await.unwrap();
        disk.mark(format!("promised {event}"));
    }
    let trace = disk.trace();
    for event in &events {
        assert_flushed_before(&trace, &format!("promised {event}"), event.as_bytes());
    }
    assert!(disk.names().len() > 2, "the test is to cross segments: {:?}", disk.names());
}

#[tokio::test]
async fn a_caller_waits_for_the_flush() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("first")).await.unwrap();
    disk.hold_flushes(true);
    let tasks = TaskTracker::new();
    let (waiting, flushes) = (journal.clone(), disk.flushes());
    let append = tasks.spawn(async move { waiting.append(&record("second")).await });
    eventually("the flush has begun", || disk.flushes() > flushes).await;
    assert!(!append.is_finished(), "promised while the flush had not returned");
    disk.hold_flushes(false);
    append.await.unwrap().unwrap();
}

#[tokio::test]
async fn those_who_wait_together_share_a_flush() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("first")).await.unwrap();
    let before = disk.flushes();
    disk.hold_flushes(true);
    let tasks = TaskTracker::new();
    let mut callers = Vec::new();
    for n in 0..200 {
        let journal = journal.clone();
        callers.push(tasks.spawn(async move { journal.append(&record(format!("event {n}"))).await }));
    }
    eventually("a flush has begun", || disk.flushes() > before).await;
    // One flush is held; on this single-threaded runtime all others queue before it is let go.
    tokio::task::yield_now().await;
    disk.hold_flushes(false);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let flushes = disk.flushes() - before;
    assert!(flushes <= 4, "200 records took {flushes} flushes");
    assert_eq!(journal.unretired().unwrap().len(), 201);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_start_in_its_order() {
    let disk = SimDisk::default();
    let journal = open(&disk, small());
    let records: Vec<Record> = (0..20).map(|n| record(format!("event {n}"))).collect();
    for record in &records {
        journal.append(record).await.unwrap();
    }
    drop(journal);
    let journal = open(&disk.state().after(Loss::Strict), small());
    assert_eq!(journal.unretired().unwrap(), records);
}

#[tokio::test]
async fn a_failed_flush_closes_its_file_for_good_and_a_new_segment_opens_the_door() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("kept")).await.unwrap();
    disk.fail_flush_after(0);
    let refusal = journal.append(&record("not promised")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Broken { .. }), "{refusal}");
    journal.append(&record("kept too")).await.unwrap();

    let trace = disk.trace();
    let (at, file) = trace
        .iter()
        .enumerate()
        .find_map(|(at, step)| if let Step::FailedFlush(file) = step { Some((at, *file)) } else { None })
        .unwrap();
    for step in &trace[at + 1..] {
        assert!(
            !matches!(step, Step::Append(other, _) | Step::Flush(other) if *other == file),
            "the file was touched after its flush had failed: {step:?}"
        );
    }
    let events: Vec<_> = journal.unretired().unwrap().into_iter().map(|record| record.event).collect();
    assert_eq!(events, ["kept", "kept too"]);
}

#[tokio::test]
async fn a_failed_write_is_treated_alike() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("kept")).await.unwrap();
    disk.fail_append_after(0);
    assert!(matches!(journal.append(&record("not promised")).await, Err(Refusal::Broken { .. })));
    journal.append(&record("kept too")).await.unwrap();
    drop(journal);
    for loss in Loss::ALL {
        let journal = open(&disk.state().after(loss), large());
        let events: Vec<_> = journal.unretired().unwrap().into_iter().map(|record| record.event).collect();
        assert_eq!(events, ["kept", "kept too"], "{loss:?}");
    }
}

#[tokio::test]
async fn the_door_stays_closed_while_no_segment_can_be_made() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("kept")).await.unwrap();
    disk.fail_flush_after(0);
    disk.fail_creates(true);
    for _ in 0..3 {
        assert!(matches!(journal.append(&record("no")).await, Err(Refusal::Broken { .. })));
    }
    disk.fail_creates(false);
    journal.append(&record("kept too")).await.unwrap();
}

#[tokio::test]
async fn a_broken_disk_is_not_hammered() {
    let disk = SimDisk::default();
    let limits = Limits { heal_every: std::time::Duration::from_secs(3600), ..large() };
    let journal = open(&disk, limits);
    // The header's flush.
    disk.fail_flush_after(0);
    assert!(matches!(journal.append(&record("no")).await, Err(Refusal::Broken { .. })));
    let steps = disk.trace().len();
    for _ in 0..100 {
        let Err(Refusal::Broken { retry_after, .. }) = journal.append(&record("no")).await else { panic!() };
        assert_eq!(retry_after.as_secs(), 3600);
    }
    assert_eq!(disk.trace().len(), steps, "the disk was touched before its time");
}

#[tokio::test]
async fn a_full_disk_says_full() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("kept")).await.unwrap();
    disk.set_capacity(Some(100));
    for _ in 0..3 {
        assert!(matches!(journal.append(&record("x".repeat(200))).await, Err(Refusal::Full { .. })));
    }
    disk.set_capacity(None);
    journal.append(&record("kept too")).await.unwrap();
    drop(journal);
    let journal = open(&disk.state().after(Loss::Strict), large());
    assert_eq!(journal.unretired().unwrap().len(), 2);
}

#[tokio::test]
async fn the_bound_is_kept_and_says_when_to_come_back() {
    let disk = SimDisk::default();
    let limits = Limits { max_bytes: 2000, ..small() };
    let journal = open(&disk, limits.clone());
    let mut kept = 0;
    let refusal = loop {
        match journal.append(&record("x".repeat(100))).await {
            Ok(()) => kept += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Full { retry_after } if retry_after.as_secs() > 0), "{refusal:?}");
    let used: u64 = disk.list(folder()).unwrap().iter().map(|(_, size)| size).sum();
    assert!(used <= limits.max_bytes && used > 1500, "{used}");
    assert_eq!(journal.unretired().unwrap().len(), kept);
}

#[tokio::test]
async fn too_large_a_record_is_refused_alone() {
    let journal = open(&SimDisk::default(), large());
    assert!(matches!(journal.append(&record("x".repeat(MAX_RECORD))).await, Err(Refusal::TooLarge(_))));
    journal.append(&record("kept")).await.unwrap();
}

#[tokio::test]
async fn a_torn_tail_is_cut_once() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    journal.append(&record("kept")).await.unwrap();
    disk.fail_append_after(0);
    journal.append(&record("torn")).await.unwrap_err();
    drop(journal);
    let disk = disk.state().after(Loss::Kind);
    let torn = disk.list(folder()).unwrap();
    let journal = open(&disk, large());
    let cut = disk.trace().iter().filter(|step| matches!(step, Step::Truncate(..))).count();
    assert_eq!(cut, 1);
    assert_ne!(disk.list(folder()).unwrap(), torn);
    assert_eq!(journal.unretired().unwrap().len(), 1);
    drop(journal);
    let again = disk.state().after(Loss::Strict);
    let journal = open(&again, large());
    assert_eq!(again.trace(), [], "a clean folder needs no repair");
    assert_eq!(journal.unretired().unwrap().len(), 1);
}

#[tokio::test]
async fn a_segment_damaged_in_its_middle_is_kept_aside_and_its_good_records_live() {
    let disk = SimDisk::default();
    let journal = open(&disk, large());
    for n in 0..5 {
        journal.append(&record(format!("event {n}"))).await.unwrap();
    }
    drop(journal);
    let len = record("event 0").encode().unwrap().len();
    disk.flip(&segment(1), 20 + 2 * len + len / 2);
    let disk = disk.state().after(Loss::Strict);
    let journal = open(&disk, large());
    let events: Vec<_> = journal.unretired().unwrap().into_iter().map(|record| record.event).collect();
    assert_eq!(events, ["event 0", "event 1", "event 3", "event 4"]);
    assert_eq!(disk.names(), ["0000000001.damaged", "0000000002.seg"]);
    drop(journal);
    // And so it stays.
    let disk = disk.state().after(Loss::Strict);
    let journal = open(&disk, large());
    assert_eq!(journal.unretired().unwrap().len(), 4);
    journal.append(&record("event 5")).await.unwrap();
    assert!(
        disk.names().contains(&"0000000003.seg".to_owned()),
        "a number was used again: {:?}",
        disk.names()
    );
}

#[tokio::test]
async fn a_later_version_is_refused_in_words() {
    let disk = SimDisk::default();
    let mut head = intake::segment::header(1);
    head[8] = 9;
    let sum = crc32fast::hash(&head[..16]);
    head[16..].copy_from_slice(&sum.to_le_bytes());
    let mut file = disk.create_new(&segment(1)).unwrap();
    file.append(&head).unwrap();
    let Err(error) = Journal::open(folder(), small(), Arc::new(disk.clone()), "test") else {
        panic!("it was opened")
    };
    assert!(matches!(error, OpenError::Newer { version: 9, .. }), "{error}");
    assert_eq!(disk.names(), ["0000000001.seg"], "it was touched");
}

#[tokio::test]
async fn a_closed_journal_says_so_and_gives_the_folder_back() {
    let disk = SimDisk::default();
    let journal = open(&disk, small());
    journal.append(&record("kept")).await.unwrap();
    journal.close().await;
    assert_eq!(journal.append(&record("late")).await, Err(Refusal::Stopping));
    let again = open(&disk, small());
    assert_eq!(again.unretired().unwrap().len(), 1);
}

#[tokio::test]
async fn a_real_folder_belongs_to_one_process_and_keeps_its_records() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data/journal");
    let journal = Journal::open(&folder, Limits::default(), Arc::new(RealDisk), "test").unwrap();
    let Err(OpenError::Lock { cause: LockError::Held { pid }, .. }) =
        Journal::open(&folder, Limits::default(), Arc::new(RealDisk), "test")
    else {
        panic!("two processes share a journal")
    };
    assert_eq!(pid, Some(std::process::id()));

    let tasks = TaskTracker::new();
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let journal = journal.clone();
            tasks.spawn(async move {
                for n in 0..50 {
                    journal.append(&record(format!("{caller} {n}"))).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    drop(journal);
    let journal = Journal::open(&folder, Limits::default(), Arc::new(RealDisk), "test").unwrap();
    let mut events: Vec<_> = journal.unretired().unwrap().into_iter().map(|record| record.event).collect();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 64 * 50);
}
