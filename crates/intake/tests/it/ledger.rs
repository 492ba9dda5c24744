//! Whatever broker and link do: a record is retired only when core has committed it, and none is lost.

use std::collections::{BTreeSet, HashSet};

use intake::ledger::{Answer, Asked, Flight, Landed, Lane, Ledger, Place, RecordId};
use intake::{Floor, Receipt};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Write,
    Roll,
    Send(Lane),
    /// The nth answer in the air arrives.
    Land(prop::sample::Index),
    /// The nth answer in the air never arrives.
    LoseAnswer(prop::sample::Index),
    Refuse(prop::sample::Index),
    Ask,
    Answer,
    Commit(u64),
    Others(u64),
    /// The link is lost; meanwhile the broker may lose its tail, and core may go on.
    Disconnect {
        lost: u64,
        others: u64,
        heals: bool,
    },
    Heal,
    Recreate,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Write),
        1 => Just(Act::Roll),
        6 => Just(Act::Send(Lane::Fresh)),
        4 => Just(Act::Send(Lane::Owed)),
        1 => Just(Act::Send(Lane::Parked)),
        8 => any::<prop::sample::Index>().prop_map(Act::Land),
        1 => any::<prop::sample::Index>().prop_map(Act::LoseAnswer),
        1 => any::<prop::sample::Index>().prop_map(Act::Refuse),
        5 => Just(Act::Ask),
        5 => Just(Act::Answer),
        5 => (0..6u64).prop_map(Act::Commit),
        2 => (1..6u64).prop_map(Act::Others),
        2 => (0..12u64, 0..12u64, any::<bool>()).prop_map(|(lost, others, heals)| Act::Disconnect { lost, others, heals }),
        1 => Just(Act::Heal),
        1 => Just(Act::Recreate),
    ]
}

#[derive(Default)]
struct World {
    ledger: Ledger,
    segment: u32,
    written: BTreeSet<RecordId>,
    retired: BTreeSet<RecordId>,
    in_the_air: Vec<(Flight, Receipt)>,
    question: Option<(Asked, Floor)>,
    // The broker and core.
    stream: Vec<Option<RecordId>>,
    created: i64,
    acked: u64,
    committed: HashSet<RecordId>,
}

impl World {
    fn last(&self) -> u64 {
        self.stream.len() as u64
    }

    fn floor(&self) -> Floor {
        Floor { acked: self.acked, last: self.last(), stream_created: self.created }
    }

    fn commit(&mut self, count: u64) {
        let upto = (self.acked + count).min(self.last());
        while self.acked < upto {
            if let Some(id) = self.stream[usize::try_from(self.acked).unwrap()] {
                self.committed.insert(id);
            }
            self.acked += 1;
        }
    }

    /// Others keep the rule too: nothing is published past a consumer that is ahead.
    fn others(&mut self, count: u64) {
        if self.acked <= self.last() {
            self.stream.extend((0..count).map(|_| None));
        }
    }

    fn heal(&mut self) {
        if self.acked > self.last() {
            self.acked = 0;
        }
    }

    fn send(&mut self, lane: Lane) -> bool {
        let Some(flight) = self.ledger.take(lane) else { return false };
        self.stream.push(Some(flight.id));
        let receipt = Receipt { seq: self.last(), stream_created: self.created };
        self.in_the_air.push((flight, receipt));
        true
    }

    fn answer(&mut self) -> Option<Answer> {
        let (asked, floor) = self.question.take()?;
        let (retired, committed) = (&mut self.retired, &self.committed);
        let answer = self.ledger.floor(asked, floor, |id| {
            assert!(committed.contains(&id), "{id:?} was retired, but core never committed it");
            assert!(retired.insert(id), "{id:?} was retired twice");
        });
        Some(answer)
    }

