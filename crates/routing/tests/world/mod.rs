//! A desk under watch: what its changes say is kept in a ledger of its own, and compared after each decision.

use std::collections::{BTreeMap, BTreeSet};

use contact::{Channel, ConversationId, EventKey};
use jiff::Timestamp;
use routing::agent::{AgentName, Presence, Profile};
use routing::desk::{Arrival, Change, Desk, Standing};
use routing::happening::Happening;
use routing::offer::{Decided, Terms};
use routing::order::{Ageing, Priority};

pub(crate) fn id(number: u64) -> ConversationId {
    let key = EventKey { source: "chat/site".parse().unwrap(), id: number.to_string() };
    ConversationId::derived(&key, Timestamp::UNIX_EPOCH)
}

pub(crate) fn name(name: &str) -> AgentName {
    AgentName(name.into())
}

/// Seconds after the desk opened.
pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn profile(queues: &[&str], skills: &[&str], chats: u16) -> Profile {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let capacity = BTreeMap::from([(Channel::Chat, chats), (Channel::Phone, 1)]);
    Profile { queues: owned(queues), skills: owned(skills), capacity, ..Profile::default() }
}

pub(crate) fn arrival(number: u64, queue: &str, priority: i32, since: i64) -> Arrival {
    Arrival {
        channel: Channel::Chat,
        queue: queue.into(),
        skills: BTreeSet::new(),
        place: Ageing::default().place(id(number), Priority::clamped(priority), second(since)),
        knows: None,
    }
}

pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) terms: Terms,
    /// A desk that knows nothing but the changes.
    twin: Desk,
    /// Who is offered or has what, by the changes alone; the number is an open offer's.
    ledger: BTreeMap<ConversationId, (AgentName, Option<u64>)>,
}

impl World {
    pub(crate) fn new(terms: Terms) -> World {
        World { desk: Desk::default(), terms, twin: Desk::default(), ledger: BTreeMap::new() }
    }

    /// An agent at work, who can take so many chats of a queue.
    pub(crate) fn hire(&mut self, at: i64, agent: &str, chats: u16) {
        self.tell(at, Happening::Profiled { agent: name(agent), profile: profile(&["desk"], &[], chats) });
        self.come(at, agent);
    }

    pub(crate) fn come(&mut self, at: i64, agent: &str) {
        self.tell(at, Happening::Presence { agent: name(agent), presence: Presence::Available });
        self.tell(at, Happening::Connected { agent: name(agent), connected: true });
    }

    pub(crate) fn arrive(&mut self, at: i64, number: u64) -> Decided {
        self.tell(at, Happening::Arrived(arrival(number, "desk", 50, at)))
    }

    pub(crate) fn tell(&mut self, at: i64, happening: Happening) -> Decided {
        self.tell_at(second(at), &happening)
    }

    /// Tells the desk, and checks all it promises.
    pub(crate) fn tell_at(&mut self, at: Timestamp, happening: &Happening) -> Decided {
        let decided = self.desk.decide(&self.terms, at, happening);
        self.twin.pass(at);
        for change in &decided.changes {
            self.twin.apply(self.desk.now(), change);
            self.enter(change);
        }
        self.check(&decided);
        decided
    }

    pub(crate) fn answer(&mut self, at: i64, number: u64, accept: bool) -> Decided {
        let Standing::Offered { agent, number: offer, .. } =
            self.desk.work(id(number)).unwrap().standing.clone()
        else {
            panic!("{number} is offered to nobody");
        };
        let (conversation, number) = (id(number), offer);
        self.tell(
            at,
            match accept {
                true => Happening::Accepted { conversation, agent, number },
                false => Happening::Declined { conversation, agent, number },
            },
        )
    }

    /// Who a conversation is offered to.
    pub(crate) fn asked(&self, number: u64) -> Option<String> {
        match &self.desk.work(id(number))?.standing {
            Standing::Offered { agent, .. } => Some(agent.0.clone()),
            _ => None,
        }
    }

    /// Who has it.
    pub(crate) fn owner(&self, number: u64) -> Option<String> {
        match &self.desk.work(id(number))?.standing {
            Standing::Assigned { agent } => Some(agent.0.clone()),
            _ => None,
        }
    }

