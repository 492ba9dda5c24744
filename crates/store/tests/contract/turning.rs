//! What happens by itself, in a real database: offers are made, end and are taken, promises warn, and a replay
//! of the log finds the same.

use contact::act::{Act, Actor};
use contact::{Channel, Content, Deed, IdentifierKind, Notice, Presence, PromiseKind, ReservationId, Target};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use routing::calendar::Calendars;
use routing::rules::{Outcome, Rules, RulesConfig};
use timeline::act::{ActError, subject};
use timeline::turn::{Roster, Turned, turn};
use timeline::{Agent, Arrival, FeedKind, Policy, ReservationState, Status, Store, act, replay};

use crate::home::Home;
use crate::people::{agent, at, ended, mail, missed, picked_up, ringing};
use crate::unmerging::{address, allowed, arrival, conversations, everybody, line, number, party};

/// Whoever asks is answered in a minute and a half.
fn promising() -> Policy {
    let within = |within_s| Target { within_s, calendar: None, warn_percent: 50 };
    let promises = PromiseKind::ALL.into_iter().map(|kind| (kind, within(90))).collect();
    let otherwise = Outcome { promises, ..Outcome::default() };
    let calendars = Calendars::default();
    let rules = Rules::compile(&RulesConfig { otherwise, ..RulesConfig::default() }, &calendars).unwrap();
    Policy { rules, calendars, ..Policy::default() }
}

/// A company at work.
struct Desk<'a> {
    store: &'a dyn Store,
    policy: Policy,
    roster: Roster,
    second: i64,
}

impl<'a> Desk<'a> {
    async fn open(store: &'a dyn Store, policy: Policy, names: &[&str]) -> Desk<'a> {
        store.keep_alive("p1", at(1_000_000)).await.unwrap();
        let mut desk = Desk { store, policy, roster: Roster::default(), second: 0 };
        for name in names {
            let (Agent { profile, .. }, name) = (agent(name, "7"), (*name).to_owned());
            let profile = profile.map(|mut profile| {
                profile.capacity.insert(Channel::Email, 2);
                profile
            });
            let (process, presence) = ("p1".to_owned(), Presence::Available);
            for deed in [
                Deed::Engage { agent: name.clone(), profile },
                Deed::Connect { agent: name.clone(), process, open: true },
                Deed::Appear { agent: name.clone(), presence },
            ] {
                desk.does(&name, deed).await.unwrap();
            }
        }
        desk
    }

    async fn comes(&mut self, event: impl FnOnce(i64) -> Arrival) {
        self.second += 1;
        timeline::record(self.store, &self.policy, vec![event(self.second)], Vec::new()).await.unwrap();
    }

    async fn does(&mut self, who: &str, deed: Deed) -> Result<(), ActError> {
        self.second += 1;
        let contact = subject(&deed);
        let content = Content::Act(Box::new(Act { by: Actor::Agent(who.to_owned()), deed }));
        let id = format!("act{}", self.second);
        let event = arrival((Channel::Desk, "api"), id, contact, self.second, content);
        act(self.store, &self.policy, event).await.map(|_| ())
    }

    async fn turns(&mut self, later: i64) -> Turned {
        self.second += later;
        turn(self.store, &self.policy, &mut self.roster, || at(self.second)).await.unwrap()
    }
}

pub(crate) async fn what_nobody_answers_is_offered_to_the_next_one(home: Home) {
    let store = home.open().await;
    let mut desk = Desk::open(&*store, promising(), &["mia", "bo"]).await;
    desk.comes(|second| mail("support", "m1", "olena@x", &[], second)).await;
    let waiting = store.waiting(None, timeline::Page { after: None, limit: 9 }).await.unwrap();
    let place = waiting[0].conversation.clone();
    assert_eq!((waiting.len(), place.clocks.len(), place.rank.is_some()), (1, 1, true));
    assert!(place.due_at.is_some() && store.next_wake().await.unwrap() == place.wake_at);

    desk.turns(1).await;
    let first = store.reservations(None).await.unwrap().remove(0);
    assert_eq!((first.conversation, first.agent.as_str()), (place.id, "mia"), "who is idle longest");
    assert_eq!(store.agent("mia").await.unwrap().unwrap().load, [(Channel::Email, 1)].into());
    assert_eq!(store.agent("bo").await.unwrap().unwrap().load, [].into());
    // Another process sees to the rest: what it knows it reads from the rows.
    desk.roster = Roster::default();
    desk.turns(21).await;
    let ended = store.reservation(first.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.ended_at.is_some()), (ReservationState::TimedOut, true));
    let second = store.reservations(Some("bo")).await.unwrap().remove(0);
    let (reservation, conversation) = (second.id, place.id);
    desk.does("bo", Deed::Accept { reservation, conversation }).await.unwrap();
    let view = store.conversation(place.id).await.unwrap().unwrap();
    assert_eq!((view.conversation.assignee.as_deref(), view.offer), (Some("bo"), None));
    assert_eq!(store.waiting(None, timeline::Page { after: None, limit: 9 }).await.unwrap().len(), 0);
    // Half a minute and a minute and a half after the client wrote.
    desk.turns(40).await;
    desk.turns(60).await;
    let feed = store.feed(0, 999).await.unwrap();
    let count = |kind| feed.iter().filter(|change| change.kind == kind).count();
    assert_eq!(count(FeedKind::Deadline), 2, "warned, and broken");
    assert!(count(FeedKind::Reservation) >= 4 && count(FeedKind::Agent) >= 6);
    let replayed = replay(&*store, true).await.unwrap();
    assert!(replayed.is_equal(), "{:?}", replayed.differing());
    assert_eq!(store.reservation(first.id).await.unwrap(), Some(ended), "as it was");
}

