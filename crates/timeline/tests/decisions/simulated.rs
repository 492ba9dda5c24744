//! A day on the floor: thousands of contacts on three channels, agents who accept, decline, ignore, vanish and
//! come back, and two processes that look now and then. The same seed is the same day; every promise is
//! checked after every step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use contact::{Channel, ConversationId, Deed, Presence, ReservationId};
use routing::testing::Chance;
use serde_json::json;
use timeline::turn::Roster;
use timeline::{FeedKind, ReservationState, Status};

use crate::desks::differing;
use crate::floor::{Floor, policy, second};
use crate::told;

const AGENTS: u64 = 24;
const CLIENTS: u64 = 700;
/// Seconds of waiting a point of priority is worth, and the points a valued client has.
const POINT_S: i64 = 6;
const VALUED: i64 = 40;
/// The longest anybody works on something.
const LONGEST_WORK: i64 = 240;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Comes { client: usize, channel: Channel },
    Writes { client: usize },
    Accepts { agent: String, reservation: ReservationId, conversation: ConversationId },
    Declines { agent: String, reservation: ReservationId, conversation: ConversationId },
    Works { agent: String, conversation: ConversationId },
    Connects { agent: String, open: bool },
    Appears { agent: String, there: bool },
}

struct Day {
    floor: Floor,
    rosters: [Roster; 2],
    chance: Chance,
    plan: BinaryHeap<Reverse<(i64, u64, Happens)>>,
    planned: u64,
    /// When each conversation began, and whether its client is valued.
    began: BTreeMap<ConversationId, (i64, bool)>,
    /// What each agent can take of a channel.
    room: BTreeMap<Channel, u16>,
    seen: usize,
}

fn name(number: u64) -> String {
    format!("agent-{number:02}")
}

fn valued(client: usize) -> bool {
    client.is_multiple_of(8)
}

impl Day {
    fn new(seed: u64) -> Day {
        let rules = json!({
            "point_s": POINT_S,
            "segments": { "vip": VALUED },
            "otherwise": { "promises": { "first_response": { "within_s": 900 }, "callback": { "within_s": 600 } } },
            "rules": { "letters": { "when": "event.channel == 'email'", "skills": ["letters"] } },
        });
        let terms = json!({ "offer_s": { "chat": 20, "phone": 25, "email": 30 }, "rest_s": 60, "hold_s": 10, "grace_s": 60, "missed_offers": 2 });
        Day {
            floor: Floor::new(policy(rules, json!({}), terms)),
            rosters: [Roster::default(), Roster::default()],
            chance: Chance(seed),
            plan: BinaryHeap::new(),
            planned: 0,
            began: BTreeMap::new(),
            room: BTreeMap::from([(Channel::Chat, 2), (Channel::Phone, 1), (Channel::Email, 1)]),
            seen: 0,
        }
    }

    fn plan(&mut self, at: i64, what: Happens) {
        self.planned += 1;
        self.plan.push(Reverse((at, self.planned, what)));
    }

    /// Who works here, and when they lose the network or take a break.
    fn agents(&mut self, until: i64) {
        for number in 0..AGENTS {
            let agent = name(number);
            let skills: &[&str] = if number % 4 == 3 { &[] } else { &["letters"] };
            let room: Vec<_> = self.room.iter().map(|(channel, room)| (*channel, *room)).collect();
            self.floor.engage(0, &agent, &["default"], skills, &room);
            let mut at = self.chance.between(1, 40);
            self.plan(at, Happens::Appears { agent: agent.clone(), there: true });
            self.plan(at, Happens::Connects { agent: agent.clone(), open: true });
            while at < until {
                at += self.chance.between(200, 1_500);
                let back = at + self.chance.between(5, 150);
                let rests = self.chance.percent(40);
                let go = |open| match rests {
                    true => Happens::Appears { agent: agent.clone(), there: open },
                    false => Happens::Connects { agent: agent.clone(), open },
                };
                self.plan(at, go(false));
                self.plan(back, go(true));
                at = back;
            }
        }
    }

    fn clients(&mut self, contacts: u64) -> i64 {
        for client in (0..CLIENTS as usize).filter(|client| valued(*client)) {
            for party in [told::number(client), told::address(client), told::visitor(client)] {
                self.floor.introduce(0, &party, "vip", None);
            }
        }
        let mut at = 60;
        for number in 0..contacts {
            // Bursts and lulls, in all a little less than what the agents can do.
            at += if number % 300 < 120 { self.chance.between(0, 2) } else { self.chance.between(1, 6) };
            let client = (self.chance.roll() % CLIENTS) as usize;
            let channel = match self.chance.roll() % 4 {
                0 => Channel::Phone,
                1 => Channel::Email,
                _ => Channel::Chat,
            };
            self.plan(at, Happens::Comes { client, channel });
        }
        at
    }

