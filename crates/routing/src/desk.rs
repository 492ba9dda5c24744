//! The desk: everything that waits, is offered or is being worked on, and the agents around it.
//!
//! It is set as things are known elsewhere ([`Desk::seat`], [`Desk::place`], [`Desk::remove`]), row by row or anew:
//! the same rows are the same desk. What follows from it when time passes, [`crate::offer`] decides.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use contact::{Channel, ConversationId};
use jiff::Timestamp;

use crate::agent::{Agent, AgentName, Presence, Seat};
use crate::order::Place;

/// A conversation that needs an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub channel: Channel,
    pub queue: String,
    pub skills: BTreeSet<String>,
    /// Which conversation, and where it stands: [`crate::order::Ageing::place`].
    pub place: Place,
    /// Who spoke with the client last.
    pub knows: Option<AgentName>,
}

/// What follows when time passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is held for one agent, until that moment.
    Offered { conversation: ConversationId, agent: AgentName, until: Timestamp },
    /// It waits again. The agent is not offered it before `rests_until`.
    OfferEnded { conversation: ConversationId, agent: AgentName, how: Ended, rests_until: Option<Timestamp> },
    /// What an agent had waits again, in its old place.
    Returned { conversation: ConversationId, agent: AgentName },
    /// They left offers unanswered and count as away.
    Away { agent: AgentName },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    TimedOut,
    /// The agent is not to be asked any more.
    Rescinded,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Offered { agent: AgentName, until: Timestamp },
    Assigned { agent: AgentName },
}

/// A conversation on the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub arrival: Arrival,
    pub standing: Standing,
    /// Since when it waits this time; how long who knows the client is waited for counts from there. Of what is
    /// placed as somebody's, since when it is theirs.
    pub waits_since: Timestamp,
    /// Agents who passed, and until when they are not asked again.
    pub resting: BTreeMap<AgentName, Timestamp>,
}

/// What somebody must be able to do to take a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) queue: String,
    pub(crate) channel: Channel,
    pub(crate) skills: BTreeSet<String>,
}

impl Standing {
    /// To whom it is offered, or whose it is.
    fn holder(&self) -> Option<&AgentName> {
        match self {
            Standing::Waiting => None,
            Standing::Offered { agent, .. } | Standing::Assigned { agent } => Some(agent),
        }
    }

    pub(crate) fn is_offer(&self) -> bool {
        matches!(self, Standing::Offered { .. })
    }
}

impl Work {
    fn need(&self) -> Need {
        let Arrival { channel, queue, skills, .. } = &self.arrival;
        Need { queue: queue.clone(), channel: *channel, skills: skills.clone() }
    }

    /// An agent who is gone since then had it before; of one who is here, whatever they have. What was given to
    /// them while they were gone waits for them.
    pub(crate) fn is_left_by(&self, name: &AgentName, gone: Option<Timestamp>) -> bool {
        matches!(&self.standing, Standing::Assigned { agent } if agent == name)
            && gone.is_none_or(|gone| self.waits_since <= gone)
    }

    pub fn rests(&self, agent: &AgentName, at: Timestamp) -> bool {
        self.resting.get(agent).is_some_and(|until| *until > at)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    agents: BTreeMap<AgentName, Agent>,
    work: BTreeMap<ConversationId, Work>,
    /// What waits and is not offered, in order; and the same by what it needs, so that what nobody here could
    /// take need not be looked at.
    line: BTreeSet<Place>,
    lines: BTreeMap<Need, BTreeSet<Place>>,
    /// Of what waits: until when somebody rests from it, and since when it waits for who knows the client; how
    /// often each moment.
    rests: BTreeMap<Timestamp, u32>,
    held: BTreeMap<Timestamp, u32>,
    /// What is offered, by its end.
    ends: BTreeSet<(Timestamp, ConversationId)>,
    /// What each agent is offered or has. No agent stands here with nothing.
    hands: BTreeMap<AgentName, BTreeSet<ConversationId>>,
    now: Timestamp,
}

impl Desk {
    pub fn agent(&self, name: &AgentName) -> Option<&Agent> {
        self.agents.get(name)
    }

    pub(crate) fn known(&self, name: &AgentName) -> Option<(&AgentName, &Agent)> {
        self.agents.get_key_value(name)
    }

    pub fn agents(&self) -> impl Iterator<Item = (&AgentName, &Agent)> {
        self.agents.iter()
    }

    pub fn work(&self, conversation: ConversationId) -> Option<&Work> {
        self.work.get(&conversation)
    }

    /// Everything on the desk, in no order of meaning.
    pub fn all(&self) -> impl Iterator<Item = &Work> {
        self.work.values()
    }

    /// What waits and is not offered, the first first.
    pub fn waiting(&self) -> impl Iterator<Item = &Work> {
        self.line.iter().filter_map(|place| self.work.get(&place.conversation))
    }

    /// Open offers, the first to end first.
    pub fn offers(&self) -> impl Iterator<Item = (Timestamp, ConversationId)> {
        self.ends.iter().copied()
    }

    /// The moment of the latest change. The desk's time does not go back.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// An open offer whose time is over.
    pub(crate) fn ended_by(&self, at: Timestamp) -> Option<ConversationId> {
        self.ends.first().filter(|(until, _)| *until <= at).map(|(_, conversation)| *conversation)
    }

    /// What is needed of what waits.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &Need> {
        self.lines.keys()
    }

    /// The next that waits and needs this.
    pub(crate) fn first_after(&self, need: &Need, place: Option<Place>) -> Option<Place> {
        self.lines.get(need)?.range((place.map_or(Unbounded, Excluded), Unbounded)).next().copied()
    }

