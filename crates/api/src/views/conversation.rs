//! A conversation as callers see it: whose it is, what is promised, who is asked.

use std::collections::{BTreeMap, BTreeSet};

use contact::{Channel, ConversationId, Decision, PromiseKind, ReservationId};
use jiff::Timestamp;
use serde::Serialize;
use timeline::clock::{Clock, State};
use timeline::{Conversation, ConversationView, Entry, Reservation, Status};
use utoipa::ToSchema;

use super::{ClientSummaryJson, EntryJson};
use crate::words;

/// Contacts and replies about one matter.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationJson {
    #[schema(value_type = String, example = "cnv_019aa5bd3f977000c1b2c3d4e5f60718")]
    id: ConversationId,
    #[schema(schema_with = words::status)]
    status: Status,
    /// Null when it is nobody's we know.
    client: Option<ClientSummaryJson>,
    #[schema(schema_with = words::channel)]
    channel: Channel,
    #[schema(example = "default")]
    queue: String,
    /// How urgent, from 0 to 100; 50 is usual.
    #[schema(example = 50)]
    priority: i32,
    /// What whoever takes it must know.
    #[schema(example = json!(["spanish"]))]
    skills: BTreeSet<String>,
    assignee: Option<String>,
    opened_at: Timestamp,
    updated_at: Timestamp,
    /// When the client first acted of what nobody has answered yet; null when nobody waits.
    waiting_since: Option<Timestamp>,
    /// Null unless its status is `snoozed`.
    snoozed_until: Option<Timestamp>,
    /// Its place among those that wait for an agent, the least first; null when it does not wait for one.
    #[schema(example = 1_795_255_200_000_000_i64)]
    rank: Option<i64>,
    /// The soonest deadline of a promise that runs.
    due_at: Option<Timestamp>,
    /// What was promised, running or ended.
    promises: Vec<PromiseJson>,
    /// Who is asked right now whether they take it; null when nobody is.
    offer: Option<OfferJson>,
    /// The call we owe; null when none was ever owed.
    callback: Option<CallbackJson>,
    /// In brief: without `html`, `quoted` and `signature`, and of `text` the first 1,000 letters. Whole it stands on
    /// the timeline.
    last_entry: Option<EntryJson>,
    /// It turned out to be part of this one. Only `/v1/events` shows such a one; elsewhere the conversation
    /// it became part of stands in its place.
    #[schema(value_type = Option<String>)]
    continued_in: Option<ConversationId>,
}

/// One promise of a conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = Promise)]
pub(crate) struct PromiseJson {
    #[schema(schema_with = words::promise_kind)]
    kind: PromiseKind,
    /// When its clock began; null of one that has nothing to count yet.
    began_at: Option<Timestamp>,
    /// Null of this and of `due_at` while it is paused, or when its calendar never opens.
    warn_at: Option<Timestamp>,
    /// The first moment that is too late.
    due_at: Option<Timestamp>,
    #[schema(schema_with = words::promise_state)]
    state: State,
    ended_at: Option<Timestamp>,
}

/// Who is asked, and how long.
#[derive(Serialize, ToSchema)]
#[schema(as = Offer)]
pub(crate) struct OfferJson {
    #[schema(value_type = String, example = "rsv_019aa5bd3f977000d1b2c3d4e5f60718")]
    id: ReservationId,
    #[schema(example = "Mia")]
    agent: String,
    until: Timestamp,
}

/// An outbound call we owe, or owed.
#[derive(Serialize, ToSchema)]
#[schema(as = Callback)]
pub(crate) struct CallbackJson {
    /// Our calls that reached nobody since it is owed.
    attempts: u32,
    /// The calls that were missed.
    missed: u32,
    /// When the first of them was.
    since: Timestamp,
    /// When the client was reached; null while it is owed.
    done_at: Option<Timestamp>,
}

/// A conversation with how it came to whom it came.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationDetail)]
pub(crate) struct ConversationDetailJson {
    #[serde(flatten)]
    conversation: ConversationJson,
    /// Null where nothing but the usual was decided: one queue, one priority, no promise.
    routing: Option<RoutingJson>,
}

