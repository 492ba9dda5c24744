//! A promise of a conversation as it is kept: what bears on it, and when it warns and is due.
//!
//! Which moments those are depends on calendars, so they come with the log; everything else is a fold of facts.

use std::collections::BTreeMap;

use contact::{Deadline, Notice, PromiseKind};
use jiff::Timestamp;
pub use routing::promise::State;
use routing::promise::{End, Fact, Measure, Promise};
use serde::{Deserialize, Serialize};

/// A promise and its deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    promise: Promise,
    /// As they were last reckoned.
    warn_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    /// What happened to it by itself, and when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    told: BTreeMap<Notice, Timestamp>,
    /// The promises of this kind that were made and ended before this one.
    #[serde(default, skip_serializing_if = "Past::is_none")]
    past: Past,
}

/// How promises ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    pub kept: u32,
    pub late: u32,
    pub withdrawn: u32,
}

impl Past {
    fn is_none(&self) -> bool {
        *self == Past::default()
    }

    fn add(&mut self, other: Past) {
        self.kept += other.kept;
        self.late += other.late;
        self.withdrawn += other.withdrawn;
    }
}

impl Clock {
    pub fn new(kind: PromiseKind) -> Clock {
        let past = Past::default();
        Clock { promise: Promise::new(kind), warn_at: None, due_at: None, told: BTreeMap::new(), past }
    }

    pub fn past(&self) -> Past {
        self.past
    }

    /// This one was promised after that.
    pub(crate) fn follow(&mut self, before: Option<&Clock>) {
        let Some(before) = before else { return };
        self.past.add(before.past);
        match before.measure().map(|measure| measure.state(Timestamp::MAX)) {
            Some(State::Kept) => self.past.kept += 1,
            Some(State::Late) => self.past.late += 1,
            Some(State::Withdrawn) => self.past.withdrawn += 1,
            _ => {}
        }
    }

    /// Its conversation and another are one: what runs goes on, of two that run since the earlier.
    pub(crate) fn join(&mut self, mut other: Clock) {
        match (self.ended().is_none(), other.ended().is_none()) {
            (false, true) => {
                other.follow(Some(self));
                *self = other;
            }
            (true, true) => {
                other.began_at().into_iter().for_each(|began| self.fold(began, Fact::Acted));
                self.past.add(other.past);
            }
            (_, false) => self.follow(Some(&other)),
        }
    }

    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Adds a fact; what follows from it is reckoned apart.
    pub fn fold(&mut self, at: Timestamp, fact: Fact) {
        self.promise.fold(at, fact);
    }

    /// Sets what was reckoned.
    pub fn set(&mut self, deadline: &Deadline) {
        (self.warn_at, self.due_at) = (deadline.warn_at, deadline.due_at);
    }

    /// The deadlines as this measure of the promise says, if they are others than before.
    pub fn news(&self, measure: Option<&Measure>) -> Option<Deadline> {
        let (warn_at, due_at) = measure.map_or((None, None), |measure| (measure.warn_at, measure.due_at));
        ((warn_at, due_at) != (self.warn_at, self.due_at)).then(|| Deadline {
            promise: self.promise.kind(),
            warn_at,
            due_at,
        })
    }

    /// Keeps that it was told; a breach says that a warning came too.
    pub fn tell(&mut self, notice: Notice, at: Timestamp) {
        self.told.entry(notice).or_insert(at);
    }

    pub fn told(&self) -> &BTreeMap<Notice, Timestamp> {
        &self.told
    }

    pub fn began_at(&self) -> Option<Timestamp> {
        self.promise.began_at()
    }

    pub fn warn_at(&self) -> Option<Timestamp> {
        self.warn_at
    }

    pub fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    pub fn ended(&self) -> Option<(Timestamp, End)> {
        self.promise.end()
    }

    /// Somebody answered, in time or late.
    pub(crate) fn is_kept(&self) -> bool {
        self.ended().is_some_and(|(_, end)| end == End::Answered)
    }

    /// When it is due, if it still runs.
    pub fn runs_until(&self) -> Option<Timestamp> {
        self.due_at.filter(|_| self.ended().is_none())
    }

    /// How it stands at a moment. What was told stays told: a late fact does not take a breach back.
    pub fn state(&self, now: Timestamp) -> State {
        let state = self.measure().map_or(State::Running, |measure| measure.state(now));
        match state {
            State::Running | State::Warned if self.told.contains_key(&Notice::Breached) => State::Breached,
            other => other,
        }
    }

    /// What has come due by then and was not told, each with its moment.
    pub fn notices(&self, now: Timestamp) -> Vec<(Notice, Timestamp)> {
        let told = self.told.keys().copied().collect();
        self.measure().map(|measure| measure.notices(&told, now)).unwrap_or_default()
    }

    /// When the next is due.
    pub fn next_notice(&self) -> Option<Timestamp> {
        let told = self.told.keys().copied().collect();
        self.measure().and_then(|measure| measure.next_deadline(&told))
    }

    /// The measure by the deadlines that are kept.
    fn measure(&self) -> Option<Measure> {
        Some(Measure {
            began_at: self.promise.began_at()?,
            warn_at: self.warn_at,
            due_at: self.due_at,
            paused_since: self.promise.paused_since(),
            ended: self.promise.end(),
        })
    }
}
