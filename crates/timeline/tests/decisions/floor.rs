//! Where work is given out: a memory with rules, agents, and a clock that somebody looks at now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contact::{
    Act, Actor, CallChange, CallState, Channel, ClientId, ContactKey, Content, ConversationId, Deed,
    Direction, EventKey, Identifier, IdentifierKind, Introduction, Outcome, Party, Presence, Profile,
    PromiseKind, ReservationId, SourceName,
};
use jiff::{SignedDuration, Timestamp};
use routing::calendar::{Calendar, Calendars};
use routing::rules::Rules;
use serde_json::{Value, json};
use timeline::act::{ActError, Acted, subject};
use timeline::clock::Clock;
use timeline::turn::{Roster, Turned, turn_in};
use timeline::{Agent, Arrival, Conversation, FeedKind, Policy, Reservation, ReservationState};

use crate::memory::{Memory, at, at_once};
use crate::told;
use crate::turn::Turn;

/// The process through which agents are connected where nobody says another.
pub(crate) const HERE: &str = "here";

/// So many seconds after noon, in which everything is told.
pub(crate) fn second(second: i64) -> Timestamp {
    at(0, second)
}

/// A policy of these rules, calendars and terms, as they would be configured.
pub(crate) fn policy(rules: Value, calendars: Value, terms: Value) -> Arc<Policy> {
    let calendars: BTreeMap<String, routing::hours::CalendarConfig> =
        serde_json::from_value(calendars).unwrap();
    let named = calendars.keys().next().cloned();
    let calendars =
        Calendars::new(calendars.iter().map(|(name, config)| (name.clone(), Calendar::new(config).unwrap())));
    let rules = Rules::compile(&serde_json::from_value(rules).unwrap(), &calendars).unwrap();
    let terms = serde_json::from_value(terms).unwrap();
    Arc::new(Policy { rules, calendars, calendar: named, terms })
}

/// Promises for whatever comes: `{"first_response": {"within_s": 600}}`.
pub(crate) fn promising(promises: Value) -> Arc<Policy> {
    policy(json!({ "otherwise": { "promises": promises } }), json!({}), json!({}))
}

/// Everything that is there, and what was told so far.
#[derive(Default)]
pub(crate) struct Floor {
    pub(crate) memory: Memory,
    pub(crate) roster: Roster,
    /// Open offers.
    pending: BTreeMap<ReservationId, ConversationId>,
    /// What waits or is on somebody's hands.
    live: BTreeSet<ConversationId>,
    /// Of the feed, so much was looked at.
    seen: usize,
    told: i64,
}

impl Floor {
    pub(crate) fn new(policy: Arc<Policy>) -> Floor {
        let mut floor = Floor { memory: Memory { policy, ..Memory::default() }, ..Floor::default() };
        floor.lease(HERE, i64::from(i32::MAX));
        floor
    }

    /// A process says that it is there until then.
    pub(crate) fn lease(&mut self, process: &str, until: i64) {
        self.memory.processes.insert(process.to_owned(), second(until));
    }

    /// A number nobody had, by which a fact is known.
    pub(crate) fn next(&mut self) -> i64 {
        self.told += 1;
        self.told
    }

    /// It happened at one moment and was heard of at another.
    pub(crate) fn hears(&mut self, happened: i64, heard: i64, fact: Arrival) {
        self.memory.take(vec![told::timed(fact, second(happened), second(heard))]);
        self.check();
    }

    /// They were recorded together.
    pub(crate) fn takes(&mut self, facts: Vec<Arrival>) {
        self.memory.take(facts);
        self.check();
    }

    pub(crate) fn mail(&mut self, at: i64, nth: usize) -> ConversationId {
        let fact = told::mail(self.next(), told::address(nth), &[]);
        self.begins(at, fact)
    }

    pub(crate) fn line(&mut self, at: i64, visitor: usize) -> ConversationId {
        let fact = told::line(self.next(), visitor, Vec::new());
        self.begins(at, fact)
    }

