//! A day at the desk: thousands of contacts, agents who come, go, ignore and vanish. The same seed is the same
//! day, and every promise is checked after every step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::world::{Act, Told, World, arrival, id, name, profile, second};
use contact::ConversationId;
use jiff::Timestamp;
use routing::agent::Presence;
use routing::desk::Change;
use routing::offer::Terms;
use routing::order::Ageing;
use routing::testing::Chance;

const AGENTS: u64 = 12;
const VIP: i32 = 90;
const USUAL: i32 = 50;

struct Day {
    world: World,
    chance: Chance,
    /// What is to happen, by its second; the number keeps equal ones in the order they were planned.
    plan: BinaryHeap<Reverse<(i64, u64)>>,
    acts: BTreeMap<u64, Act>,
    planned: u64,
    arrived: BTreeMap<ConversationId, (i64, i32)>,
    /// Seconds from arrival to the first acceptance.
    waited: BTreeMap<ConversationId, i64>,
    story: Vec<(Timestamp, Change)>,
}

impl Day {
    fn plan(&mut self, at: i64, act: Act) {
        self.planned += 1;
        self.plan.push(Reverse((at, self.planned)));
        self.acts.insert(self.planned, act);
    }

    fn agents(&mut self) {
        for number in 0..AGENTS {
            let agent = name(&format!("agent-{number}"));
            // Every second one has the skill some contacts need, every third serves the other queue too.
            let skills: &[&str] = if number % 2 == 0 { &["uk"] } else { &[] };
            let queues: &[&str] = if number % 3 == 0 { &["desk", "back"] } else { &["desk"] };
            self.plan(0, Act::CanTake(agent.clone(), profile(queues, skills, 2)));
            let comes = self.chance.between(0, 300);
            self.plan(comes, Act::Appears(agent.clone(), Presence::Available));
            self.plan(comes, Act::Connects(agent.clone(), true));
            // Now and then a network is lost, for a moment or for longer than the grace; a break is taken.
            for hour in 0..12 {
                let at = comes + hour * 3_600 + self.chance.between(0, 3_000);
                let back = at + self.chance.between(5, 200);
                self.plan(at, Act::Connects(agent.clone(), false));
                self.plan(back, Act::Connects(agent.clone(), true));
                let rests = back + self.chance.between(60, 400);
                self.plan(rests, Act::Appears(agent.clone(), Presence::Away));
                let end = rests + 120;
                self.plan(end, Act::Appears(agent.clone(), Presence::Available));
            }
        }
    }

    fn contacts(&mut self, contacts: u64) {
        let mut at = 60;
        for number in 0..contacts {
            // Bursts and lulls, about nine tenths of what the agents can do.
            at += if number % 200 < 60 { self.chance.between(0, 12) } else { self.chance.between(4, 20) };
            let priority = if self.chance.percent(10) { VIP } else { USUAL };
            let queue = if self.chance.percent(15) { "back" } else { "desk" };
            let mut made = arrival(number, queue, priority, at);
            made.skills.extend(self.chance.percent(25).then(|| "uk".to_owned()));
            if self.chance.percent(20) {
                let last = self.chance.roll() % AGENTS;
                made.knows = Some(name(&format!("agent-{last}")));
            }
            self.arrived.insert(id(number), (at, priority));
            self.plan(at, Act::Arrives(made));
        }
    }

    /// What people do about it.
    fn react(&mut self, at: i64, act: &Act, told: &Told) {
        if let Act::Accepts(conversation, _) = act
            && told.done
        {
            self.waited.entry(*conversation).or_insert(at - self.arrived[conversation].0);
            let done = at + self.chance.between(60, 360);
            self.plan(done, Act::Leaves(*conversation));
        }
        for change in &told.changes {
            match change.clone() {
                Change::Offered { conversation, agent, .. } => {
                    let after = at + self.chance.between(1, 15);
                    match self.chance.roll() % 100 {
                        0..85 => self.plan(after, Act::Accepts(conversation, agent)),
                        85..92 => self.plan(after, Act::Declines(conversation, agent)),
                        // Too late, and never.
                        92..96 => self.plan(at + 25, Act::Accepts(conversation, agent)),
                        _ => {}
                    }
                }
                // Two offers in a row were ignored; somebody tells them, and they come back.
                Change::Away { agent } => self.plan(at + 120, Act::Appears(agent, Presence::Available)),
                _ => {}
            }
        }
    }

