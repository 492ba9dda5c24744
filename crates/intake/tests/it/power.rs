//! The power goes at every byte of a history. What was promised and not committed is still there; what
//! was never asked for is not.

use std::collections::HashSet;
use std::sync::Arc;

use intake::Journal;
use intake::segment::Record;

use crate::sim_broker::SimBroker;
use crate::sim_disk::{Loss, SimDisk, State, Step};
use crate::support::{Setting, folder, record, small};

/// Opens what is left after each way of losing power and checks it against what was promised.
fn check(state: &State, asked: &HashSet<Vec<u8>>, owed: &HashSet<Vec<u8>>, at: &str) {
    for loss in Loss::ALL {
        let journal = Journal::open(folder(), small(), Arc::new(state.after(loss)), "test")
            .unwrap_or_else(|error| panic!("{at}, {loss:?}: {error}"));
        let found = journal.unretired().unwrap_or_else(|error| panic!("{at}, {loss:?}: {error}"));
        let found: HashSet<Vec<u8>> = found.into_iter().map(|Record { event, .. }| event.to_vec()).collect();
        let lost: Vec<_> = owed.difference(&found).map(|event| String::from_utf8_lossy(event)).collect();
        assert!(lost.is_empty(), "{at}, {loss:?}: lost {lost:?}");
        assert!(found.is_subset(asked), "{at}, {loss:?}: garbage was read");
    }
}

/// Replays the history and loses power before, in and after each step.
fn lose_power_everywhere(trace: &[Step], asked: &HashSet<Vec<u8>>) -> usize {
    let mut state = State::default();
    let mut promised = HashSet::new();
    let mut committed = HashSet::new();
    let mut losses = 0;
    for (nth, step) in trace.iter().enumerate() {
        if let Step::Append(file, bytes) = step {
            let owed = promised.difference(&committed).cloned().collect();
            for cut in 0..bytes.len() {
                let mut torn = state.clone();
                torn.apply(&Step::Append(*file, bytes[..cut].to_vec()));
                check(&torn, asked, &owed, &format!("step {nth}, byte {cut} of an append"));
                losses += Loss::ALL.len();
            }
        }
        state.apply(step);
        if let Step::Mark(what) = step {
            match what.split_once(' ').unwrap() {
                ("promised", event) => promised.insert(event.as_bytes().to_vec()),
                ("committed", event) => committed.insert(event.as_bytes().to_vec()),
                other => panic!("{other:?}"),
            };
        }
        let owed = promised.difference(&committed).cloned().collect();
        check(&state, asked, &owed, &format!("after step {nth}, {step:?}"));
        losses += Loss::ALL.len();
    }
    losses
}

fn events() -> Vec<String> {
    (0..9).map(|n| format!("event {n} {}", "y".repeat(n * 7))).collect()
}

#[tokio::test]
async fn the_journal_keeps_its_word_at_every_byte() {
    let disk = SimDisk::default();
    let journal = Journal::open(folder(), small(), Arc::new(disk.clone()), "test").unwrap();
    for (n, event) in events().iter().enumerate() {
        if n == 4 {
            disk.fail_flush_after(0);
            journal.append(&record(event.clone())).await.unwrap_err();
        }
        if n == 6 {
            disk.fail_append_after(0);
            journal.append(&record(event.clone())).await.unwrap_err();
        }
        journal.append(&record(event.clone())).await.unwrap();
        disk.mark(format!("promised {event}"));
    }
    drop(journal);
    let asked = events().into_iter().map(String::into_bytes).collect();
    let losses = lose_power_everywhere(&disk.trace(), &asked);
    assert!(losses > 3000, "only {losses} losses were tried");
}

#[tokio::test]
async fn the_whole_door_keeps_its_word_while_core_commits() {
    let disk = SimDisk::default();
    let broker = Arc::new(SimBroker::marking(disk.clone()));
    let desk = Setting { disk: disk.clone(), broker: broker.clone(), ..Setting::default() }.open();
    let (first, second) = (events()[..6].to_vec(), events()[6..].to_vec());
    for event in &first {
        desk.put(event.clone()).await.unwrap();
        disk.mark(format!("promised {event}"));
    }
    desk.drained().await;
    broker.core_sleeps(true);
    for event in &second {
        desk.put(event.clone()).await.unwrap();
        disk.mark(format!("promised {event}"));
    }
    desk.floors(2).await;
    broker.disconnect();
    // With the broker away the stop leaves the last three, moved together.
    desk.stop().await;
    let trace = disk.trace();
    assert!(
        trace.iter().any(|step| matches!(step, Step::Remove(_))),
        "no segment was removed in this history"
    );
    let asked = events().into_iter().map(String::into_bytes).collect();
    lose_power_everywhere(&trace, &asked);
}