    /// When somebody next may be asked again about what waits and they rested from.
    pub(crate) fn rested_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.rests.range((Excluded(at), Unbounded)).next().map(|(until, _)| *until)
    }

    /// Since when the first waits of what came later than this and waits for who knows the client.
    pub(crate) fn held_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.held.range((Excluded(at), Unbounded)).next().map(|(since, _)| *since)
    }

    /// To whom this is offered, or whose it is.
    pub fn holder(&self, conversation: ConversationId) -> Option<&AgentName> {
        self.work.get(&conversation)?.standing.holder()
    }

    /// What this agent is offered or has.
    pub(crate) fn in_hands(&self, name: &AgentName) -> impl Iterator<Item = &Work> {
        self.hands.get(name).into_iter().flatten().filter_map(|conversation| self.work.get(conversation))
    }

    /// Lets time go on, if nothing else happened.
    pub fn pass(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }

    /// Puts an agent as they are known elsewhere; what they have is counted here.
    pub fn seat(&mut self, name: &AgentName, seat: Seat) {
        if !self.agents.contains_key(name) {
            let mut agent = Agent::new(seat);
            self.in_hands(name).for_each(|work| agent.take(work));
            self.agents.insert(name.clone(), agent);
        } else if let Some(agent) = self.agents.get_mut(name) {
            agent.seat = seat;
        }
    }

    /// Puts a conversation as it is known elsewhere.
    pub fn place(&mut self, work: Work) {
        let conversation = work.arrival.place.conversation;
        self.remove(conversation);
        if let Some(agent) = work.standing.holder().and_then(|name| self.agents.get_mut(name)) {
            agent.take(&work);
        }
        self.list(&work);
        self.work.insert(conversation, work);
    }

    /// Takes a conversation off, wherever it stands.
    pub fn remove(&mut self, conversation: ConversationId) {
        let Some(work) = self.work.remove(&conversation) else { return };
        self.unlist(&work);
        if let Some(agent) = work.standing.holder().and_then(|name| self.agents.get_mut(name)) {
            agent.drop(&work);
        }
    }

    /// Lets a change be. One that fits nothing that is there changes nothing.
    pub(crate) fn apply(&mut self, change: &Change) {
        let now = self.now;
        match change {
            Change::Offered { conversation, agent, until } => self.edit(*conversation, |work| {
                work.standing = Standing::Offered { agent: agent.clone(), until: *until };
            }),
            Change::OfferEnded { conversation, agent, how, rests_until } => {
                self.edit(*conversation, |work| {
                    work.standing = Standing::Waiting;
                    work.resting.retain(|_, until| *until > now);
                    work.resting.extend(rests_until.map(|until| (agent.clone(), until)));
                });
                if let Some(Agent { seat, .. }) =
                    self.agents.get_mut(agent).filter(|_| *how == Ended::TimedOut)
                {
                    // Their turn is over: without this they would be asked first again.
                    (seat.missed, seat.idle_since) = (seat.missed.saturating_add(1), now);
                }
            }
            Change::Returned { conversation, agent } => self.edit(*conversation, |work| {
                (work.standing, work.waits_since) = (Standing::Waiting, now);
                work.arrival.knows = Some(agent.clone());
            }),
            Change::Away { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.seat.presence = Presence::Away;
                }
            }
        }
    }

    fn edit(&mut self, conversation: ConversationId, change: impl FnOnce(&mut Work)) {
        if let Some(mut work) = self.work.get(&conversation).cloned() {
            change(&mut work);
            self.place(work);
        }
    }

    fn list(&mut self, work: &Work) {
        let Place { conversation, .. } = work.arrival.place;
        match &work.standing {
            Standing::Waiting => {
                self.line.insert(work.arrival.place);
                self.lines.entry(work.need()).or_default().insert(work.arrival.place);
                for moment in work.resting.values() {
                    *self.rests.entry(*moment).or_default() += 1;
                }
                if work.arrival.knows.is_some() {
                    *self.held.entry(work.waits_since).or_default() += 1;
                }
            }
            Standing::Offered { until, .. } => drop(self.ends.insert((*until, conversation))),
            Standing::Assigned { .. } => {}
        }
        if let Some(agent) = work.standing.holder() {
            self.hands.entry(agent.clone()).or_default().insert(conversation);
        }
    }

    fn unlist(&mut self, work: &Work) {
        let Place { conversation, .. } = work.arrival.place;
        match &work.standing {
            Standing::Waiting => {
                self.line.remove(&work.arrival.place);
                let need = work.need();
                if let Some(line) = self.lines.get_mut(&need) {
                    line.remove(&work.arrival.place);
                    if line.is_empty() {
                        self.lines.remove(&need);
                    }
                }
                work.resting.values().for_each(|moment| discount(&mut self.rests, *moment));
                if work.arrival.knows.is_some() {
                    discount(&mut self.held, work.waits_since);
                }
            }
            Standing::Offered { until, .. } => drop(self.ends.remove(&(*until, conversation))),
            Standing::Assigned { .. } => {}
        }
        if let Some(agent) = work.standing.holder()
            && let Some(hands) = self.hands.get_mut(agent)
        {
            hands.remove(&conversation);
            if hands.is_empty() {
                self.hands.remove(agent);
            }
        }
    }
}

fn discount(moments: &mut BTreeMap<Timestamp, u32>, moment: Timestamp) {
    if let Entry::Occupied(mut count) = moments.entry(moment) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