    fn act(&mut self, act: Act) {
        let pick = |index: prop::sample::Index, len: usize| (len > 0).then(|| index.index(len));
        match act {
            Act::Write => {
                let id = self.ledger.written(self.segment, Place { offset: 0, len: 1 }, 0);
                assert!(self.written.insert(id));
            }
            Act::Roll => {
                self.ledger.seal(self.segment);
                self.segment += 1;
                self.ledger.open_segment(self.segment, 20);
            }
            Act::Send(lane) => {
                self.send(lane);
            }
            Act::Land(index) => {
                if let Some(nth) = pick(index, self.in_the_air.len()) {
                    let (flight, receipt) = self.in_the_air.swap_remove(nth);
                    self.ledger.published(flight, receipt);
                }
            }
            Act::LoseAnswer(index) => {
                if let Some(nth) = pick(index, self.in_the_air.len()) {
                    let (flight, _) = self.in_the_air.swap_remove(nth);
                    self.ledger.failed(flight, false);
                }
            }
            Act::Refuse(index) => {
                if let Some(nth) = pick(index, self.in_the_air.len()) {
                    let (flight, _) = self.in_the_air.swap_remove(nth);
                    self.ledger.failed(flight, true);
                }
            }
            Act::Ask => {
                let asked = self.ledger.ask_floor();
                self.question = Some((asked, self.floor()));
            }
            Act::Answer => {
                self.answer();
            }
            Act::Commit(count) => self.commit(count),
            Act::Others(count) => self.others(count),
            Act::Disconnect { lost, others, heals } => {
                let kept = self.stream.len().saturating_sub(usize::try_from(lost).unwrap());
                self.stream.truncate(kept);
                if heals {
                    self.heal();
                }
                self.others(others);
                self.ledger.forget();
            }
            Act::Heal => self.heal(),
            Act::Recreate => {
                self.stream.clear();
                self.created += 1;
                self.acked = 0;
            }
        }
        self.check();
    }

    fn check(&self) {
        let left: BTreeSet<_> = self.ledger.unretired().into_iter().collect();
        assert_eq!(left.len() + self.retired.len(), self.written.len());
        assert!(left.is_disjoint(&self.retired));
        assert_eq!(self.ledger.counts().unretired, left.len() as u64);
        for segment in self.ledger.deletable() {
            assert!(left.iter().all(|id| id.segment != segment), "segment {segment} holds unretired records");
        }
        let counts = self.ledger.counts();
        let somewhere =
            counts.fresh + counts.owed + counts.parked + counts.published + self.in_the_air.len() as u64;
        assert_eq!(counts.unretired, somewhere, "every record is in exactly one place");
    }

    /// Everything works from here on.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.heal();
            for (flight, receipt) in std::mem::take(&mut self.in_the_air) {
                self.ledger.published(flight, receipt);
            }
            self.question = Some((self.ledger.ask_floor(), self.floor()));
            self.answer();
            for lane in [Lane::Fresh, Lane::Owed, Lane::Parked] {
                while self.send(lane) {}
            }
            self.commit(u64::MAX / 2);
            self.check();
        }
        self.question = Some((self.ledger.ask_floor(), self.floor()));
        self.answer();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_record_is_retired_when_core_has_it_and_not_before(acts in prop::collection::vec(act(), 0..160)) {
        let mut world = World::default();
        world.ledger.open_segment(0, 20);
        for act in acts {
            world.act(act);
        }
        world.settle();
        prop_assert_eq!(&world.retired, &world.written, "not everything was retired though everything worked");
    }
}

fn begun(last: u64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.open_segment(1, 20);
    let asked = ledger.ask_floor();
    assert_eq!(ledger.floor(asked, Floor { acked: 0, last, stream_created: 1 }, |_| {}), Answer::Retired(0));
    ledger
}

fn send(ledger: &mut Ledger) -> Flight {
    ledger.written(1, Place { offset: 20, len: 30 }, 0);
    ledger.take(Lane::Fresh).unwrap()
}

#[test]
fn nothing_is_published_before_the_floor_was_seen() {
    let mut ledger = Ledger::default();
    ledger.written(1, Place { offset: 20, len: 30 }, 0);
    assert_eq!(ledger.take(Lane::Fresh), None);
    let asked = ledger.ask_floor();
    assert_eq!(ledger.floor(asked, Floor { acked: 9, last: 5, stream_created: 1 }, |_| {}), Answer::Ahead);
    assert_eq!(
        ledger.take(Lane::Fresh),
        None,
        "a consumer ahead of its stream would confirm what it never saw"
    );
}

#[test]
fn answers_may_come_in_any_order_without_alarm() {
    let mut ledger = begun(0);
    let (first, second) = (send(&mut ledger), send(&mut ledger));
    assert_eq!(ledger.published(second, Receipt { seq: 2, stream_created: 1 }), Landed::Noted);
    assert_eq!(ledger.published(first, Receipt { seq: 1, stream_created: 1 }), Landed::Noted);
}

