//! A house around a desk, and a watch over both. What people do changes the house's rows, the desk is set as the rows
//! are, and what it decides becomes rows again. After each step everything the desk promises is looked at.

use std::collections::BTreeMap;

use contact::{Channel, ConversationId, EventKey};
use jiff::{SignedDuration, Timestamp};
use routing::agent::{AgentName, Presence, Profile, Seat};
use routing::desk::{Arrival, Change, Desk, Ended, Standing, Work};
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
        skills: [].into(),
        place: Ageing::default().place(id(number), Priority::clamped(priority), second(since)),
        knows: None,
    }
}

/// What people do.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A client needs somebody, or what they need changed.
    Arrives(Arrival),
    /// They need nobody any more.
    Leaves(ConversationId),
    /// An agent takes what they are offered.
    Accepts(ConversationId, AgentName),
    Declines(ConversationId, AgentName),
    /// An agent takes what waits, without being asked.
    Claims(ConversationId, AgentName),
    /// An agent is new, or can take something else than before.
    CanTake(AgentName, Profile),
    Appears(AgentName, Presence),
    Connects(AgentName, bool),
    Nothing,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Told {
    /// It could be done.
    pub(crate) done: bool,
    pub(crate) changes: Vec<Change>,
    pub(crate) more: bool,
}

pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) terms: Terms,
    work: BTreeMap<ConversationId, Work>,
    people: BTreeMap<AgentName, Seat>,
}

impl World {
    pub(crate) fn new(terms: Terms) -> World {
        World { desk: Desk::default(), terms, work: BTreeMap::new(), people: BTreeMap::new() }
    }

    /// An agent at work, who can take so many chats of a queue.
    pub(crate) fn hire(&mut self, at: i64, agent: &str, chats: u16) {
        self.tell(at, Act::CanTake(name(agent), profile(&["desk"], &[], chats)));
        self.come(at, agent);
    }

    pub(crate) fn come(&mut self, at: i64, agent: &str) {
        self.tell(at, Act::Appears(name(agent), Presence::Available));
        self.tell(at, Act::Connects(name(agent), true));
    }

    pub(crate) fn arrive(&mut self, at: i64, number: u64) -> Told {
        self.tell(at, Act::Arrives(arrival(number, "desk", 50, at)))
    }

    /// Whoever is asked accepts or declines.
    pub(crate) fn answer(&mut self, at: i64, number: u64, accept: bool) -> Told {
        let agent = name(&self.asked(number).expect("it is offered to nobody"));
        self.tell(at, if accept { Act::Accepts(id(number), agent) } else { Act::Declines(id(number), agent) })
    }

    pub(crate) fn pass(&mut self, at: i64) -> Told {
        self.tell(at, Act::Nothing)
    }

    pub(crate) fn tell(&mut self, at: i64, act: Act) -> Told {
        self.tell_at(second(at), act)
    }