pub(crate) async fn two_notices_of_one_look_are_each_told_as_they_were(home: Home) {
    let store = home.open().await;
    let mut desk = Desk::open(&*store, promising(), &[]).await;
    desk.comes(|second| missed("c1", Some(&number(1)), second)).await;
    let head = store.feed_head().await.unwrap();
    // Two promises of one conversation warn and break before anybody looks.
    desk.turns(200).await;
    let told = async || -> Vec<_> {
        let changes = store.feed(head, 999).await.unwrap();
        let deadlines = changes.into_iter().filter(|change| change.kind == FeedKind::Deadline);
        deadlines.map(|change| change.notice.unwrap()).collect()
    };
    let first = told().await;
    let mut kinds: Vec<_> = first.iter().map(|told| (told.promise, told.notice)).collect();
    kinds.sort_unstable();
    let (warned, breached) = (Notice::Warned, Notice::Breached);
    let (response, callback) = (PromiseKind::FirstResponse, PromiseKind::Callback);
    let mut expected =
        vec![(response, warned), (response, breached), (callback, warned), (callback, breached)];
    expected.sort_unstable();
    assert_eq!(kinds, expected);
    let place = conversations(&*store).await.remove(0);
    for told in &first {
        assert_eq!(told.due_at, place.clocks[&told.promise].due_at(), "{told:?}");
        assert!(told.due_at.is_some());
    }
    // Much later, when other things were told of it, they are what they were.
    desk.does("mia", Deed::Resolve { conversation: place.id }).await.unwrap();
    desk.comes(|second| missed("c2", Some(&number(1)), second)).await;
    desk.turns(200).await;
    assert_eq!(told().await[..4], first);
    let replayed = replay(&*store, true).await.unwrap();
    assert!(replayed.is_equal(), "{:?}", replayed.differing());
    assert_eq!(told().await[..4], first, "a replay tells nothing anew");
}

pub(crate) async fn who_picked_up_is_asked_about_what_comes_next(home: Home) {
    let store = home.open().await;
    let mut desk = Desk::open(&*store, promising(), &AGENTS).await;
    for (name, extension) in [("mia", "7"), ("bo", "8")] {
        let mut profile = agent(name, extension).profile.unwrap();
        profile.capacity.insert(Channel::Phone, 9);
        desk.does(name, Deed::Engage { agent: name.to_owned(), profile: Some(profile) }).await.unwrap();
    }
    desk.turns(1).await;
    desk.comes(|second| picked_up("c1", Some(&number(1)), "8", second)).await;
    desk.comes(|second| ended("c1", Some(&number(1)), second)).await;
    desk.comes(|second| missed("c2", Some(&number(1)), second)).await;
    desk.comes(|second| missed("c3", Some(&number(2)), second)).await;
    desk.turns(1).await;
    let offers = store.reservations(None).await.unwrap();
    let to = async |nth| {
        let find = timeline::FindClients::by(IdentifierKind::Phone, number(nth));
        let found = store.find_clients(&find, timeline::Page { after: None, limit: 1 }).await.unwrap();
        let client = found[0].client.id;
        let all = conversations(&*store).await;
        let theirs = |offer: &&timeline::Reservation| {
            all.iter().any(|row| row.id == offer.conversation && row.client == Some(client))
        };
        offers.iter().find(theirs).unwrap().agent.clone()
    };
    assert_eq!((to(1).await, to(2).await), ("bo".to_owned(), "mia".to_owned()));
    let replayed = replay(&*store, true).await.unwrap();
    assert!(replayed.is_equal(), "{:?}", replayed.differing());
}