/// What was decided about a conversation, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = Routing)]
pub(crate) struct RoutingJson {
    /// Null when no rule matched.
    #[schema(example = "gold-clients")]
    rule: Option<String>,
    /// Which rules were in force: equal configurations have the same.
    version: String,
    queue: String,
    priority: u8,
    skills: BTreeSet<String>,
    /// By kind.
    #[schema(value_type = BTreeMap<String, TargetJson>)]
    promises: BTreeMap<PromiseKind, TargetJson>,
    /// Sentences for a person.
    reasons: Vec<String>,
    /// Rules that were asked before and gave no answer.
    failed: Vec<FailedRuleJson>,
}

/// What is promised.
#[derive(Serialize, ToSchema)]
#[schema(as = Target)]
pub(crate) struct TargetJson {
    #[schema(example = 3_600)]
    within_s: u32,
    /// Whose hours count; null: all do.
    #[schema(example = "office")]
    calendar: Option<String>,
    /// At this share of the time a warning is due.
    #[schema(example = 80)]
    warn_percent: u8,
}

/// A rule that gave no answer.
#[derive(Serialize, ToSchema)]
#[schema(as = FailedRule)]
pub(crate) struct FailedRuleJson {
    rule: String,
    reason: String,
}

impl ConversationJson {
    /// As it stands at a moment.
    pub(crate) fn of(view: ConversationView, now: Timestamp) -> Self {
        let ConversationView { conversation, client, last_entry, offer } = view;
        Self::new(conversation, client.as_ref().map(ClientSummaryJson::from), last_entry, offer, now)
    }

    pub(crate) fn new(
        row: Conversation,
        client: Option<ClientSummaryJson>,
        last: Option<Entry>,
        offer: Option<Reservation>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: row.id,
            status: row.status,
            client,
            channel: row.channel,
            queue: row.queue,
            priority: row.priority,
            skills: row.routing.map(|routing| routing.skills).unwrap_or_default(),
            assignee: row.assignee,
            opened_at: row.opened_at,
            updated_at: row.updated_at,
            waiting_since: row.waiting_since,
            snoozed_until: row.snoozed_until,
            rank: row.rank,
            due_at: row.due_at,
            promises: row.clocks.iter().map(|(kind, clock)| PromiseJson::new(*kind, clock, now)).collect(),
            offer: offer.map(OfferJson::from),
            callback: row.callback.map(|callback| CallbackJson {
                attempts: callback.attempts,
                missed: callback.missed,
                since: callback.since,
                done_at: callback.done_at,
            }),
            last_entry: last.map(|entry| entry.in_brief().into()),
            continued_in: row.continued_in,
        }
    }
}

impl PromiseJson {
    fn new(kind: PromiseKind, clock: &Clock, now: Timestamp) -> Self {
        Self {
            kind,
            began_at: clock.began_at(),
            warn_at: clock.warn_at(),
            due_at: clock.due_at(),
            state: clock.state(now),
            ended_at: clock.ended().map(|(at, _)| at),
        }
    }
}

impl From<Reservation> for OfferJson {
    fn from(row: Reservation) -> Self {
        Self { id: row.id, agent: row.agent, until: row.until }
    }
}

impl ConversationDetailJson {
    pub(crate) fn of(view: ConversationView, now: Timestamp) -> Self {
        let routing = view.conversation.routing.clone().map(RoutingJson::from);
        Self { conversation: ConversationJson::of(view, now), routing }
    }
}

impl From<Decision> for RoutingJson {
    fn from(decision: Decision) -> Self {
        let target = |target: contact::Target| TargetJson {
            within_s: target.within_s,
            calendar: target.calendar,
            warn_percent: target.warn_percent,
        };
        let failed = decision.failed.into_iter();
        Self {
            rule: decision.rule,
            version: decision.version,
            queue: decision.queue,
            priority: decision.priority.get(),
            skills: decision.skills,
            promises: decision.promises.into_iter().map(|(kind, said)| (kind, target(said))).collect(),
            reasons: decision.reasons,
            failed: failed
                .map(|failed| FailedRuleJson { rule: failed.rule, reason: failed.reason })
                .collect(),
        }
    }
}
