//! Figures about a span of time, computed from what is kept of each conversation and call.
//!
//! Nothing is counted up beforehand, so a figure always says what the rows say, late facts and merges included.
//! The store gives one [`ConversationFacts`] or [`CallFacts`] for each; everything here is a pure fold of them.
//! Machine mail has no conversation, and one that goes on in another is given as that one: neither is counted
//! twice, or at all. What cannot be said (a share of nothing) is `None` and never 100 %.

use std::collections::BTreeMap;
use std::str::FromStr;

use contact::{Channel, Invalid, Outcome, PromiseKind};
use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use routing::promise::State;

use crate::clock::Past;

/// Of what the facts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// Those that wait for an agent now, and began to wait in the span.
    Waiting,
    /// Conversations that were opened in the span.
    Conversations,
    /// Calls of clients in the span, and the calls we owe since then.
    Calls,
}

/// What is asked of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiguresQuery {
    pub about: About,
    /// The first moment that counts.
    pub from: Timestamp,
    /// The first that does not.
    pub to: Timestamp,
    /// As of when promises are judged.
    pub now: Timestamp,
    /// More rows of a kind than this are not read.
    pub most: usize,
}

/// What a store answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub conversations: Vec<ConversationFacts>,
    pub calls: Vec<CallFacts>,
    /// Of those calls and conversations, what was owed: since when, and how it stands.
    pub callbacks: Vec<CallbackFacts>,
    /// There were more than was asked for: no figure can be made of these.
    pub more: bool,
}

/// By what figures may be told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `None`: a call that is in no conversation.
    pub queue: Option<String>,
    pub channel: Option<Channel>,
    /// Whose the conversation is now.
    pub agent: Option<String>,
    /// The client's.
    pub segment: Option<String>,
}

/// One conversation, as far as figures go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationFacts {
    pub place: Place,
    pub opened_at: Timestamp,
    pub waiting_since: Option<Timestamp>,
    pub assigned_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub promises: Vec<PromiseFacts>,
}

/// One promise of it, judged at the moment of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromiseFacts {
    pub kind: PromiseKind,
    pub state: State,
    pub began_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Of this kind, what was promised and ended before.
    pub past: Past,
}

/// One call of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFacts {
    pub place: Place,
    pub occurred_at: Timestamp,
    pub outcome: Option<Outcome>,
}

/// One call we owe, or owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackFacts {
    pub place: Place,
    pub since: Timestamp,
    pub state: Owed,
}

/// How a call we owe stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    Still,
    Done,
    /// Resolved without it.
    GivenUp,
}

/// The desk at a glance: what waits, what is late, and who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    pub queues: BTreeMap<String, QueueBoard>,
    /// Offers nobody has answered yet.
    pub offers: u64,
    /// Who has a profile, by presence (`available`, `away`, `offline`); whoever has no console open is offline.
    pub agents: BTreeMap<String, u64>,
}

/// One queue of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueBoard {
    pub waiting: u64,
    pub oldest_since: Option<Timestamp>,
    /// Conversations with a promise that is not decided yet, and those of them whose is broken.
    pub promised: u64,
    pub breached: u64,
}

/// How figures are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Queue,
    Channel,
    Agent,
    Segment,
    /// The hour in UTC in which it began.
    Hour,
}

impl By {
    pub const ALL: [By; 5] = [By::Queue, By::Channel, By::Agent, By::Segment, By::Hour];

    pub fn as_str(self) -> &'static str {
        match self {
            By::Queue => "queue",
            By::Channel => "channel",
            By::Agent => "agent",
            By::Segment => "segment",
            By::Hour => "hour",
        }
    }

    fn key(self, place: &Place, at: Timestamp) -> Option<String> {
        match self {
            By::Queue => place.queue.clone(),
            By::Channel => place.channel.map(|channel| channel.as_str().to_owned()),
            By::Agent => place.agent.clone(),
            By::Segment => place.segment.clone(),
            By::Hour => {
                let hour = TimestampRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Floor);
                at.round(hour).ok().map(|hour| hour.to_string())
            }
        }
    }
}

impl FromStr for By {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<By, Invalid> {
        By::ALL.into_iter().find(|by| by.as_str() == text).ok_or_else(|| {
            Invalid(format!("`{text}` tells nothing apart; it is queue, channel, agent, segment or hour"))
        })
    }
}

/// Figures by key; without one there is exactly one, under no key, however little there is to count.
pub type Told<T> = BTreeMap<Option<String>, T>;