    fn run(mut self, contacts: u64) -> Day {
        self.agents();
        self.contacts(contacts);
        let mut steps = 0_u64;
        loop {
            let planned = self.plan.peek().map(|Reverse((at, _))| second(*at));
            let deadline = self.world.desk.next_deadline(&self.world.terms);
            let Some(now) = planned.into_iter().chain(deadline).min() else {
                break;
            };
            let at = now.as_second() - second(0).as_second();
            let act = match self.plan.peek() {
                Some(Reverse((next, number))) if *next == at => {
                    let number = *number;
                    self.plan.pop();
                    self.acts.remove(&number).unwrap()
                }
                _ => Act::Nothing,
            };
            let told = self.world.tell(at, act.clone());
            self.react(at, &act, &told);
            self.story.extend(told.changes.into_iter().map(|change| (second(at), change)));
            steps += 1;
            assert!(steps < 200_000, "the day does not end");
        }
        self
    }
}

fn day(seed: u64, contacts: u64) -> Day {
    let empty = Day {
        world: World::new(Terms::default()),
        chance: Chance(seed),
        plan: BinaryHeap::new(),
        acts: BTreeMap::new(),
        planned: 0,
        arrived: BTreeMap::new(),
        waited: BTreeMap::new(),
        story: Vec::new(),
    };
    empty.run(contacts)
}

fn median(mut seconds: Vec<i64>) -> i64 {
    seconds.sort_unstable();
    seconds[seconds.len() / 2]
}

fn waits(day: &Day, of: i32) -> Vec<i64> {
    let whose = |conversation| day.arrived[conversation].1 == of;
    day.waited.iter().filter(|(conversation, _)| whose(conversation)).map(|(_, waited)| *waited).collect()
}

#[test]
fn everybody_is_served_the_valued_sooner_and_nobody_starves() {
    for seed in [1, 2] {
        let day = day(seed, 2_000);
        assert_eq!(day.waited.len(), day.arrived.len(), "seed {seed}: everybody was answered");
        assert_eq!(day.world.desk.all().count(), 0, "seed {seed}: and nothing is left");
        let (vip, usual) = (waits(&day, VIP), waits(&day, USUAL));
        assert!(vip.len() > 100, "seed {seed}");
        let longest = day.waited.values().max().copied().unwrap();
        eprintln!(
            "seed {seed}: {} changes, vip {} s, others {} s, longest {longest} s",
            day.story.len(),
            median(vip.clone()),
            median(usual.clone())
        );
        assert!(median(vip) < median(usual), "seed {seed}");
        assert!(longest < 3_600, "seed {seed}: somebody waited {longest} s");
    }
}

#[test]
fn the_same_seed_is_the_same_day() {
    let (one, two) = (day(7, 300), day(7, 300));
    assert!(one.story == two.story, "chance came from elsewhere");
    assert!(one.story != day(8, 300).story, "and the seed decides it");
}

/// The bound itself: one agent, and more valued clients than they can serve.
#[test]
fn under_a_flood_of_valued_clients_the_others_wait_no_longer_than_their_head_start() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.arrive(1, 0);
    world.answer(1, 0, true);
    // The least urgent there is, and then the most urgent in each half minute, each of which takes a minute.
    world.tell(2, Act::Arrives(arrival(1, "desk", 0, 2)));
    let (mut at, mut next, mut current) = (2, 2, 0);
    let bound = Ageing::default().greatest_head_start().as_secs();
    let served = loop {
        at += 30;
        world.tell(at, Act::Arrives(arrival(next, "desk", 100, at)));
        next += 1;
        at += 30;
        world.tell(at, Act::Arrives(arrival(next, "desk", 100, at)));
        next += 1;
        world.tell(at, Act::Leaves(id(current)));
        current = (0..next).find(|number| world.asked(*number).is_some()).unwrap();
        world.answer(at, current, true);
        if world.owner(1).is_some() {
            break at;
        }
    };
    // All who came within the head start are served before, a minute each, and nobody who came after it.
    let before = i64::try_from(next).unwrap() - 2;
    assert!(before >= bound / 30, "{before} were valued more");
    assert!(served - 2 <= 60 * (bound / 30 + 1), "served after {served} s");
    assert!(served > bound, "and the head start was theirs");
}