    /// Lets it happen and the desk decide, and checks all that is promised.
    pub(crate) fn tell_at(&mut self, at: Timestamp, act: Act) -> Told {
        let at = at.max(self.desk.now());
        let done = self.happen(at, act);
        let Decided { changes, more } = self.desk.decide(&self.terms, at);
        for change in &changes {
            self.enter(at, change);
        }
        let told = Told { done, changes, more };
        self.check(&told);
        told
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

    pub(crate) fn presence(&self, agent: &str) -> Presence {
        self.people[&name(agent)].presence
    }

    /// Does it in the rows, where it can be done, and sets the desk as they are then.
    pub(crate) fn happen(&mut self, at: Timestamp, act: Act) -> bool {
        match act {
            Act::Arrives(arrival) => {
                let conversation = arrival.place.conversation;
                let new = Work {
                    arrival: arrival.clone(),
                    standing: Standing::Waiting,
                    waits_since: at,
                    resting: BTreeMap::new(),
                };
                let work = self.work.entry(conversation).or_insert(new);
                if matches!(work.standing, Standing::Assigned { .. }) {
                    return false;
                }
                work.arrival = arrival;
                self.place(conversation);
            }
            Act::Leaves(conversation) => {
                let Some(gone) = self.work.remove(&conversation) else { return false };
                self.desk.remove(conversation);
                if let Standing::Assigned { agent } = gone.standing {
                    self.change(at, &agent, |seat| seat.idle_since = at);
                }
            }
            Act::Accepts(conversation, agent) => {
                let is_open = |work: &Work| matches!(&work.standing, Standing::Offered { agent: asked, until } if *asked == agent && *until > at);
                if !self.work.get(&conversation).is_some_and(is_open) {
                    return false;
                }
                self.assign(at, conversation, agent);
            }
            Act::Declines(conversation, agent) => {
                let is_open = |work: &&mut Work| matches!(&work.standing, Standing::Offered { agent: asked, until } if *asked == agent && *until > at);
                let Some(work) = self.work.get_mut(&conversation).filter(is_open) else { return false };
                work.standing = Standing::Waiting;
                work.resting.insert(agent.clone(), at + SignedDuration::from_secs(self.terms.rest_s.into()));
                self.place(conversation);
                self.change(at, &agent, |seat| seat.missed = 0);
            }
            Act::Claims(conversation, agent) => {
                let theirs = self.desk.holder(conversation) == Some(&agent);
                let has_room = self.desk.agent(&agent).is_some_and(|agent| agent.has_room(Channel::Chat));
                let is_free = |work: &Work| !matches!(work.standing, Standing::Assigned { .. });
                if !self.work.get(&conversation).is_some_and(is_free) || !(theirs || has_room) {
                    return false;
                }
                self.assign(at, conversation, agent);
            }
            Act::CanTake(agent, profile) => {
                let new = Seat {
                    profile: Profile::default(),
                    presence: Presence::Offline,
                    connected: false,
                    gone_since: Some(at),
                    idle_since: at,
                    missed: 0,
                };
                self.people.entry(agent.clone()).or_insert(new);
                self.change(at, &agent, |seat| seat.profile = profile);
            }
            Act::Appears(agent, presence) => self.change(at, &agent, |seat| seat.presence = presence),
            Act::Connects(agent, connected) => self.change(at, &agent, |seat| seat.connected = connected),
            Act::Nothing => {}
        }
        true
    }

    fn assign(&mut self, at: Timestamp, conversation: ConversationId, agent: AgentName) {
        let work = self.work.get_mut(&conversation).expect("it is there");
        (work.standing, work.waits_since) = (Standing::Assigned { agent: agent.clone() }, at);
        work.resting.clear();
        self.place(conversation);
        self.change(at, &agent, |seat| (seat.missed, seat.idle_since) = (0, at));
    }

    fn place(&mut self, conversation: ConversationId) {
        self.desk.place(self.work[&conversation].clone());
    }

    /// Changes what is known of an agent, and what follows from it.
    fn change(&mut self, at: Timestamp, agent: &AgentName, change: impl FnOnce(&mut Seat)) {
        let Some(seat) = self.people.get_mut(agent) else { return };
        let was_ready = seat.is_ready();
        change(seat);
        if seat.is_ready() && !was_ready {
            // Who comes back stands behind those who stayed.
            (seat.idle_since, seat.missed) = (at, 0);
        }
        let is_here = seat.connected && seat.presence != Presence::Offline;
        seat.gone_since = if is_here { None } else { seat.gone_since.or(Some(at)) };
        self.desk.seat(agent, seat.clone());
    }

    /// Makes a row of what was decided, and looks whether it could be.
    fn enter(&mut self, at: Timestamp, change: &Change) {
        match change {
            Change::Offered { conversation, agent, until } => {
                assert!(*until > at, "an offer in the past");
                assert!(self.people[agent].is_ready(), "{agent} would not see it");
                let work = self.work.get_mut(conversation).expect("it is there");
                assert_eq!(work.standing, Standing::Waiting, "{conversation} is offered or had already");
                work.standing = Standing::Offered { agent: agent.clone(), until: *until };
            }
            Change::OfferEnded { conversation, agent, how, rests_until } => {
                let work = self.work.get_mut(conversation).expect("it is there");
                let Standing::Offered { agent: asked, until } = &work.standing else {
                    panic!("no offer was open")
                };
                assert_eq!((asked, *how == Ended::TimedOut && *until > at), (agent, false), "another offer");
                work.standing = Standing::Waiting;
                work.resting.retain(|_, until| *until > at);
                work.resting.extend(rests_until.map(|until| (agent.clone(), until)));
                if let Some(seat) = self.people.get_mut(agent).filter(|_| *how == Ended::TimedOut) {
                    (seat.missed, seat.idle_since) = (seat.missed + 1, at);
                }
            }
            Change::Returned { conversation, agent } => {
                let work = self.work.get_mut(conversation).expect("it is there");
                assert_eq!(work.standing, Standing::Assigned { agent: agent.clone() });
                (work.standing, work.waits_since) = (Standing::Waiting, at);
                work.arrival.knows = Some(agent.clone());
            }
            Change::Away { agent } => {
                let seat = self.people.get_mut(agent).expect("they work here");
                assert_eq!(std::mem::replace(&mut seat.presence, Presence::Away), Presence::Available);
            }
        }
    }

    fn check(&self, told: &Told) {
        let mut anew = Desk::default();
        for work in self.work.values() {
            anew.place(work.clone());
        }
        for (agent, seat) in &self.people {
            anew.seat(agent, seat.clone());
        }
        anew.pass(self.desk.now());
        assert!(anew == self.desk, "made anew from the rows it is another desk: {told:?}");
        for (agent, known) in self.desk.agents() {
            for (channel, room) in &known.seat.profile.capacity {
                let theirs = |work: &&Work| {
                    work.arrival.channel == *channel
                        && self.desk.holder(work.arrival.place.conversation) == Some(agent)
                };
                let is_offer = |work: &&Work| matches!(work.standing, Standing::Offered { .. });
                let load = u16::try_from(self.work.values().filter(theirs).count()).unwrap();
                assert_eq!(known.load(*channel), load);
                assert!(load <= *room, "{agent} has {load}");
                let offers = self.work.values().filter(theirs).filter(is_offer).count();
                assert!(offers <= 1, "{agent} is asked about {offers} of one channel");
            }
        }
        for change in &told.changes {
            if let Change::Offered { conversation, agent, .. } = change {
                self.check_turn(*conversation, agent);
            }
        }
        for work in self.desk.waiting().filter(|_| !told.more) {
            let candidate = self.desk.candidate(&self.terms, work, self.desk.now());
            assert_eq!(candidate, None, "{:?} waits for nothing", work.arrival.place);
        }
        assert_eq!(self.desk.next_deadline(&self.terms), self.soonest());
    }

    /// The next deadline, found by looking at everything.
    fn soonest(&self) -> Option<Timestamp> {
        let after = |at: Timestamp, seconds: u32| at + SignedDuration::from_secs(seconds.into());
        let of = |work: &Work| -> Vec<Timestamp> {
            match &work.standing {
                Standing::Offered { until, .. } => vec![*until],
                Standing::Assigned { agent } => {
                    let gone = self.people.get(agent).and_then(|seat| seat.gone_since);
                    let gone = gone.filter(|gone| work.waits_since <= *gone);
                    gone.map(|gone| after(gone, self.terms.grace_s)).into_iter().collect()
                }
                Standing::Waiting => {
                    let held = work.arrival.knows.iter().map(|_| after(work.waits_since, self.terms.hold_s));
                    let moments = work.resting.values().copied().chain(held);
                    moments.filter(|until| *until > self.desk.now()).collect()
                }
            }
        };
        self.work.values().flat_map(of).min()
    }

    /// Nobody who stood before it and still waits could have had this agent.
    fn check_turn(&self, conversation: ConversationId, agent: &AgentName) {
        let (mine, known) = (&self.desk.work(conversation).unwrap().arrival, self.desk.agent(agent).unwrap());
        for work in self.desk.waiting().take_while(|work| work.arrival.place < mine.place) {
            let theirs = &work.arrival;
            let could = theirs.channel == mine.channel
                && known.seat.can(&theirs.queue, &theirs.skills)
                && !work.rests(agent, self.desk.now())
                && theirs.knows.is_none();
            assert!(!could, "{:?} was passed by {:?}", theirs.place, mine.place);
        }
    }
}
