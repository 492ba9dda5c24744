//! What figures are made of.

use std::collections::BTreeMap;

use contact::{Channel, Deadline, Notice, Outcome, Presence, PromiseKind, Target};
use jiff::Timestamp;
use routing::promise::{Fact, State};
use timeline::clock::Clock;
use timeline::figures::{About, Board, By, Facts, FiguresQuery, Owed, QueueBoard, calls, promises, waiting};
use timeline::{Agent, Callback, Changes, Client, Conversation, Status, Store};

use crate::home::Home;
use crate::people::{
    agent, at, client, conversation, conversation_id, missed, offer, record, ringing, write,
};

/// A promise of ten minutes that began at that second.
fn promise(began: i64, ended: Option<(i64, Fact)>) -> Clock {
    let mut clock = Clock::new(PromiseKind::FirstResponse);
    let target = Target { within_s: 600, calendar: None, warn_percent: 80 };
    clock.fold(at(began), Fact::Promised(target));
    clock.fold(at(began), Fact::Acted);
    let (warn_at, due_at) = (Some(at(began + 480)), Some(at(began + 600)));
    clock.set(&Deadline { promise: PromiseKind::FirstResponse, warn_at, due_at });
    if let Some((ended, fact)) = ended {
        clock.fold(at(ended), fact);
    }
    clock
}

fn opened(number: u128, second: i64, queue: &str) -> Conversation {
    Conversation {
        opened_at: at(second),
        waiting_since: Some(at(second)),
        channel: Channel::Email,
        queue: queue.to_owned(),
        ..conversation(number, None, Status::Open)
    }
}

fn promised(row: Conversation, clock: Clock) -> Conversation {
    let mut row = Conversation { clocks: BTreeMap::from([(PromiseKind::FirstResponse, clock)]), ..row };
    row.settle();
    row
}

async fn asked(store: &dyn Store, about: About, from: i64, to: i64, now: i64, most: usize) -> Facts {
    let query = FiguresQuery { about, from: at(from), to: at(to), now: at(now), most };
    store.figures(&query).await.unwrap()
}

pub(crate) async fn conversations_of_a_span_are_told_by_what_is_kept_of_them(home: Home) {
    let store = home.open().await;
    let golden = Client { segment: Some("gold".to_owned()), ..client(1, None) };
    let answered = Conversation {
        client: Some(golden.id),
        assignee: Some("mia".to_owned()),
        assigned_at: Some(at(130)),
        answered_at: Some(at(160)),
        waiting_since: None,
        ..opened(1, 100, "sales")
    };
    let rows = vec![
        opened(9, 99, "sales"),
        promised(answered, promise(100, Some((160, Fact::Answered)))),
        promised(opened(2, 150, "support"), promise(150, None)),
        Conversation { continued_in: Some(conversation_id(1)), ..opened(3, 150, "sales") },
        opened(4, 200, "sales"),
    ];
    write(&*store, Changes { clients: vec![golden], conversations: rows, ..Changes::default() }).await;
    let facts = asked(&*store, About::Conversations, 100, 200, 800, 9).await;
    assert!(!facts.more && facts.calls.is_empty());
    let [one, two] = facts.conversations.as_slice() else { panic!("two are of the span: {facts:?}") };
    let place = (one.place.queue.as_deref(), one.place.agent.as_deref(), one.place.segment.as_deref());
    assert_eq!(place, (Some("sales"), Some("mia"), Some("gold")));
    assert_eq!(one.place.channel, Some(Channel::Email));
    assert_eq!((one.opened_at, one.assigned_at, one.answered_at), (at(100), Some(at(130)), Some(at(160))));
    let states = |told: &Facts| -> Vec<State> {
        told.conversations.iter().flat_map(|row| row.promises.iter().map(|promise| promise.state)).collect()
    };
    assert_eq!(states(&facts), [State::Kept, State::Breached], "judged as of then");
    assert_eq!((two.promises[0].began_at, two.promises[0].due_at), (Some(at(150)), Some(at(750))));
    let sooner = asked(&*store, About::Conversations, 100, 200, 700, 9).await;
    assert_eq!(states(&sooner), [State::Kept, State::Warned]);
    assert_eq!(
        promises(&facts.conversations, None)[&None][&PromiseKind::FirstResponse].kept_share(),
        Some(0.5)
    );
    assert!(asked(&*store, About::Conversations, 0, 300, 0, 3).await.more, "there are four");
    assert!(!asked(&*store, About::Conversations, 0, 300, 0, 4).await.more);
    assert_eq!(asked(&*store, About::Conversations, 201, 300, 0, 4).await, Facts::default());
}

pub(crate) async fn those_that_wait_are_told_whenever_they_were_opened(home: Home) {
    let store = home.open().await;
    let waits = |mut row: Conversation| {
        row.settle();
        row
    };
    let taken = Conversation { assignee: Some("mia".to_owned()), ..opened(3, 1, "sales") };
    let rows = vec![
        waits(opened(1, 5, "sales")),
        // They wrote again after an answer.
        waits(Conversation { waiting_since: Some(at(950)), ..opened(4, 10, "later") }),
        waits(Conversation { waiting_since: None, ..opened(2, 900, "support") }),
        waits(taken),
    ];
    write(&*store, Changes { conversations: rows, ..Changes::default() }).await;
    let facts = asked(&*store, About::Waiting, 0, 1000, 1000, 9).await;
    let told = waiting(&facts.conversations, Some(By::Queue));
    let since: Vec<_> =
        told.iter().map(|(key, told)| (key.as_deref(), told.count, told.oldest_since)).collect();
    assert_eq!(
        since,
        [
            (Some("later"), 1, Some(at(950))),
            (Some("sales"), 1, Some(at(5))),
            (Some("support"), 1, Some(at(900)))
        ]
    );
    assert_eq!(asked(&*store, About::Waiting, 6, 900, 1000, 9).await.conversations, []);
}

