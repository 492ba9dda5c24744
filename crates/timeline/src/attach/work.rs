//! Work: to whom a conversation goes, and who has it.
//!
//! What the client and we do is folded into the clocks of a conversation wherever it happens (`promises`); what follows
//! from a conversation's new state (an offer nobody needs any more, an agent who has nothing new) is found in
//! one place, after each change. Rules and calendars are asked only when the decision is taken for the first
//! time; afterwards it stands in the log.

use contact::{
    Act, Actor, Channel, ConversationId, Deadline, Decision, Deed, Event, Notice, OfferEnd, Presence,
    Profile, PromiseKind, ReservationId,
};
use jiff::Timestamp;
use routing::promise::Fact;

use super::promises::{owe_by_the_clock, promised, reckoned, running, set};
use super::{Desk, Mode};
use crate::model::{
    Agent, Announcement, Callback, Client, Conversation, FeedKind, Reservation, ReservationState, Status,
};
use crate::policy::{PRESENCE, Policy, RULES};

/// What a conversation was like when it was last looked at, as far as anything follows from its changing.
#[derive(Clone, Default)]
pub(super) struct Stood {
    assignee: Option<String>,
    occupied: bool,
    resolved: bool,
    snoozed: bool,
    waited: bool,
}

impl Stood {
    pub(super) fn of(row: &Conversation) -> Stood {
        Stood {
            assignee: row.assignee.clone(),
            occupied: row.occupies(),
            resolved: row.status == Status::Resolved,
            snoozed: row.status == Status::Snoozed,
            waited: row.waits(),
        }
    }

    fn hands(&self) -> Option<&String> {
        self.assignee.as_ref().filter(|_| self.occupied)
    }
}