    pub(crate) fn missed(&mut self, at: i64, nth: usize) -> ConversationId {
        let fact = told::missed(self.next(), told::number(nth));
        self.begins(at, fact)
    }

    /// The client's conversation, after this fact.
    pub(crate) fn begins(&mut self, at: i64, fact: Arrival) -> ConversationId {
        let slot = fact.event.contact.digest();
        self.hears(at, at, fact);
        self.memory.rows.contacts[&slot].conversation.unwrap()
    }

    /// One of us called them, and they talked from the one second to the other.
    pub(crate) fn talk(&mut self, from: i64, to: i64, client: Party) {
        let over = self.outbound(client, CallState::Ended, Outcome::Answered, (to - from) as u32);
        let mut begun = over.clone();
        begun.event.key.id.push_str(":answered");
        let Content::Call(change) = &mut begun.event.content else { return };
        *change = CallChange { state: Some(CallState::Answered), ..CallChange::default() };
        self.hears(from, from, begun);
        self.hears(to, to, over);
    }

    /// The fact of a call of ours.
    pub(crate) fn outbound(
        &mut self,
        client: Party,
        state: CallState,
        outcome: Outcome,
        talked_s: u32,
    ) -> Arrival {
        let (number, source) = (self.next(), SourceName::new(Channel::Phone, "main-line").unwrap());
        let change = CallChange {
            state: Some(state),
            outcome: Some(outcome),
            talked_s: Some(talked_s),
            ..CallChange::default()
        };
        let key = EventKey { source: source.clone(), id: format!("out{number}") };
        let contact = ContactKey::new(&source, &key.id);
        let mut fact = told::arrival(key, contact, number, None, Content::Call(change));
        fact.event.direction = Direction::Outbound;
        fact.event.to = vec![client];
        fact
    }

    pub(crate) fn does(&mut self, at: i64, agent: &str, deed: Deed) -> Result<Acted, ActError> {
        let source = SourceName::new(Channel::Desk, "api").unwrap();
        let number = self.next();
        let key = EventKey { source, id: format!("act{number}") };
        let contact = subject(&deed);
        let act = Act { by: Actor::Agent(agent.to_owned()), deed };
        let fact = told::arrival(key, contact, number, None, Content::Act(Box::new(act)));
        let done = self.memory.act(told::timed(fact, second(at), second(at)));
        self.check();
        done
    }

    pub(crate) fn answers(&mut self, at: i64, agent: &str, conversation: ConversationId) {
        self.does(at, agent, Deed::Reply { conversation, text: "Good day".to_owned() }).unwrap();
    }

    /// Somebody looks at the clock.
    pub(crate) fn turn(&mut self, at: i64) -> Turned {
        let mut roster = std::mem::take(&mut self.roster);
        let turned = self.turn_of(&mut roster, at);
        self.roster = roster;
        turned
    }

    /// Somebody looks until nothing is due; gives when something will be.
    pub(crate) fn turns(&mut self, at: i64) -> Option<Timestamp> {
        for _ in 0..100 {
            let turned = self.turn(at);
            if !turned.more {
                return turned.next;
            }
        }
        panic!("something is due for ever at {at}");
    }

    /// The same by another process.
    pub(crate) fn turn_of(&mut self, roster: &mut Roster, at: i64) -> Turned {
        let policy = Arc::clone(&self.memory.policy);
        let turned = at_once(turn_in(&mut Turn(&mut self.memory), &policy, roster, second(at))).unwrap();
        self.check();
        assert!(
            turned.more || turned.next.is_none_or(|next| next > second(at)),
            "what is due at {:?} was not done at {at}",
            turned.next
        );
        turned
    }

    /// An agent who is here and can take so many of each channel.
    pub(crate) fn hire(&mut self, at: i64, name: &str, queues: &[&str], skills: &[&str], capacity: u16) {
        self.engage(at, name, queues, skills, &Channel::ALL.map(|channel| (channel, capacity)));
        self.connect(at, name, HERE, true);
        self.appear(at, name, Presence::Available);
    }