/// Those that wait for an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: u64,
    pub oldest_since: Option<Timestamp>,
}

/// How long clients waited for the first answer, and until somebody took their matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Conversations that were answered.
    pub count: u64,
    pub first_response: Option<Spread>,
    pub wait: Option<Spread>,
}

/// How seconds are spread: nearest-rank percentiles, each one a time that somebody really waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub p50_s: i64,
    pub p90_s: i64,
    pub p95_s: i64,
    pub max_s: i64,
}

/// How many were answered in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceLevel {
    pub offered: u64,
    pub within: u64,
    /// Answered too late, or not at all though it is too late.
    pub late: u64,
    /// Neither answered nor too late yet.
    pub waiting: u64,
    /// Closed without an answer before it was too late.
    pub abandoned: u64,
}

impl ServiceLevel {
    /// Of what [`ServiceLevel::level`] is a share, for whoever reads it.
    pub const FORMULA: &'static str = "within / (offered - abandoned - waiting): answered within the time, of what \
        was offered without what was closed unanswered within the time and without what still has time; null \
        when that is nothing";

    pub fn level(&self) -> Option<f64> {
        share(self.within, self.within + self.late)
    }
}

/// Calls of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub inbound: u64,
    pub answered: u64,
    /// They reached nobody; a voicemail is one of them.
    pub missed: u64,
    /// Calls we owed that are done.
    pub called_back: u64,
    pub callback_open: u64,
    /// Calls we owed when the conversation was resolved.
    pub callback_given_up: u64,
}

/// Promises of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Promises {
    pub kept: u64,
    /// Answered, too late.
    pub late: u64,
    /// Too late, and still not answered.
    pub breached_open: u64,
    /// Not decided yet.
    pub running: u64,
    pub withdrawn: u64,
}

impl Promises {
    /// Of those that were to be kept by now.
    pub fn kept_share(&self) -> Option<f64> {
        share(self.kept, self.kept + self.late + self.breached_open)
    }
}

pub fn waiting(rows: &[ConversationFacts], by: Option<By>) -> Told<Waiting> {
    fold(by, rows.iter().map(|row| (&row.place, row.waits_since(), row)), |told: &mut Waiting, row| {
        told.count += 1;
        let since = row.waits_since();
        told.oldest_since = Some(told.oldest_since.map_or(since, |oldest| oldest.min(since)));
    })
}

pub fn response(rows: &[ConversationFacts], by: Option<By>) -> Told<Response> {
    let times = fold(
        by,
        rows.iter().map(|row| (&row.place, row.opened_at, row)),
        |(answers, waits): &mut (Vec<i64>, Vec<i64>), row| {
            let after = |at: Timestamp| at.duration_since(row.began_at()).as_secs().max(0);
            answers.extend(row.answered_at.map(after));
            waits.extend(row.assigned_at.map(after));
        },
    );
    let told = |(answers, waits): (Vec<i64>, Vec<i64>)| Response {
        count: answers.len() as u64,
        first_response: spread(answers),
        wait: spread(waits),
    };
    times.into_iter().map(|(key, times)| (key, told(times))).collect()
}

/// By the promise of each, or of all by the same time. Without either a conversation is not offered.
pub fn service_level(
    rows: &[ConversationFacts],
    by: Option<By>,
    within: Option<SignedDuration>,
    now: Timestamp,
) -> Told<ServiceLevel> {
    fold(by, rows.iter().map(|row| (&row.place, row.opened_at, row)), |told: &mut ServiceLevel, row| {
        let verdict = match within {
            Some(within) => Some(row.judged(within, now)),
            None => row.first_response().map(PromiseFacts::verdict),
        };
        told.offered += u64::from(verdict.is_some());
        match verdict {
            Some(Verdict::Within) => told.within += 1,
            Some(Verdict::Late) => told.late += 1,
            Some(Verdict::Waiting) => told.waiting += 1,
            Some(Verdict::Abandoned) => told.abandoned += 1,
            None => {}
        }
    })
}

pub fn calls(calls: &[CallFacts], callbacks: &[CallbackFacts], by: Option<By>) -> Told<Calls> {
    let told =
        fold(by, calls.iter().map(|row| (&row.place, row.occurred_at, row)), |told: &mut Calls, row| {
            told.inbound += 1;
            match row.outcome {
                Some(Outcome::Answered) => told.answered += 1,
                Some(Outcome::Missed | Outcome::Voicemail) => told.missed += 1,
                _ => {}
            }
        });
    fold_into(told, by, callbacks.iter().map(|row| (&row.place, row.since, row)), |told, row| {
        match row.state {
            Owed::Still => told.callback_open += 1,
            Owed::Done => told.called_back += 1,
            Owed::GivenUp => told.callback_given_up += 1,
        }
    })
}