    fn happens(&mut self, at: i64, what: Happens) {
        match what {
            Happens::Comes { client, channel } => {
                let id = match channel {
                    Channel::Phone => self.floor.missed(at, client),
                    Channel::Email => self.floor.mail(at, client),
                    _ => self.floor.line(at, client),
                };
                self.began.entry(id).or_insert((at, valued(client)));
            }
            Happens::Writes { client } => drop(self.floor.line(at, client)),
            // Too late, or somebody was faster: then it is refused, and nothing comes of it.
            Happens::Accepts { agent, reservation, conversation } => {
                let taken = self.floor.does(at, &agent, Deed::Accept { reservation, conversation });
                if taken.is_ok() {
                    let done = at + self.chance.between(60, LONGEST_WORK);
                    self.plan(done, Happens::Works { agent, conversation });
                }
            }
            Happens::Declines { agent, reservation, conversation } => {
                let rests_until = Some(second(at + 60));
                drop(self.floor.does(at, &agent, Deed::Decline { reservation, conversation, rests_until }));
            }
            Happens::Works { agent, conversation } => self.works(at, agent, conversation),
            Happens::Connects { agent, open } => self.floor.connect(at, &agent, crate::floor::HERE, open),
            Happens::Appears { agent, there } => {
                let presence = if there { Presence::Available } else { Presence::Away };
                self.floor.appear(at, &agent, presence);
            }
        }
    }

    /// The agent answers and is done, if it is still theirs and they are there.
    fn works(&mut self, at: i64, agent: String, conversation: ConversationId) {
        let row = self.floor.conversation(conversation);
        if row.assignee.as_ref() != Some(&agent) || !row.is_open() {
            return;
        }
        if !self.floor.agent(&agent).is_connected() {
            return self.plan(at + 20, Happens::Works { agent, conversation });
        }
        let channel = row.channel;
        if channel == Channel::Phone {
            let who = self.floor.memory.rows.holders.iter();
            let client = row.client;
            let number =
                who.filter(|(_, (whose, _))| Some(*whose) == client).map(|(identifier, _)| identifier);
            let number = number.filter(|identifier| identifier.kind == contact::IdentifierKind::Phone).min();
            let number = number.unwrap().value.clone();
            return self.floor.talk(at, at, told::phone(&number));
        }
        self.floor.answers(at, &agent, conversation);
        if channel == Channel::Chat && self.chance.percent(20) {
            // They have a word more, and are answered again.
            let session =
                self.floor.memory.rows.chats.values().find(|chat| chat.conversation == Some(conversation));
            let visitor = session.unwrap().visitor.rsplit(':').next().unwrap().parse::<usize>().unwrap();
            self.plan(at + 5, Happens::Writes { client: visitor });
            return self.plan(at + 40, Happens::Works { agent, conversation });
        }
        self.floor.does(at, &agent, Deed::Resolve { conversation }).unwrap();
    }

    /// What agents do about what they are offered, and about being told that they are away.
    fn react(&mut self, at: i64) {
        let news = self.floor.memory.feed[self.seen..].to_vec();
        self.seen = self.floor.memory.feed.len();
        for item in news {
            if item.kind == FeedKind::Reservation && item.rev == 1 {
                let row = self.floor.memory.rows.reservations[&ReservationId::from_uuid(item.id)].clone();
                let (agent, reservation, conversation) = (row.agent, row.id, row.conversation);
                match self.chance.roll() % 100 {
                    0..84 => {
                        let at = at + self.chance.between(1, 15);
                        self.plan(at, Happens::Accepts { agent, reservation, conversation });
                    }
                    84..91 => {
                        let at = at + self.chance.between(1, 15);
                        self.plan(at, Happens::Declines { agent, reservation, conversation });
                    }
                    // Too late, and never.
                    91..95 => self.plan(at + 31, Happens::Accepts { agent, reservation, conversation }),
                    _ => {}
                }
            }
        }
        let away = |name: &String| {
            let agent = self.floor.agent(name);
            agent.presence == Presence::Away && agent.missed >= 2
        };
        for agent in (0..AGENTS).map(name).filter(away).collect::<Vec<_>>() {
            let comes = Happens::Appears { agent: agent.clone(), there: true };
            if !self.plan.iter().any(|Reverse((when, _, what))| *when <= at + 120 && *what == comes) {
                self.plan(at + 120, comes);
            }
        }
    }