    fn enter(&mut self, change: &Change) {
        match change {
            Change::Offered { conversation, agent, number, until } => {
                assert!(*until > self.desk.now(), "an offer in the past");
                let before = self.ledger.insert(*conversation, (agent.clone(), Some(*number)));
                assert_eq!(before, None, "{conversation} is offered or had already");
            }
            Change::OfferEnded { conversation, agent, number, .. } => {
                let before = self.ledger.remove(conversation);
                assert_eq!(before, Some((agent.clone(), Some(*number))), "no such offer was open");
            }
            Change::Assigned { conversation, agent } => {
                let before = self.ledger.insert(*conversation, (agent.clone(), None));
                assert!(
                    before.is_none_or(|(asked, number)| asked == *agent && number.is_some()),
                    "two have it"
                );
            }
            Change::Returned { conversation, agent, .. } => {
                assert_eq!(self.ledger.remove(conversation), Some((agent.clone(), None)));
            }
            Change::Left { conversation } => {
                let before = self.ledger.remove(conversation);
                assert!(
                    before.is_none_or(|(_, offer)| offer.is_none()),
                    "an open offer of what is not there"
                );
            }
            _ => {}
        }
    }

    fn check(&self, decided: &Decided) {
        let now = self.desk.now();
        assert!(self.twin == self.desk, "the changes do not tell the whole story: {decided:?}");
        let mut loads: BTreeMap<(&AgentName, Channel), u16> = BTreeMap::new();
        for (conversation, (agent, _)) in &self.ledger {
            let channel = self.desk.work(*conversation).expect("it is on the desk").arrival.channel;
            *loads.entry((agent, channel)).or_default() += 1;
        }
        for (agent, known) in self.desk.agents() {
            for (channel, capacity) in &known.profile.capacity {
                let load = loads.get(&(agent, *channel)).copied().unwrap_or(0);
                assert_eq!(known.load(*channel), load);
                assert!(load <= *capacity, "{agent} has {load} of {capacity}");
            }
        }
        for work in self.desk.waiting().filter(|_| !decided.more) {
            let candidate = self.desk.candidate(&self.terms, work, now);
            assert_eq!(candidate, None, "{:?} waits for nothing", work.arrival.place);
        }
        for change in &decided.changes {
            if let Change::Offered { conversation, agent, .. } = change {
                self.check_turn(*conversation, agent);
            }
        }
        assert_eq!(self.desk.next_deadline(&self.terms), self.soonest());
    }

    /// The next deadline, found by looking at everything.
    fn soonest(&self) -> Option<Timestamp> {
        let (desk, terms) = (&self.desk, &self.terms);
        let after = |at: Timestamp, seconds: u32| at + jiff::SignedDuration::from_secs(seconds.into());
        let of = |work: &routing::desk::Work| -> Vec<Timestamp> {
            match &work.standing {
                Standing::Offered { until, .. } => vec![*until],
                Standing::Assigned { agent } => {
                    let gone = desk.agent(agent).and_then(|agent| agent.gone_since);
                    let gone = gone.filter(|gone| work.waits_since <= *gone);
                    gone.map(|gone| after(gone, terms.grace_s)).into_iter().collect()
                }
                Standing::Waiting => {
                    let held = work.arrival.knows.iter().map(|_| after(work.waits_since, terms.hold_s));
                    work.resting.values().copied().chain(held).filter(|until| *until > desk.now()).collect()
                }
            }
        };
        desk.all().flat_map(of).min()
    }

    /// Nobody who stood before it and still waits could have had this agent.
    fn check_turn(&self, conversation: ConversationId, agent: &AgentName) {
        let (mine, known) = (&self.desk.work(conversation).unwrap().arrival, self.desk.agent(agent).unwrap());
        for work in self.desk.waiting().take_while(|work| work.arrival.place < mine.place) {
            let theirs = &work.arrival;
            let could = theirs.channel == mine.channel
                && known.can(&theirs.queue, &theirs.skills)
                && !work.rests(agent, self.desk.now())
                && theirs.knows.is_none();
            assert!(!could, "{:?} was passed by {:?}", theirs.place, mine.place);
        }
    }
}
