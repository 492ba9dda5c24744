//! A call is what all facts about it say together, in whatever order and however often they came.
//!
//! Every field is a minimum, a maximum or a union, so folding is commutative, associative and
//! idempotent; what the call *is* (state, outcome, seconds) is a function of the fold.

use std::collections::{BTreeMap, BTreeSet};

use contact::{
    Basis, CallChange, CallState, Direction, Event, Outcome, Party, Recording, RecordingKind, Transcript,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The fold of every fact seen about one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// The earliest moment any fact tells of: where the call stands on the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    began_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ringing_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// A fact that knows no direction calls itself inbound; one that says outbound knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outbound: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    claims: BTreeSet<(Basis, Outcome)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    talked_s: BTreeMap<Basis, u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rang_s: Option<u32>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    extensions: BTreeSet<String>,
    /// At which of them a person answered, or called the client from, and when last.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    answered_at_extension: BTreeMap<String, Timestamp>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    recordings: BTreeSet<Recording>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    transcripts: BTreeSet<Transcript>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Party>,
}

impl Call {
    /// Adds one fact.
    pub fn fold(&mut self, event: &Event, change: &CallChange) {
        let at = event.occurred_at;
        earliest(&mut self.began_at, at);
        match change.state {
            Some(CallState::Ringing) => earliest(&mut self.ringing_at, at),
            Some(CallState::Answered) => {
                earliest(&mut self.answered_at, at);
                if change.basis == Basis::Person {
                    self.claims.insert((Basis::Person, Outcome::Answered));
                }
            }
            Some(CallState::Ended) => earliest(&mut self.ended_at, at),
            None => {}
        }
        self.outbound |= event.direction == Direction::Outbound;
        self.claims.extend(change.outcome.map(|outcome| (change.basis, outcome)));
        if let Some(seconds) = change.talked_s {
            let longest = self.talked_s.entry(change.basis).or_default();
            *longest = seconds.max(*longest);
        }
        self.rang_s = self.rang_s.max(change.rang_s);
        let answered = change.state == Some(CallState::Answered) || change.outcome == Some(Outcome::Answered);
        // Of a call that came in, what answered on the caller's line may have been no person.
        let of_a_person = change.basis == Basis::Person || event.direction == Direction::Outbound;
        if let Some(extension) = change.extension.as_ref().filter(|_| answered && of_a_person) {
            let last = self.answered_at_extension.entry(extension.clone()).or_insert(at);
            *last = at.max(*last);
        }
        self.extensions.extend(change.extension.clone());
        self.recordings.extend(change.recording.clone());
        self.transcripts.extend(change.transcript.clone());
        better_party(&mut self.from, event.from.as_ref());
        better_party(&mut self.to, event.to.first());
    }