    fn check(&mut self, at: i64, roster: &Roster) {
        for ((agent, channel), load) in self.floor.loads() {
            assert!(load <= usize::from(self.room[&channel]), "{agent} has {load} of {channel} at {at}");
        }
        if !self.chance.percent(10) {
            return;
        }
        let terms = &self.floor.memory.policy.terms;
        for work in roster.desk().waiting() {
            let idle = roster.desk().candidate(terms, work, second(at));
            assert_eq!(idle, None, "{} waits at {at}", work.arrival.place.conversation);
        }
    }

    fn run(mut self, contacts: u64) -> Day {
        let until = self.clients(contacts);
        self.agents(until + 2_000);
        let (mut at, mut next, mut steps) = (0, None, 0_u64);
        loop {
            let planned = self.plan.peek().map(|Reverse((when, ..))| *when);
            let Some(soonest) =
                planned.into_iter().chain(next).min().filter(|_| at < until || self.floor.is_busy())
            else {
                break;
            };
            at = at.max(soonest);
            // Mostly somebody looks after each thing that happens, and sometimes only after a few.
            let together = if self.chance.percent(20) { self.chance.between(1, 4) } else { 1 };
            for _ in 0..together {
                if self.plan.peek().is_some_and(|Reverse((when, ..))| *when <= at) {
                    let Some(Reverse((_, _, what))) = self.plan.pop() else { break };
                    self.happens(at, what);
                }
            }
            // Somebody is a little late now and then, and new every so often.
            let late = if self.chance.percent(5) { self.chance.between(1, 3) } else { 0 };
            at += late;
            let which = usize::from(self.chance.percent(30));
            let mut roster = std::mem::take(&mut self.rosters[which]);
            if self.chance.roll().is_multiple_of(400) {
                let mut fresh = Roster::default();
                self.floor.turn_of(&mut roster, at);
                self.floor.turn_of(&mut fresh, at);
                let none: [String; 0] = [];
                assert_eq!(differing(roster.desk(), fresh.desk()), none, "at {at}");
                roster = fresh;
            }
            let turned = self.floor.turn_of(&mut roster, at);
            self.check(at, &roster);
            self.rosters[which] = roster;
            next = turned
                .next
                .map(|next| (next.as_microsecond() - second(0).as_microsecond() + 999_999) / 1_000_000);
            self.react(at);
            steps += 1;
            assert!(steps < 100_000, "the day does not end");
        }
        self
    }

    fn waits(&self, whose: bool) -> Vec<i64> {
        let of = self.began.iter().filter(|(_, (_, valued))| *valued == whose);
        let waited = of.filter_map(|(id, (began, _))| {
            let taken = self.floor.conversation(*id).assigned_at?;
            Some(taken.duration_since(second(*began)).as_secs())
        });
        waited.collect()
    }
}

fn median(mut seconds: Vec<i64>) -> i64 {
    seconds.sort_unstable();
    seconds[seconds.len() / 2]
}

fn day_of(seed: u64, contacts: u64) {
    let day = Day::new(seed).run(contacts);
    let rows = &day.floor.memory.rows;
    let states = |state| rows.reservations.values().filter(|row| row.state == state).count();
    let all: Vec<_> = ReservationState::ALL.iter().map(|state| (*state, states(*state))).collect();
    let (vip, others) = (day.waits(true), day.waits(false));
    let longest = vip.iter().chain(&others).max().copied().unwrap();
    eprintln!(
        "seed {seed}: {} conversations, {} events, offers {all:?}, vip {} s, others {} s, longest {longest} s",
        day.began.len(),
        day.floor.memory.log.len(),
        median(vip.clone()),
        median(others.clone())
    );
    assert!(rows.conversations.values().all(|row| row.status == Status::Resolved), "nothing is left");
    assert!(
        all.iter().all(|(state, count)| (*state == ReservationState::Pending) == (*count == 0)),
        "{all:?}"
    );
    assert!(vip.len() > 50 && median(vip) < median(others), "who is worth more waits less");
    // Nobody is passed by whoever came a head start later, so it ends when what came before is done.
    let head_start = POINT_S * 100;
    assert!(longest < head_start + 2 * LONGEST_WORK, "somebody waited {longest} s");
    day.floor.replays();
}

#[test]
fn on_a_busy_day_everybody_is_served_and_every_promise_holds_at_every_step() {
    day_of(1, 1_200);
}

#[test]
fn on_another_busy_day_too() {
    day_of(2, 800);
}
