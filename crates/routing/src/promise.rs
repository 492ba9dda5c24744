//! The clock of one promise: to answer within so much business time of the moment the client acted.
//!
//! A promise is a fold of facts, each with the moment it happened and not the one we heard of it: minima,
//! maxima and bounded sets, so that facts may come late, twice and in any order. What follows from them (when
//! it warns, when it is due) is computed and never stored as the truth, and does not depend on when one looks.

use std::collections::BTreeSet;

pub use contact::{Notice, PromiseKind as Kind, Target};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendars;

/// Of each kind of fact a promise keeps this many, the earliest. More pauses are no pauses: then the clock runs.
pub const MOST_FACTS: usize = 256;

/// A thing that bears on a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The client reached out. The earliest starts the clock; any ends a pause.
    Acted,
    /// A person answered, on any channel, or a talk connected. Automatic answers are no fact.
    Answered,
    /// What a person wrote then never arrived: it was no answer.
    Lost,
    /// We wait for the client, or for a moment they asked for.
    Paused,
    Resumed,
    /// Nobody is owed an answer any more: spam, resolved, called back by themselves.
    Withdrawn,
    /// What is promised from the start on; the latest said counts, and the start and the pauses stay.
    Promised(Target),
}

/// One promise and all that is known to bear on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    kind: Kind,
    began_at: Option<Timestamp>,
    answered: BTreeSet<Timestamp>,
    /// Those of the answers that never arrived.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    lost: BTreeSet<Timestamp>,
    withdrawn: BTreeSet<Timestamp>,
    paused: BTreeSet<Timestamp>,
    resumed: BTreeSet<Timestamp>,
    target: Option<(Timestamp, Target)>,
}

impl Promise {
    pub fn new(kind: Kind) -> Promise {
        let none = BTreeSet::new;
        Promise {
            kind,
            began_at: None,
            answered: none(),
            lost: none(),
            withdrawn: none(),
            paused: none(),
            resumed: none(),
            target: None,
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When the client acted.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.began_at
    }

    /// When it ended, and how.
    pub fn end(&self) -> Option<(Timestamp, End)> {
        self.ended(self.began_at?)
    }

    /// Since when it is paused, or was when it ended.
    pub fn paused_since(&self) -> Option<Timestamp> {
        let began_at = self.began_at?;
        self.runs(began_at, self.ended(began_at)).last().and_then(|(_, until)| *until)
    }

    /// Adds a fact. Commutative and idempotent.
    pub fn fold(&mut self, at: Timestamp, fact: Fact) {
        match fact {
            Fact::Acted => {
                self.began_at = Some(self.began_at.map_or(at, |began| began.min(at)));
                keep(&mut self.resumed, at);
            }
            Fact::Answered => keep(&mut self.answered, at),
            Fact::Lost => keep(&mut self.lost, at),
            Fact::Withdrawn => keep(&mut self.withdrawn, at),
            Fact::Paused => keep(&mut self.paused, at),
            Fact::Resumed => keep(&mut self.resumed, at),
            Fact::Promised(target) => {
                let said = Some((at, target));
                if said > self.target {
                    self.target = said;
                }
            }
        }
    }

    /// What follows from the facts. `None`: no client acted yet, or nothing was promised.
    pub fn measure(&self, calendars: &Calendars) -> Option<Measure> {
        let (began_at, (_, target)) = (self.began_at?, self.target.as_ref()?);
        let ended = self.ended(began_at);
        let runs = self.runs(began_at, ended);
        let within = SignedDuration::from_secs(i64::from(target.within_s));
        let millis = i64::from(target.within_s) * i64::from(target.warn_percent.min(100)) * 10;
        Some(Measure {
            began_at,
            warn_at: spent_at(&runs, SignedDuration::from_millis(millis), target, calendars),
            due_at: spent_at(&runs, within, target, calendars),
            paused_since: runs.last().and_then(|(_, until)| *until),
            ended,
        })
    }

    /// The time a client had waited by `until`, or by the end where that was earlier.
    pub fn spent(&self, calendars: &Calendars, until: Timestamp) -> Option<Spent> {
        let (began_at, (_, target)) = (self.began_at?, self.target.as_ref()?);
        let ended = self.ended(began_at);
        let until = ended.map_or(until, |(at, _)| at.min(until));
        let business = self
            .runs(began_at, ended)
            .into_iter()
            .map(|(from, to)| open_between(from, to.map_or(until, |to| to.min(until)), target, calendars))
            .fold(SignedDuration::ZERO, SignedDuration::saturating_add);
        Some(Spent { wall: until.duration_since(began_at).max(SignedDuration::ZERO), business })
    }

    fn ended(&self, began_at: Timestamp) -> Option<(Timestamp, End)> {
        let answered = self.answered.range(began_at..).find(|at| !self.lost.contains(at));
        let withdrawn = self.withdrawn.range(began_at..).next();
        let ends = [answered.map(|at| (*at, End::Answered)), withdrawn.map(|at| (*at, End::Withdrawn))];
        ends.into_iter().flatten().min()
    }

    /// The stretches in which the clock ran; only the last may have no end. What happened after the end of the
    /// promise does not count.
    fn runs(
        &self,
        began_at: Timestamp,
        ended: Option<(Timestamp, End)>,
    ) -> Vec<(Timestamp, Option<Timestamp>)> {
        let mut runs = Vec::new();
        let mut from = began_at;
        let in_time = |at: &&Timestamp| ended.is_none_or(|(end, _)| **at < end);
        for pause in self.paused.range(began_at..).take_while(in_time) {
            if *pause < from {
                continue;
            }
            match self.resumed.range(pause..).next().filter(in_time) {
                Some(resumed) => {
                    runs.push((from, Some(*pause)));
                    from = *resumed;
                }
                // Later resumptions may have been dropped: rather no pause than one for ever.
                None if self.resumed.len() >= MOST_FACTS => break,
                None => {
                    runs.push((from, Some(*pause)));
                    return runs;
                }
            }
        }
        runs.push((from, None));
        runs
    }
}

/// Keeps the earliest; the smallest few of a union are the same in whatever order they came.
fn keep(set: &mut BTreeSet<Timestamp>, at: Timestamp) {
    set.insert(at);
    if set.len() > MOST_FACTS {
        set.pop_last();
    }
}

/// When `time` of the runs is used up.
fn spent_at(
    runs: &[(Timestamp, Option<Timestamp>)],
    time: SignedDuration,
    target: &Target,
    calendars: &Calendars,
) -> Option<Timestamp> {
    let mut left = time;
    for (from, to) in runs {
        let ran = to.map(|to| open_between(*from, to, target, calendars));
        match ran {
            Some(ran) if ran < left => left = left.checked_sub(ran)?,
            _ => return after(*from, left, target, calendars),
        }
    }
    None
}

fn calendar<'a>(target: &Target, calendars: &'a Calendars) -> Option<&'a crate::calendar::Calendar> {
    target.calendar.as_deref().and_then(|name| calendars.get(name))
}

