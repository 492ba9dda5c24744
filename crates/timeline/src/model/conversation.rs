//! One matter: what is owned, answered, promised, resolved.

use std::collections::BTreeMap;

use contact::work::USUAL_QUEUE;
use contact::{Channel, ClientId, ContactId, ConversationId, Decision, EntryId, PromiseKind};
use jiff::{SignedDuration, Timestamp};
use routing::order::{Ageing, Place, Priority};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// A chat we answered is over when the client was silent for so long: until then they may be there, and their
/// agent has room for one chat less.
const SILENCE: SignedDuration = SignedDuration::from_mins(30);

/// Contacts and replies about one matter; what is owned, answered, promised, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub status: Status,
    pub client: Option<ClientId>,
    /// What contacts must share, besides the client, to be about one matter; `phone` for all calls.
    pub thread: String,
    pub channel: Channel,
    pub queue: String,
    pub priority: i32,
    pub assignee: Option<String>,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    /// To whom it goes and what is promised; `None` where nothing but the usual was decided.
    pub routing: Option<Decision>,
    /// The promises that were made, running or ended.
    pub clocks: BTreeMap<PromiseKind, Clock>,
    /// When the client first acted of what nobody has answered yet; `None`: nobody waits.
    pub waiting_since: Option<Timestamp>,
    /// Since when it has been its agent's, or nobody's, or waits this time.
    pub handed_at: Timestamp,
    pub snoozed_until: Option<Timestamp>,
    /// When it first was somebody's.
    pub assigned_at: Option<Timestamp>,
    /// When we first answered, and when last.
    pub answered_at: Option<Timestamp>,
    pub last_answer_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// The soonest deadline of a promise that runs. This and the next two follow from the rest, see
    /// [`Conversation::settle`].
    pub due_at: Option<Timestamp>,
    /// When something is to be done about it though nothing happens: a notice is due, it has rested enough, or
    /// is over.
    pub wake_at: Option<Timestamp>,
    /// Its place among those that wait for an agent, the least first; `None`: it does not.
    pub rank: Option<i64>,
    pub callback: Option<Callback>,
    /// The calls in it that are not over as far as is known, and when each began.
    pub on_line: BTreeMap<ContactId, Timestamp>,
    pub last_entry: Option<EntryId>,
    /// The client's latest contact in it: what an answer answers.
    pub last_contact: Option<ContactId>,
    /// It turned out to be part of this one, when clients were made one or taken apart; it is listed no more,
    /// and who names it means that one.
    pub continued_in: Option<ConversationId>,
    pub rev: i64,
}

impl Conversation {
    /// Newly open, with nobody, in the usual queue.
    pub fn new(
        id: ConversationId,
        client: Option<ClientId>,
        thread: String,
        channel: Channel,
        at: Timestamp,
    ) -> Conversation {
        Conversation {
            id,
            status: Status::Open,
            client,
            thread,
            channel,
            queue: USUAL_QUEUE.to_owned(),
            priority: i32::from(Priority::USUAL.get()),
            assignee: None,
            opened_at: at,
            updated_at: at,
            routing: None,
            clocks: BTreeMap::new(),
            waiting_since: None,
            handed_at: at,
            snoozed_until: None,
            assigned_at: None,
            answered_at: None,
            last_answer_at: None,
            resolved_at: None,
            due_at: None,
            wake_at: None,
            rank: None,
            callback: None,
            on_line: BTreeMap::new(),
            last_entry: None,
            last_contact: None,
            continued_in: None,
            rev: 0,
        }
    }

    /// It waits for something, so new contacts of its client and thread belong to it.
    pub fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }

    /// An agent is to be found for it. A telephone rings by itself; of calls only what we owe waits.
    pub fn waits(&self) -> bool {
        let owed = self.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
        self.status == Status::Open
            && self.assignee.is_none()
            && self.continued_in.is_none()
            && (self.channel != Channel::Phone || owed)
    }

    /// It is on the hands of its agent: one that waits for the client is not, unless the client is there.
    pub fn occupies(&self) -> bool {
        let there = match self.status {
            Status::Open => true,
            Status::Pending => self.channel == Channel::Chat,
            Status::Snoozed | Status::Resolved => false,
        };
        there && self.assignee.is_some() && self.continued_in.is_none()
    }

    /// When it is resolved by itself: a chat whose client does not come back.
    pub fn over_at(&self) -> Option<Timestamp> {
        let waits = self.status == Status::Pending && self.channel == Channel::Chat;
        let since = self.last_answer_at.unwrap_or(self.handed_at);
        waits.then(|| since.saturating_add(SILENCE).unwrap_or(Timestamp::MAX))
    }

    /// Where it stands in the waiting list, if it waits.
    pub fn place(&self) -> Place {
        let point_s = self.routing.as_ref().map_or(contact::work::USUAL_POINT_S, |routing| routing.point_s);
        let since = self.waiting_since.unwrap_or(self.opened_at);
        Ageing { point_s }.place(self.id, Priority::clamped(self.priority), since)
    }

    /// What follows from the rest: when it is due, when to wake for it, where it stands.
    pub fn settle(&mut self) {
        self.due_at = self.clocks.values().filter_map(Clock::runs_until).min();
        let rests = self.snoozed_until.filter(|_| self.status == Status::Snoozed);
        let notices = self.clocks.values().filter_map(Clock::next_notice);
        self.wake_at = notices.chain(rests).chain(self.over_at()).min();
        self.rank = self.waits().then(|| self.place().key);
    }
}

words!(Status, "status" { Open = "open", Pending = "pending", Snoozed = "snoozed", Resolved = "resolved" });

/// An outbound call we owe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Our calls that reached nobody since it is owed.
    pub attempts: u32,
    /// The calls that were missed: five of one client are one callback.
    pub missed: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// When the last of them was over: who is talked to before that may still want something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When the client was reached; what follows begins a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Nobody was reached; it was resolved all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
}

impl Callback {
    /// It is owed still.
    pub(crate) fn is_pending(&self) -> bool {
        self.done_at.is_none()
    }

    /// It is owed, and a talk that ended then settles it.
    pub(crate) fn is_settled_by(&self, reached_at: Timestamp) -> bool {
        self.done_at.is_none() && self.since.max(self.last.unwrap_or(self.since)) <= reached_at
    }
}