pub(crate) async fn calls_of_a_span_come_with_what_is_owed_for_them(home: Home) {
    let store = home.open().await;
    let hour = 3600;
    let mut events = Vec::new();
    // One was missed twice, one is still ringing, one was withheld, and one was the hour before.
    for (call, from, second) in [
        ("A", Some("+380441234501"), 0),
        ("B", Some("+380441234502"), hour),
        ("C", Some("+380441234502"), hour + 60),
        ("D", None, hour + 120),
    ] {
        events.extend([ringing(call, from, second), missed(call, from, second + 21)]);
    }
    events.push(ringing("E", Some("+380441234503"), hour + 180));
    record(&*store, events, Vec::new()).await.unwrap();
    let facts = asked(&*store, About::Calls, hour, 2 * hour, 2 * hour, 9).await;
    let mut outcomes: Vec<_> = facts.calls.iter().map(|call| (call.occurred_at, call.outcome)).collect();
    outcomes.sort_unstable();
    let missed = Some(Outcome::Missed);
    let expected =
        [(at(hour), missed), (at(hour + 60), missed), (at(hour + 120), missed), (at(hour + 180), None)];
    assert_eq!(outcomes, expected);
    assert!(facts.calls.iter().all(|call| call.place.queue.as_deref() == Some("default")));
    let told = &calls(&facts.calls, &facts.callbacks, None)[&None];
    let counted = (told.inbound, told.missed, told.answered, told.called_back, told.callback_open);
    assert_eq!(counted, (4, 3, 0, 0, 2), "two calls of one client are one callback");
    assert!(asked(&*store, About::Calls, hour, 2 * hour, 2 * hour, 3).await.more);
}

pub(crate) async fn a_callback_is_of_the_span_since_when_it_is_owed(home: Home) {
    let store = home.open().await;
    let owed = |since: i64, done: Option<i64>, given_up: bool| {
        let (since, done_at) = (at(since), done.map(at));
        Some(Callback { attempts: 0, missed: 1, since, last: None, done_at, given_up })
    };
    let rows = vec![
        Conversation { callback: owed(100, Some(500), false), ..opened(1, 100, "sales") },
        Conversation { callback: owed(150, None, false), ..opened(2, 100, "sales") },
        Conversation { callback: owed(250, None, false), ..opened(3, 100, "sales") },
        Conversation { callback: owed(160, Some(500), true), ..opened(5, 100, "sales") },
        // By hand, in one that is as old as the hills; and one that was done before the span and never changed since.
        Conversation {
            callback: owed(170, None, false),
            updated_at: at(170),
            ..opened(6, -9_000_000, "sales")
        },
        Conversation {
            callback: owed(-9_000_000, Some(-8_999_000), false),
            ..opened(7, -9_000_000, "sales")
        },
        Conversation {
            callback: owed(150, None, false),
            continued_in: Some(conversation_id(1)),
            ..opened(4, 100, "x")
        },
    ];
    write(&*store, Changes { conversations: rows, ..Changes::default() }).await;
    let facts = asked(&*store, About::Calls, 100, 200, 600, 9).await;
    let mut told: Vec<_> = facts.callbacks.iter().map(|row| (row.since, row.state)).collect();
    told.sort_unstable_by_key(|(since, _)| *since);
    assert_eq!(
        told,
        [(at(100), Owed::Done), (at(150), Owed::Still), (at(160), Owed::GivenUp), (at(170), Owed::Still)]
    );
}

pub(crate) async fn the_board_counts_what_waits_is_late_and_who_is_there(home: Home) {
    let store = home.open().await;
    assert_eq!(store.board(at(0)).await.unwrap(), Board::default());
    let mut late = promise(0, None);
    late.tell(Notice::Breached, at(600));
    let rows = vec![
        promised(opened(1, 0, "sales"), late),
        promised(opened(2, 500, "sales"), promise(500, None)),
        promised(
            Conversation { assignee: Some("mia".to_owned()), ..opened(3, 10, "support") },
            promise(10, Some((20, Fact::Answered))),
        ),
    ];
    let here = |name: &str, presence: Presence, open: bool| {
        let consoles = open.then(|| "p1".to_owned()).into_iter().collect();
        Agent { presence, consoles, ..agent(name, "101") }
    };
    let changes = Changes {
        conversations: rows,
        agents: vec![
            here("mia", Presence::Available, true),
            here("bo", Presence::Away, true),
            here("olena", Presence::Available, false),
            Agent { profile: None, ..here("nobody", Presence::Available, true) },
        ],
        reservations: vec![offer(1, 1, "mia", 999)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let board = store.board(at(700)).await.unwrap();
    let sales = QueueBoard { waiting: 2, oldest_since: Some(at(0)), promised: 2, breached: 1 };
    assert_eq!(board.queues, BTreeMap::from([("sales".to_owned(), sales)]));
    assert_eq!(board.offers, 1);
    let there = [("available", 1), ("away", 1), ("offline", 1)];
    assert_eq!(board.agents, there.map(|(word, count)| (word.to_owned(), count)).into());
    let moment: Timestamp = at(5000);
    assert_eq!(store.board(moment).await.unwrap().queues["sales"].breached, 2);
}