/// Each key with every kind.
pub fn promises(rows: &[ConversationFacts], by: Option<By>) -> Told<BTreeMap<PromiseKind, Promises>> {
    let none = || PromiseKind::ALL.map(|kind| (kind, Promises::default())).into_iter().collect();
    let mut told = fold(
        by,
        rows.iter().map(|row| (&row.place, row.opened_at, row)),
        |told: &mut BTreeMap<PromiseKind, Promises>, row| {
            for promise in &row.promises {
                let told = told.entry(promise.kind).or_default();
                told.kept += u64::from(promise.past.kept);
                told.late += u64::from(promise.past.late);
                told.withdrawn += u64::from(promise.past.withdrawn);
                match promise.state {
                    State::Running | State::Paused | State::Warned => told.running += 1,
                    State::Breached => told.breached_open += 1,
                    State::Kept => told.kept += 1,
                    State::Late => told.late += 1,
                    State::Withdrawn => told.withdrawn += 1,
                }
            }
        },
    );
    for kinds in told.values_mut() {
        let all: BTreeMap<_, _> = none();
        all.into_iter().for_each(|(kind, zero)| {
            kinds.entry(kind).or_insert(zero);
        });
    }
    told
}

enum Verdict {
    Within,
    Late,
    Waiting,
    Abandoned,
}

impl ConversationFacts {
    /// When the client first acted, as far as is known; else when we heard of it.
    fn began_at(&self) -> Timestamp {
        self.first_response().and_then(|promise| promise.began_at).unwrap_or(self.opened_at)
    }

    fn waits_since(&self) -> Timestamp {
        self.waiting_since.unwrap_or(self.opened_at)
    }

    fn first_response(&self) -> Option<&PromiseFacts> {
        self.promises.iter().find(|promise| promise.kind == PromiseKind::FirstResponse)
    }

    /// By the clock on the wall.
    fn judged(&self, within: SignedDuration, now: Timestamp) -> Verdict {
        let in_time = |at: Timestamp| at.duration_since(self.began_at()) <= within;
        match (self.answered_at, self.resolved_at) {
            (Some(at), _) if in_time(at) => Verdict::Within,
            (Some(_), _) => Verdict::Late,
            (None, Some(at)) if in_time(at) => Verdict::Abandoned,
            (None, Some(_)) => Verdict::Late,
            (None, None) if in_time(now) => Verdict::Waiting,
            (None, None) => Verdict::Late,
        }
    }
}

impl PromiseFacts {
    fn verdict(&self) -> Verdict {
        let in_time = || self.ended_at.is_none_or(|end| self.due_at.is_none_or(|due| end < due));
        match self.state {
            State::Kept => Verdict::Within,
            State::Late | State::Breached => Verdict::Late,
            State::Running | State::Paused | State::Warned => Verdict::Waiting,
            State::Withdrawn if in_time() => Verdict::Abandoned,
            State::Withdrawn => Verdict::Late,
        }
    }
}

fn fold<'r, T: Default, R: 'r>(
    by: Option<By>,
    rows: impl Iterator<Item = (&'r Place, Timestamp, &'r R)>,
    add: impl FnMut(&mut T, &R),
) -> Told<T> {
    fold_into(Told::new(), by, rows, add)
}

fn fold_into<'r, T: Default, R: 'r>(
    mut told: Told<T>,
    by: Option<By>,
    rows: impl Iterator<Item = (&'r Place, Timestamp, &'r R)>,
    mut add: impl FnMut(&mut T, &R),
) -> Told<T> {
    if by.is_none() {
        told.entry(None).or_default();
    }
    for (place, at, row) in rows {
        add(told.entry(by.and_then(|by| by.key(place, at))).or_default(), row);
    }
    told
}

/// The least value that at least so many percent do not exceed.
fn spread(mut values: Vec<i64>) -> Option<Spread> {
    values.sort_unstable();
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Spread { p50_s: rank(50)?, p90_s: rank(90)?, p95_s: rank(95)?, max_s: rank(100)? })
}

fn share(part: u64, whole: u64) -> Option<f64> {
    // Counts are far below where a float loses ones.
    #[expect(clippy::cast_precision_loss, reason = "bounded by the rows that are read")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
#[path = "figures/tests.rs"]
mod tests;