fn open_between(from: Timestamp, to: Timestamp, target: &Target, calendars: &Calendars) -> SignedDuration {
    match calendar(target, calendars) {
        Some(calendar) => calendar.between(from, to),
        None => to.duration_since(from).max(SignedDuration::ZERO),
    }
}

fn after(from: Timestamp, time: SignedDuration, target: &Target, calendars: &Calendars) -> Option<Timestamp> {
    match calendar(target, calendars) {
        Some(calendar) => calendar.add(from, time),
        None => from.checked_add(time).ok(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Answered,
    Withdrawn,
}

/// What the facts of a promise say, at whatever moment one asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// When the client acted.
    pub began_at: Timestamp,
    /// `None` while it is paused before that, or if its calendar never opens.
    pub warn_at: Option<Timestamp>,
    /// The first moment that is too late. `None` while it is paused before that, or if its calendar never opens.
    pub due_at: Option<Timestamp>,
    /// It is paused, or was when it ended.
    pub paused_since: Option<Timestamp>,
    pub ended: Option<(Timestamp, End)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Paused,
    /// Little time is left.
    Warned,
    Breached,
    /// Answered before it was due.
    Kept,
    /// Answered, too late.
    Late,
    Withdrawn,
}

impl State {
    pub const ALL: [State; 7] = [
        State::Running,
        State::Paused,
        State::Warned,
        State::Breached,
        State::Kept,
        State::Late,
        State::Withdrawn,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Paused => "paused",
            State::Warned => "warned",
            State::Breached => "breached",
            State::Kept => "kept",
            State::Late => "late",
            State::Withdrawn => "withdrawn",
        }
    }
}

/// Time a client waited: by the clock on the wall, and as the promise counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub wall: SignedDuration,
    pub business: SignedDuration,
}

impl Measure {
    pub fn state(&self, now: Timestamp) -> State {
        let passed = |at: Option<Timestamp>, by: Timestamp| at.is_some_and(|at| at <= by);
        match self.ended {
            Some((at, End::Answered)) if at <= now => {
                if passed(self.due_at, at) {
                    State::Late
                } else {
                    State::Kept
                }
            }
            Some((at, End::Withdrawn)) if at <= now => State::Withdrawn,
            _ if passed(self.due_at, now) => State::Breached,
            _ if passed(self.warn_at, now) => State::Warned,
            _ if passed(self.paused_since, now) => State::Paused,
            _ => State::Running,
        }
    }

    /// What has come due by `now` and was not told yet, with its true moment, however late we look. What was
    /// told stays told: a fact that comes later and moves a deadline does not take a breach back.
    pub fn notices(&self, told: &BTreeSet<Notice>, now: Timestamp) -> Vec<(Notice, Timestamp)> {
        self.pending(told).filter(|(_, at)| *at <= now).collect()
    }

    /// When to look again; `None`: nothing will happen by itself.
    pub fn next_deadline(&self, told: &BTreeSet<Notice>) -> Option<Timestamp> {
        self.pending(told).map(|(_, at)| at).min()
    }

    fn pending(&self, told: &BTreeSet<Notice>) -> impl Iterator<Item = (Notice, Timestamp)> {
        let both = [(Notice::Warned, self.warn_at), (Notice::Breached, self.due_at)];
        both.into_iter()
            .filter_map(|(notice, at)| Some((notice, at?)))
            .filter(|(_, at)| self.ended.is_none_or(|(end, _)| *at <= end))
            .filter(|(notice, _)| !told.contains(notice))
    }
}