#[test]
fn a_number_not_above_the_highest_seen_makes_all_owed_again() {
    let mut ledger = begun(0);
    for seq in 1..=3 {
        let flight = send(&mut ledger);
        assert_eq!(ledger.published(flight, Receipt { seq, stream_created: 1 }), Landed::Noted);
    }
    let late = send(&mut ledger);
    assert_eq!(ledger.published(late, Receipt { seq: 3, stream_created: 1 }), Landed::RolledBack);
    assert_eq!(ledger.counts().owed, 4);
    assert_eq!(ledger.counts().published, 0);
}

#[test]
fn a_number_below_the_streams_last_makes_all_owed_again() {
    let mut ledger = begun(10);
    let (first, second) = (send(&mut ledger), send(&mut ledger));
    assert_eq!(ledger.published(first, Receipt { seq: 11, stream_created: 1 }), Landed::Noted);
    assert_eq!(ledger.published(second, Receipt { seq: 7, stream_created: 1 }), Landed::RolledBack);
    assert_eq!((ledger.counts().owed, ledger.counts().published), (2, 0));

    let mut ledger = begun(10);
    let flight = send(&mut ledger);
    assert_eq!(ledger.published(flight, Receipt { seq: 11, stream_created: 1 }), Landed::Noted);
    let asked = ledger.ask_floor();
    let floor = Floor { acked: 8, last: 8, stream_created: 1 };
    assert_eq!(ledger.floor(asked, floor, |_| {}), Answer::RolledBack);
    assert_eq!((ledger.counts().owed, ledger.counts().published), (1, 0));
}

#[test]
fn a_stream_created_anew_makes_all_owed_again() {
    let mut ledger = begun(0);
    let (first, second) = (send(&mut ledger), send(&mut ledger));
    assert_eq!(ledger.published(first, Receipt { seq: 1, stream_created: 1 }), Landed::Noted);
    assert_eq!(ledger.published(second, Receipt { seq: 2, stream_created: 2 }), Landed::RolledBack);
    assert_eq!(ledger.counts().owed, 2);

    let mut ledger = begun(0);
    let flight = send(&mut ledger);
    assert_eq!(ledger.published(flight, Receipt { seq: 1, stream_created: 1 }), Landed::Noted);
    let asked = ledger.ask_floor();
    let floor = Floor { acked: 5, last: 9, stream_created: 2 };
    assert_eq!(
        ledger.floor(asked, floor, |id| panic!("{id:?} was retired on another stream's number")),
        Answer::RolledBack
    );
}

#[test]
fn an_answer_from_before_a_disconnect_says_nothing() {
    let mut ledger = begun(0);
    let flight = send(&mut ledger);
    assert_eq!(ledger.published(flight, Receipt { seq: 1, stream_created: 1 }), Landed::Noted);
    let in_the_air = send(&mut ledger);
    let asked = ledger.ask_floor();
    ledger.forget();
    let floor = Floor { acked: 2, last: 2, stream_created: 1 };
    assert_eq!(ledger.floor(asked, floor, |id| panic!("{id:?} was retired on an old number")), Answer::Stale);
    assert_eq!(ledger.published(in_the_air, Receipt { seq: 2, stream_created: 1 }), Landed::Forgotten);
    assert_eq!(ledger.counts().owed, 2);
}

#[test]
fn segments_go_when_their_last_record_is_retired() {
    let mut ledger = begun(0);
    let (first, second) = (send(&mut ledger), send(&mut ledger));
    ledger.grow(1, 60);
    assert_eq!(ledger.published(first, Receipt { seq: 1, stream_created: 1 }), Landed::Noted);
    assert_eq!(ledger.published(second, Receipt { seq: 2, stream_created: 1 }), Landed::Noted);
    let asked = ledger.ask_floor();
    assert_eq!(
        ledger.floor(asked, Floor { acked: 1, last: 2, stream_created: 1 }, |_| {}),
        Answer::Retired(1)
    );
    ledger.seal(1);
    assert!(ledger.deletable().is_empty());
    assert_eq!(ledger.partly_retired().len(), 1);
    let asked = ledger.ask_floor();
    assert_eq!(
        ledger.floor(asked, Floor { acked: 2, last: 2, stream_created: 1 }, |_| {}),
        Answer::Retired(1)
    );
    assert_eq!(ledger.deletable(), [1]);
    ledger.removed(1);
    assert_eq!(ledger.bytes(), 0);
}