/// One thing that happens. Numbers point at whom there is, counted round.
#[derive(Clone, Debug)]
enum Step {
    Call(u8),
    /// It rings, and what becomes of it is not told.
    Ring(u8),
    /// Somebody picked up at the extension of both agents or at one that nobody has, and it is over.
    Talk {
        nth: u8,
        both: bool,
    },
    Mail(u8),
    Chat {
        visitor: u8,
        number: Option<u8>,
    },
    Turn {
        later: i64,
        anew: bool,
    },
    Accept(usize),
    Decline(usize),
    Appear {
        agent: usize,
        presence: Presence,
    },
    Console {
        agent: usize,
        open: bool,
    },
    Answer {
        conversation: usize,
        agent: usize,
    },
    Resolve(usize),
    Snooze {
        conversation: usize,
        until: i64,
    },
    Reopen(usize),
    Merge(usize, usize),
    Undo(usize),
}

const AGENTS: [&str; 2] = ["mia", "bo"];

fn story() -> impl Strategy<Value = Vec<Step>> {
    let presence = prop::sample::select(vec![Presence::Available, Presence::Away, Presence::Offline]);
    let step = prop_oneof![
        2 => (0..3u8).prop_map(Step::Call),
        1 => (0..3u8).prop_map(Step::Ring),
        1 => (0..3u8, any::<bool>()).prop_map(|(nth, both)| Step::Talk { nth, both }),
        3 => (0..2u8).prop_map(Step::Mail),
        2 => (0..2u8, prop::option::of(0..3u8)).prop_map(|(visitor, number)| Step::Chat { visitor, number }),
        6 => (1..70i64, any::<bool>()).prop_map(|(later, anew)| Step::Turn { later, anew }),
        4 => (0..9usize).prop_map(Step::Accept),
        1 => (0..9usize).prop_map(Step::Decline),
        2 => (0..2usize, presence).prop_map(|(agent, presence)| Step::Appear { agent, presence }),
        1 => (0..2usize, any::<bool>()).prop_map(|(agent, open)| Step::Console { agent, open }),
        2 => (0..9usize, 0..2usize).prop_map(|(conversation, agent)| Step::Answer { conversation, agent }),
        1 => (0..9usize).prop_map(Step::Resolve),
        1 => (0..9usize, 1..90i64).prop_map(|(conversation, until)| Step::Snooze { conversation, until }),
        1 => (0..9usize).prop_map(Step::Reopen),
        1 => (0..9usize, 0..9usize).prop_map(|(one, other)| Step::Merge(one, other)),
        1 => (0..9usize).prop_map(Step::Undo),
    ];
    prop::collection::vec(step, 10..30)
}