impl Desk<'_> {
    // --- what follows

    /// It is on our side again.
    pub(super) fn turn_to_us(&mut self, id: ConversationId) {
        if let Some(row) = self.known.conversations.get_mut(&id).filter(|row| row.status != Status::Open) {
            row.status = Status::Open;
            self.turned.insert(id);
        }
    }

    /// Sees to everything that follows from a conversation's having changed.
    pub(super) fn follow(&mut self, id: ConversationId, now: Timestamp) {
        let Some(row) = self.known.conversations.get_mut(&id) else { return };
        let is = Stood::of(row);
        let was = self.stood.insert(id, is.clone()).unwrap_or_default();
        if is.assignee != was.assignee || is.waited && !was.waited {
            row.handed_at = now;
        }
        if is.assignee.is_some() {
            row.assigned_at.get_or_insert(now);
        }
        if row.status != Status::Snoozed {
            row.snoozed_until = None;
        }
        if was.snoozed && !is.snoozed {
            // Whatever ended its rest, and whichever promises that bears on.
            running(row, now, Fact::Resumed);
        }
        if is.resolved {
            // Whatever is heard of late, nobody waits here.
            row.waiting_since = None;
            row.resolved_at = row.resolved_at.filter(|_| was.resolved).or(Some(now));
        } else {
            row.resolved_at = None;
        }
        owe_by_the_clock(row, now);
        if is.resolved {
            for clock in row.clocks.values_mut().filter(|clock| clock.ended().is_none()) {
                clock.fold(now, Fact::Withdrawn);
            }
        }
        let waits = row.waits();
        self.stirred.insert(id);
        if !waits {
            self.rescind(id, now);
        }
        let (had, has) = (was.hands().cloned(), is.hands().cloned());
        if had != has {
            self.change_agent(had.as_deref(), |agent| agent.idle_since = now);
            self.change_agent(has.as_deref(), |agent| (agent.idle_since, agent.missed) = (now, 0));
        }
    }

    /// Whoever was asked is not asked any more.
    fn rescind(&mut self, conversation: ConversationId, now: Timestamp) {
        let pending =
            |row: &&Reservation| row.conversation == conversation && row.state == ReservationState::Pending;
        let ids: Vec<ReservationId> =
            self.known.reservations.values().filter(pending).map(|row| row.id).collect();
        for id in ids {
            self.end_reservation(id, ReservationState::Rescinded, None, now);
        }
    }

    /// Rules and calendars are asked about what is new, and what they say is put into the log.
    pub(super) fn decide_work(&mut self, event: &Event, now: Timestamp) {
        let (begun, stirred) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.stirred));
        let turned = std::mem::take(&mut self.turned);
        let Mode::Live(policy) = self.mode else { return };
        for id in turned {
            if let Some(act) = self.returned(id) {
                self.decide(event, &format!("return:{id}"), act, now);
            }
        }
        for id in begun {
            let Some(row) = self.known.conversations.get(&id) else { continue };
            let client = row.client.and_then(|client| self.known.clients.get(&client));
            if let Some(act) = way(policy, row, event, client, now) {
                self.decide(event, &format!("route:{id}"), act, now);
            }
        }
        for id in stirred {
            let Some(row) = self.known.conversations.get(&id) else { continue };
            for deadline in reckoned(row, &policy.calendars) {
                let what = format!("reckon:{}:{id}", deadline.promise.as_str());
                let deed = Deed::Reckon { conversation: id, deadline };
                self.decide(event, &what, Act { by: rules(policy), deed }, now);
            }
        }
    }

    /// What was turned to us is on nobody's hands where whose it is is no agent, or had gone before they were
    /// given it: nobody would ever give it back.
    fn returned(&self, conversation: ConversationId) -> Option<Act> {
        let row = self.known.conversations.get(&conversation).filter(|row| row.occupies())?;
        let agent = row.assignee.clone()?;
        let reason = match self.known.agents.get(&agent) {
            None => "no agent has this name",
            // Whose console is open sees it, whether or not they said that they are here.
            Some(known) if known.is_connected() => return None,
            Some(known) if known.gone_since.is_some_and(|gone| gone < row.handed_at) => {
                "the agent was gone already when it was given to them"
            }
            Some(_) => return None,
        };
        let deed = Deed::Return { conversation, agent, reason: reason.to_owned() };
        Some(Act { by: Actor::Policy(PRESENCE.to_owned()), deed })
    }

    // --- decisions of ours

    pub(super) fn take_route(
        &mut self,
        event: &Event,
        id: ConversationId,
        decision: &Decision,
        deadlines: &[Deadline],
        now: Timestamp,
    ) {
        self.change_conversation(id, now, |row| {
            route(row, decision, event.occurred_at, now);
            deadlines.iter().for_each(|deadline| set(row, deadline));
        });
    }

    pub(super) fn take_reckoning(&mut self, id: ConversationId, deadline: &Deadline, now: Timestamp) {
        self.change_conversation(id, now, |row| set(row, deadline));
    }

    pub(super) fn take_notice(
        &mut self,
        id: ConversationId,
        promise: PromiseKind,
        notice: Notice,
        at: Timestamp,
        now: Timestamp,
    ) {
        let mut due_at = None;
        self.change_conversation(id, now, |row| {
            if let Some(clock) = row.clocks.get_mut(&promise) {
                clock.tell(notice, at);
                due_at = clock.due_at();
            }
        });
        let id = self.meant(id);
        let rev = self.known.conversations.get(&id).map_or(0, |row| row.rev);
        let told = Announcement { promise, notice, due_at };
        self.announce(FeedKind::Deadline, id.uuid(), rev, Some(told));
    }

    pub(super) fn take_snooze(&mut self, id: ConversationId, until: Timestamp, now: Timestamp) {
        self.change_conversation(id, now, |row| {
            row.status = Status::Snoozed;
            row.snoozed_until = Some(until);
            running(row, now, Fact::Paused);
        });
    }

    /// Its clocks run again from the moment its rest was over, however late we look.
    pub(super) fn take_wake(&mut self, id: ConversationId, at: Timestamp, now: Timestamp) {
        self.change_conversation(id, now, |row| {
            if row.status == Status::Snoozed {
                row.status = Status::Open;
                running(row, at, Fact::Resumed);
            }
        });
    }

    pub(super) fn take_owed_call(&mut self, id: ConversationId, now: Timestamp) {
        self.change_conversation(id, now, |row| {
            row.status = Status::Open;
            if row.callback.as_ref().is_none_or(|callback| callback.done_at.is_some()) {
                row.callback = Some(Callback {
                    attempts: 0,
                    missed: 0,
                    since: now,
                    last: None,
                    done_at: None,
                    given_up: false,
                });
            }
        });
    }

    pub(super) fn take_done_call(&mut self, id: ConversationId, now: Timestamp) {
        self.change_conversation(id, now, |row| {
            if let Some(callback) = &mut row.callback {
                callback.done_at.get_or_insert(now);
            }
            // As where they are talked to: nothing waits, unless they are on the line.
            if row.channel == Channel::Phone && row.on_line.is_empty() {
                row.status = Status::Resolved;
            }
        });
    }

    // --- offers

    pub(super) fn take_offer(
        &mut self,
        event: &Event,
        conversation: ConversationId,
        agent: &str,
        until: Timestamp,
        now: Timestamp,
    ) {
        // What was returned in the same turn may wait for nobody: a call that merely rings, say.
        let waits = self.known.conversations.get(&conversation).is_some_and(Conversation::waits);
        if self.again.is_some() || !waits {
            return;
        }
        let id = ReservationId::derived(&event.key, event.received_at);
        let row = Reservation {
            id,
            conversation,
            agent: agent.to_owned(),
            state: ReservationState::Pending,
            offered_at: now,
            until,
            ended_at: None,
            rests_until: None,
            rev: 1,
        };
        self.known.reservations.insert(id, row);
        self.reservations.note(id);
        self.tell(FeedKind::Reservation, id.uuid(), 1);
    }

    pub(super) fn take_end_of_offer(
        &mut self,
        id: ReservationId,
        how: OfferEnd,
        rests_until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let state = match how {
            OfferEnd::TimedOut => ReservationState::TimedOut,
            OfferEnd::Rescinded => ReservationState::Rescinded,
        };
        let agent = self.end_reservation(id, state, rests_until, now);
        if how == OfferEnd::TimedOut {
            // Their turn is over: without this they would be asked first again.
            self.change_agent(agent.as_deref(), |agent| {
                (agent.missed, agent.idle_since) = (agent.missed.saturating_add(1), now);
            });
        }
    }

    pub(super) fn take_decline(&mut self, id: ReservationId, rests_until: Option<Timestamp>, now: Timestamp) {
        let agent = self.end_reservation(id, ReservationState::Declined, rests_until, now);
        self.change_agent(agent.as_deref(), |agent| agent.missed = 0);
    }

    pub(super) fn take_acceptance(
        &mut self,
        id: ReservationId,
        conversation: ConversationId,
        by: &str,
        now: Timestamp,
    ) {
        self.end_reservation(id, ReservationState::Accepted, None, now);
        self.change_conversation(conversation, now, |row| row.assignee = Some(by.to_owned()));
    }

    pub(super) fn take_return(&mut self, id: ConversationId, agent: &str, now: Timestamp) {
        self.change_conversation(id, now, |row| {
            if row.assignee.as_deref() == Some(agent) {
                row.assignee = None;
            }
        });
    }

    /// Gives whose it was, if it was open.
    fn end_reservation(
        &mut self,
        id: ReservationId,
        state: ReservationState,
        rests_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<String> {
        let row = self.known.reservations.get_mut(&id)?;
        if row.state != ReservationState::Pending {
            return None;
        }
        (row.state, row.ended_at, row.rests_until) = (state, Some(now), rests_until);
        row.rev += 1;
        let (agent, rev) = (row.agent.clone(), row.rev);
        self.reservations.note(id);
        self.tell(FeedKind::Reservation, id.uuid(), rev);
        Some(agent)
    }

    // --- agents

    pub(super) fn take_engagement(&mut self, agent: &str, profile: Option<&Profile>, now: Timestamp) {
        self.meet_agent(agent, now);
        self.change_agent(Some(agent), |row| row.profile = profile.cloned());
    }

    pub(super) fn take_appearance(&mut self, agent: &str, presence: Presence, now: Timestamp) {
        self.meet_agent(agent, now);
        self.change_agent(Some(agent), |row| appear(row, now, |row| row.presence = presence));
    }

    pub(super) fn take_connection(&mut self, agent: &str, process: &str, open: bool, now: Timestamp) {
        self.meet_agent(agent, now);
        self.change_agent(Some(agent), |row| {
            appear(row, now, |row| {
                if open {
                    row.consoles.insert(process.to_owned());
                } else {
                    row.consoles.remove(process);
                }
            });
        });
    }

    fn meet_agent(&mut self, name: &str, now: Timestamp) {
        self.known.agents.entry(name.to_owned()).or_insert_with(|| Agent::new(name, now));
    }

    /// Changes one of us, if we know them.
    fn change_agent(&mut self, name: Option<&str>, change: impl FnOnce(&mut Agent)) {
        let Some(row) = name.and_then(|name| self.known.agents.get_mut(name)) else { return };
        let before = row.clone();
        change(row);
        if *row == before {
            return;
        }
        row.rev += 1;
        let (id, rev) = (Agent::id(&row.name), row.rev);
        self.agents.insert(row.name.clone());
        self.tell(FeedKind::Agent, id, rev);
    }
}