    pub(crate) fn engage(
        &mut self,
        at: i64,
        name: &str,
        queues: &[&str],
        skills: &[&str],
        capacity: &[(Channel, u16)],
    ) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let profile = Profile {
            queues: words(queues),
            skills: words(skills),
            capacity: capacity.iter().copied().collect(),
            ..Profile::default()
        };
        self.does(at, name, Deed::Engage { agent: name.to_owned(), profile: Some(profile) }).unwrap();
    }

    pub(crate) fn connect(&mut self, at: i64, name: &str, process: &str, open: bool) {
        let deed = Deed::Connect { agent: name.to_owned(), process: process.to_owned(), open };
        self.does(at, name, deed).unwrap();
    }

    pub(crate) fn appear(&mut self, at: i64, name: &str, presence: Presence) {
        self.does(at, name, Deed::Appear { agent: name.to_owned(), presence }).unwrap();
    }

    /// Another system says who holds an address.
    pub(crate) fn introduce(&mut self, at: i64, party: &Party, segment: &str, value: Option<i64>) {
        let identifier = party.identifier().unwrap();
        let known = self.memory.rows.holders.get(&identifier).map(|(client, _)| *client);
        let number = self.next();
        let source = SourceName::new(Channel::Desk, "api").unwrap();
        let key = EventKey { source, id: format!("known{number}") };
        let client = known.unwrap_or_else(|| ClientId::derived(&key, second(at)));
        let introduction = Introduction {
            client,
            known_as: Identifier { kind: IdentifierKind::External, value: format!("crm:{number}") },
            name: None,
            segment: Some(segment.to_owned()),
            value,
            owner: None,
            language: None,
            identifiers: vec![identifier],
        };
        self.does(at, "crm", Deed::Introduce(introduction)).unwrap();
    }

    pub(crate) fn accept(&mut self, at: i64, agent: &str) -> Result<Acted, ActError> {
        let Reservation { id, conversation, .. } = self.offer_to(agent).unwrap();
        self.does(at, agent, Deed::Accept { reservation: id, conversation })
    }

    pub(crate) fn decline(&mut self, at: i64, agent: &str, rests_until: i64) -> Result<Acted, ActError> {
        let Reservation { id, conversation, .. } = self.offer_to(agent).unwrap();
        let rests_until = Some(second(rests_until));
        self.does(at, agent, Deed::Decline { reservation: id, conversation, rests_until })
    }

    /// The first open offer to an agent.
    pub(crate) fn offer_to(&self, agent: &str) -> Option<Reservation> {
        self.offers().into_iter().find(|row| row.agent == agent)
    }

    /// Open offers, the first made first.
    pub(crate) fn offers(&self) -> Vec<Reservation> {
        let rows = &self.memory.rows.reservations;
        let mut open: Vec<_> = self.pending.keys().map(|id| rows[id].clone()).collect();
        open.sort_by_key(|row| (row.offered_at, row.id));
        open
    }

    /// Of everything that was ever offered: to whom, and what came of it, in the order of the offers.
    pub(crate) fn asked(&self) -> Vec<(String, ReservationState)> {
        let mut rows: Vec<_> = self.memory.rows.reservations.values().collect();
        rows.sort_by_key(|row| (row.offered_at, row.id));
        rows.into_iter().map(|row| (row.agent.clone(), row.state)).collect()
    }

    pub(crate) fn conversation(&self, id: ConversationId) -> &Conversation {
        &self.memory.rows.conversations[&id]
    }

    pub(crate) fn clock(&self, id: ConversationId, kind: PromiseKind) -> &Clock {
        self.conversation(id).clocks.get(&kind).unwrap_or_else(|| panic!("{kind:?} was not promised"))
    }

    pub(crate) fn agent(&self, name: &str) -> &Agent {
        &self.memory.rows.agents[name]
    }

    /// How often a promise was told of, in the feed.
    pub(crate) fn notices(&self) -> usize {
        self.memory.feed.iter().filter(|item| item.kind == FeedKind::Deadline).count()
    }

    /// The deeds of policies of ours, in the order of the log, as they stand in it.
    pub(crate) fn decisions(&self) -> Vec<(String, Deed)> {
        let acts = self.memory.log.iter().filter_map(|arrival| match &arrival.event.content {
            Content::Act(act) => Some(act.as_ref()),
            _ => None,
        });
        acts.filter_map(|act| match &act.by {
            Actor::Policy(name) => Some((name.clone(), act.deed.clone())),
            Actor::Agent(_) => None,
        })
        .collect()
    }

    /// A replay by another policy finds the same: what was decided stands in the log.
    pub(crate) fn replays(&self) {
        let mut memory = self.memory.clone();
        memory.policy = policy(
            json!({ "otherwise": { "queue": "elsewhere", "priority": 3 }, "point_s": 7 }),
            json!({}),
            json!({}),
        );
        let none: [String; 0] = [];
        assert_eq!(memory.replayed().everything().differs_from(&self.memory.everything()), none);
    }

    /// Something waits or is on somebody's hands.
    pub(crate) fn is_busy(&self) -> bool {
        !self.live.is_empty()
    }

    /// How many of a channel each agent has or is offered.
    pub(crate) fn loads(&self) -> BTreeMap<(&str, Channel), usize> {
        let rows = &self.memory.rows;
        let mut loads = BTreeMap::new();
        for (id, conversation) in &self.pending {
            let channel = rows.conversations[conversation].channel;
            *loads.entry((rows.reservations[id].agent.as_str(), channel)).or_default() += 1;
        }
        let live = self.live.iter().map(|id| &rows.conversations[id]).filter(|row| row.occupies());
        for (agent, channel) in live.filter_map(|row| Some((row.assignee.as_deref()?, row.channel))) {
            *loads.entry((agent, channel)).or_default() += 1;
        }
        loads
    }

    /// What changed since the last step, and holds after every step.
    fn check(&mut self) {
        let rows = &self.memory.rows;
        for item in &self.memory.feed[self.seen..] {
            match item.kind {
                FeedKind::Conversation | FeedKind::Deadline => {
                    let id = ConversationId::from_uuid(item.id);
                    let row = &rows.conversations[&id];
                    let mut settled = row.clone();
                    settled.settle();
                    assert_eq!(&settled, row, "what follows from a conversation is kept with it");
                    assert!(
                        row.continued_in.is_none() || row.wake_at.is_none(),
                        "nobody wakes for what is no more"
                    );
                    if row.waits() || row.occupies() {
                        self.live.insert(id);
                    } else {
                        self.live.remove(&id);
                    }
                }
                FeedKind::Reservation => {
                    let id = ReservationId::from_uuid(item.id);
                    let row = &rows.reservations[&id];
                    if row.state == ReservationState::Pending {
                        self.pending.insert(id, row.conversation);
                    } else {
                        self.pending.remove(&id);
                    }
                }
                _ => {}
            }
        }
        self.seen = self.memory.feed.len();
        let offered: BTreeSet<_> = self.pending.values().collect();
        assert_eq!(offered.len(), self.pending.len(), "two offers of one conversation");
        let asked = |(id, conversation): (&ReservationId, &ConversationId)| {
            (&rows.reservations[id].agent, rows.conversations[conversation].channel)
        };
        let asked: BTreeSet<_> = self.pending.iter().map(asked).collect();
        assert_eq!(asked.len(), self.pending.len(), "two offers of one channel to one agent");
        for id in offered {
            // What is taken apart is taken again from the log; the next turn ends what was offered of it.
            let apart = rows.merges.values().any(|row| row.undone_at.is_some());
            assert!(apart || rows.conversations[id].waits(), "an offer of what waits for nobody");
        }
    }
}

pub(crate) fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}