    /// When the call began, by the channel's clock.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.began_at
    }

    pub fn direction(&self) -> Direction {
        if self.outbound { Direction::Outbound } else { Direction::Inbound }
    }

    /// How far it has come.
    pub fn state(&self) -> CallState {
        if self.ended_at.is_some() {
            CallState::Ended
        } else if self.answered_at.is_some() {
            CallState::Answered
        } else {
            CallState::Ringing
        }
    }

    /// How it went, as far as is known. What was seen on a person's telephone outranks what was seen
    /// on the line, because a line is also answered by menus, queues and machines; a voicemail says
    /// that no person answered, unless one was seen answering.
    pub fn outcome(&self) -> Option<Outcome> {
        let claimed = |basis, outcome| self.claims.contains(&(basis, outcome));
        if claimed(Basis::Person, Outcome::Answered) {
            return Some(Outcome::Answered);
        }
        if claimed(Basis::Line, Outcome::Voicemail) || claimed(Basis::Person, Outcome::Voicemail) {
            return Some(Outcome::Voicemail);
        }
        let unanswered =
            |basis| self.claims.iter().find(|(b, o)| *b == basis && *o != Outcome::Answered).map(|(_, o)| *o);
        unanswered(Basis::Person)
            .or(claimed(Basis::Line, Outcome::Answered).then_some(Outcome::Answered))
            .or(unanswered(Basis::Line))
    }

    /// We owe the caller a call: they reached nobody.
    pub fn is_owed(&self) -> bool {
        !self.outbound && matches!(self.outcome(), Some(Outcome::Missed | Outcome::Voicemail))
    }

    /// A person of ours and the client have talked, and the call is over.
    pub fn is_talk(&self) -> bool {
        self.ended_at.is_some() && self.outcome() == Some(Outcome::Answered)
    }

    /// When a person of ours and the client began to talk, over or not.
    pub fn spoken_at(&self) -> Option<Timestamp> {
        self.answered_at.or(self.ended_at).filter(|_| self.outcome() == Some(Outcome::Answered))
    }

    /// At which telephones of ours a person and the client talked, and when they were last seen to.
    pub fn talks(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let talked = self.outcome() == Some(Outcome::Answered);
        self.answered_at_extension.iter().filter(move |_| talked).map(|(at, when)| (at.as_str(), *when))
    }

    /// We called and reached nobody: one attempt of a callback.
    pub fn is_attempt(&self) -> bool {
        self.outbound && self.ended_at.is_some() && self.outcome() != Some(Outcome::Answered)
    }

    pub fn answered_at(&self) -> Option<Timestamp> {
        self.answered_at
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// The party on the client's side.
    pub fn client_party(&self) -> Option<&Party> {
        if self.outbound { self.to.as_ref() } else { self.from.as_ref() }
    }

    /// Seconds from the first ring to the answer or the end.
    pub fn rang_s(&self) -> Option<u32> {
        self.rang_s.or_else(|| seconds(self.ringing_at?, self.answered_at.or(self.ended_at)?))
    }

    /// Seconds of talk; 0 when nobody answered.
    pub fn talked_s(&self) -> Option<u32> {
        match self.outcome() {
            Some(Outcome::Answered) => self
                .talked_s
                .get(&Basis::Person)
                .or(self.talked_s.get(&Basis::Line))
                .copied()
                .or_else(|| seconds(self.answered_at?, self.ended_at?)),
            Some(_) => Some(0),
            None => None,
        }
    }

    /// One line for a person.
    pub fn summary(&self) -> String {
        let rang = self.rang_s().map(|s| format!(", rang {s} s")).unwrap_or_default();
        let talked = self.talked_s().map(|s| format!(", talked {s} s")).unwrap_or_default();
        let way = if self.outbound { "Outgoing call" } else { "Incoming call" };
        match (self.outcome(), self.state()) {
            (Some(Outcome::Answered), CallState::Ended) if self.outbound => format!("{way}{talked}"),
            (Some(Outcome::Answered), CallState::Ended) => format!("Answered call{talked}"),
            (Some(Outcome::Missed), _) => format!("Missed call{rang}"),
            (Some(Outcome::Voicemail), _) => {
                let left = self.recordings.iter().find(|r| r.kind == RecordingKind::Voicemail);
                let length = left.and_then(|r| r.seconds).map(|s| format!(", {s} s")).unwrap_or_default();
                format!("Voicemail{length}")
            }
            (Some(Outcome::Busy), _) => format!("{way}, busy"),
            (Some(Outcome::NoAnswer), _) => format!("{way}, no answer"),
            (Some(Outcome::Failed), _) => format!("{way}, failed"),
            (Some(Outcome::Canceled), _) => format!("{way}, canceled"),
            (None, CallState::Ended) => format!("{way}, ended"),
            (_, CallState::Answered) => format!("{way}, in progress"),
            (_, _) => format!("{way}, ringing"),
        }
    }

    /// The `content` of the call's entry.
    pub fn content<'a>(&'a self, call_id: &'a str) -> CallContent<'a> {
        CallContent {
            call_id,
            state: self.state(),
            outcome: self.outcome(),
            rang_s: self.rang_s(),
            talked_s: self.talked_s(),
            from: self.from.as_ref(),
            to: self.to.as_ref(),
            extensions: &self.extensions,
            recordings: &self.recordings,
            transcripts: &self.transcripts,
        }
    }
}

/// A call as the timeline shows it.
#[derive(Debug, Serialize)]
pub struct CallContent<'a> {
    pub call_id: &'a str,
    pub state: CallState,
    pub outcome: Option<Outcome>,
    pub rang_s: Option<u32>,
    pub talked_s: Option<u32>,
    pub from: Option<&'a Party>,
    pub to: Option<&'a Party>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub extensions: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub recordings: &'a BTreeSet<Recording>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub transcripts: &'a BTreeSet<Transcript>,
}

fn earliest(kept: &mut Option<Timestamp>, at: Timestamp) {
    *kept = Some(kept.map_or(at, |known| known.min(at)));
}

fn seconds(from: Timestamp, to: Timestamp) -> Option<u32> {
    u32::try_from(to.as_second() - from.as_second()).ok()
}

/// Of two descriptions of one party the one with an address wins, then the one with a name, then the
/// lesser text: an order in which it does not matter who came first.
fn better_party(kept: &mut Option<Party>, seen: Option<&Party>) {
    fn rank(party: &Party) -> impl Ord {
        let text = (&party.value, &party.name, &party.raw);
        (party.value.is_some(), party.name.is_some(), std::cmp::Reverse(text))
    }
    if let Some(seen) = seen
        && kept.as_ref().is_none_or(|known| rank(known) < rank(seen))
    {
        *kept = Some(seen.clone());
    }
}