impl Desk<'_> {
    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Call(nth) => {
                self.comes(|second| missed(&format!("c{second}"), Some(&number(nth)), second)).await;
            }
            Step::Ring(nth) => {
                self.comes(|second| ringing(&format!("r{second}"), Some(&number(nth)), second)).await;
            }
            Step::Talk { nth, both } => {
                let (call, extension) = (format!("t{}", self.second), if both { "7" } else { "404" });
                self.comes(|second| picked_up(&call, Some(&number(nth)), extension, second)).await;
                self.comes(|second| ended(&call, Some(&number(nth)), second)).await;
            }
            Step::Mail(nth) => {
                self.comes(|second| mail("support", &format!("m{second}"), &address(nth), &[], second)).await;
            }
            Step::Chat { visitor, number: phone } => {
                let proved = phone.map(|nth| party(IdentifierKind::Phone, number(nth))).into_iter().collect();
                self.comes(|second| line(visitor, second, proved)).await;
            }
            Step::Turn { later, anew } => {
                if anew {
                    self.roster = Roster::default();
                }
                self.turns(later).await;
            }
            Step::Accept(nth) => self.answer_an_offer(nth, true).await,
            Step::Decline(nth) => self.answer_an_offer(nth, false).await,
            Step::Appear { agent, presence } => {
                let agent = AGENTS[agent];
                self.does(agent, Deed::Appear { agent: agent.to_owned(), presence }).await.unwrap();
            }
            Step::Console { agent, open } => {
                let (agent, process) = (AGENTS[agent], "p1".to_owned());
                self.does(agent, Deed::Connect { agent: agent.to_owned(), process, open }).await.unwrap();
            }
            Step::Answer { conversation, agent } => self.see_to(conversation, AGENTS[agent], step).await,
            Step::Resolve(nth) | Step::Reopen(nth) | Step::Snooze { conversation: nth, .. } => {
                self.see_to(nth, "mia", step).await;
            }
            Step::Merge(one, other) => {
                let ids = everybody(self.store).await;
                let pick = |nth: usize| ids.get(nth % ids.len().max(1)).copied();
                let (Some(survivor), Some(absorbed)) = (pick(one), pick(other)) else { return };
                let reason = "as told".to_owned();
                allowed(self.does("mia", Deed::Merge { survivor, absorbed, reason }).await);
            }
            Step::Undo(nth) => {
                let ids = everybody(self.store).await;
                let Some(client) = ids.get(nth % ids.len().max(1)) else { return };
                let merges = self.store.merges(*client).await.unwrap();
                let Some(merge) = merges.iter().find(|row| row.undone_at.is_none()) else { return };
                let deed = Deed::Unmerge { merge: merge.id, reason: "as told".to_owned() };
                self.does("mia", deed).await.unwrap();
            }
        }
    }

    async fn answer_an_offer(&mut self, nth: usize, yes: bool) {
        let offers = self.store.reservations(None).await.unwrap();
        let Some(offer) = offers.get(nth % offers.len().max(1)) else { return };
        let (reservation, conversation): (ReservationId, _) = (offer.id, offer.conversation);
        let rests_until = Some(at(self.second + 60));
        let deed = if yes {
            Deed::Accept { reservation, conversation }
        } else {
            Deed::Decline { reservation, conversation, rests_until }
        };
        allowed(self.does(&offer.agent, deed).await);
    }

    async fn see_to(&mut self, nth: usize, who: &str, step: &Step) {
        let all = conversations(self.store).await;
        let Some(conversation) = all.get(nth % all.len().max(1)).map(|row| row.id) else { return };
        let deed = match step {
            Step::Answer { .. } => Deed::Reply { conversation, text: "Добрий день".to_owned() },
            Step::Snooze { until, .. } => Deed::Snooze { conversation, until: at(self.second + until) },
            Step::Reopen(_) => Deed::Reopen { conversation },
            _ => Deed::Resolve { conversation },
        };
        allowed(self.does(who, deed).await);
    }
}

pub(crate) async fn a_replay_finds_what_was_promised_offered_and_taken(home: Home) {
    let store = home.open().await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let mut desk = Desk::open(&*store, promising(), &AGENTS).await;
    for _ in 0..10 {
        let story = story().new_tree(&mut runner).unwrap().current();
        for step in &story {
            desk.take(step).await;
        }
        let offers = store.reservations(None).await.unwrap();
        let mut of: Vec<_> = offers.iter().map(|offer| offer.conversation).collect();
        of.sort_unstable();
        of.dedup();
        assert_eq!(of.len(), offers.len(), "held for two at once after {story:?}: {offers:?}");
        for row in conversations(&*store).await {
            let mut settled = row.clone();
            settled.settle();
            assert_eq!(settled, row, "what follows from the rest was kept after {story:?}");
            assert!(row.status != Status::Snoozed || row.snoozed_until.is_some(), "{row:?} after {story:?}");
        }
        let replayed = replay(&*store, false).await.unwrap();
        assert!(replayed.is_equal(), "after {story:?}: {:?}", replayed.differing());
    }
}