fn rules(policy: &Policy) -> Actor {
    Actor::Policy(format!("{RULES}/{}", policy.rules.version()))
}

/// What the rules say about a conversation that this event began; `None` where that is the usual.
pub(crate) fn way(
    policy: &Policy,
    row: &Conversation,
    event: &Event,
    client: Option<&Client>,
    now: Timestamp,
) -> Option<Act> {
    let decision = policy.route(event, client, now);
    if decision.is_usual() {
        return None;
    }
    let mut row = row.clone();
    route(&mut row, &decision, event.occurred_at, now);
    let deadlines = reckoned(&row, &policy.calendars);
    Some(Act { by: rules(policy), deed: Deed::Route { conversation: row.id, decision, deadlines } })
}

/// Changes where an agent is, and what follows from it.
fn appear(row: &mut Agent, now: Timestamp, change: impl FnOnce(&mut Agent)) {
    let ready = |row: &Agent| row.is_connected() && row.presence == Presence::Available;
    let was_ready = ready(row);
    change(row);
    if ready(row) && !was_ready {
        // Who comes back stands behind those who stayed.
        (row.idle_since, row.missed) = (now, 0);
    }
    let here = row.is_connected() && row.presence != Presence::Offline;
    row.gone_since = if here { None } else { Some(row.gone_since.unwrap_or(now)) };
}

/// Gives a conversation its way and starts the clocks of what was promised.
fn route(row: &mut Conversation, decision: &Decision, began_at: Timestamp, now: Timestamp) {
    row.queue.clone_from(&decision.queue);
    row.priority = i32::from(decision.priority.get());
    row.routing = Some(decision.clone());
    if let Some(target) = decision.promises.get(&PromiseKind::FirstResponse) {
        // Of a call that was over when we first heard of it, nobody waits any more.
        let began_at = row.waiting_since.unwrap_or(began_at);
        let began_at = row.answered_at.map_or(began_at, |answered| answered.min(began_at));
        let mut clock = promised(PromiseKind::FirstResponse, target, began_at);
        clock.fold(began_at, Fact::Acted);
        if let Some(at) = row.answered_at {
            clock.fold(at, Fact::Answered);
        }
        if let Some(at) = row.resolved_at {
            clock.fold(at, Fact::Withdrawn);
        }
        row.clocks.insert(PromiseKind::FirstResponse, clock);
    }
    owe_by_the_clock(row, now);
}
