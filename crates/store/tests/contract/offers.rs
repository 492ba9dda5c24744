//! Who answers, what is held for whom, and how the feed tells it.

use contact::{Channel, Notice, PromiseKind};
use timeline::{
    Agent, Announcement, Changes, Conversation, Entry, FeedItem, FeedKind, Reservation, ReservationState,
    Status, Wanted,
};

use crate::home::Home;
use crate::people::{
    agent, at, client, client_id, conversation, conversation_id, entry, entry_id, offer, reservation_id,
    write,
};

fn names(known: &timeline::Known) -> Vec<&str> {
    let mut names: Vec<&str> = known.agents.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

pub(crate) async fn pending_offers_are_listed_the_first_to_end_first(home: Home) {
    let store = home.open().await;
    let over =
        Reservation { state: ReservationState::Accepted, ended_at: Some(at(9)), ..offer(4, 1, "mia", 10) };
    let rows = vec![offer(1, 1, "mia", 30), offer(3, 3, "bo", 20), offer(2, 2, "mia", 20), over.clone()];
    let place = conversation(1, None, Status::Open);
    write(&*store, Changes { reservations: rows, conversations: vec![place], ..Changes::default() }).await;
    let listed = async |of: Option<&str>| -> Vec<Reservation> { store.reservations(of).await.unwrap() };
    assert_eq!(listed(None).await, [offer(2, 2, "mia", 20), offer(3, 3, "bo", 20), offer(1, 1, "mia", 30)]);
    assert_eq!(listed(Some("mia")).await, [offer(2, 2, "mia", 20), offer(1, 1, "mia", 30)]);
    assert_eq!(listed(Some("nobody")).await, []);
    assert_eq!(store.reservation(over.id).await.unwrap(), Some(over), "by its id also one that is over");
    assert_eq!(store.reservation(reservation_id(9)).await.unwrap(), None);
    let view = store.conversation(conversation_id(1)).await.unwrap().unwrap();
    assert_eq!(view.offer, Some(offer(1, 1, "mia", 30)));
    let ended = Reservation { state: ReservationState::TimedOut, ..offer(1, 1, "mia", 30) };
    write(&*store, Changes { reservations: vec![ended], ..Changes::default() }).await;
    assert_eq!(store.conversation(conversation_id(1)).await.unwrap().unwrap().offer, None);
    assert_eq!(listed(Some("mia")).await, [offer(2, 2, "mia", 20)]);
}

pub(crate) async fn a_decision_sees_the_offers_and_agents_of_what_it_is_about(home: Home) {
    let store = home.open().await;
    let mias = Conversation { assignee: Some("mia".to_owned()), ..conversation(1, Some(1), Status::Open) };
    let over = Reservation { state: ReservationState::Declined, ..offer(12, 2, "zoe", 10) };
    let changes = Changes {
        clients: vec![client(1, None), client(2, None)],
        conversations: vec![
            mias,
            conversation(2, Some(1), Status::Open),
            conversation(3, Some(2), Status::Open),
        ],
        agents: ["mia", "bo", "zoe", "ann"].map(|name| agent(name, "7")).into(),
        reservations: vec![
            offer(11, 2, "bo", 10),
            over.clone(),
            offer(13, 3, "ann", 10),
            offer(14, 404, "mia", 9),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let read = async |wanted| store.begin().await.unwrap().read(&wanted).await.unwrap();
    let known = read(Wanted { clients: vec![client_id(1)], ..Wanted::default() }).await;
    assert_eq!(known.conversations.len(), 2);
    assert_eq!(known.reservations, [(reservation_id(11), offer(11, 2, "bo", 10))].into());
    assert_eq!(names(&known), ["bo", "mia"], "of whom one has it and one is asked");
    assert_eq!(known.agents["bo"], agent("bo", "7"));
    // One that is over comes when it is asked for, with its conversation and what is open there.
    let known = read(Wanted { reservations: vec![over.id], ..Wanted::default() }).await;
    assert_eq!(known.conversations.len(), 2, "those of its client");
    assert_eq!(known.reservations.len(), 2);
    assert_eq!(known.reservations[&over.id], over);
    assert_eq!(names(&known), ["bo", "mia", "zoe"]);
    let known = read(Wanted { reservations: vec![reservation_id(14)], ..Wanted::default() }).await;
    assert_eq!((known.conversations.len(), names(&known)), (0, vec!["mia"]), "its conversation is gone");
    let wanted = vec!["zoe".to_owned(), "nobody".to_owned()];
    let known = read(Wanted { agents: wanted, ..Wanted::default() }).await;
    assert_eq!((names(&known), known.reservations.len()), (vec!["zoe"], 0));
    let known = read(Wanted { clients: vec![client_id(404)], ..Wanted::default() }).await;
    assert!(known.agents.is_empty() && known.reservations.is_empty());
}

pub(crate) async fn a_process_is_there_until_it_is_forgotten(home: Home) {
    let store = home.open().await;
    store.keep_alive("p2", at(10)).await.unwrap();
    store.keep_alive("p1", at(20)).await.unwrap();
    store.keep_alive("p2", at(30)).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let there = |process: &str, second| (process.to_owned(), at(second));
    assert_eq!(tx.processes().await.unwrap(), [there("p1", 20), there("p2", 30)]);
    tx.forget_process("p1").await.unwrap();
    tx.forget_process("p3").await.unwrap();
    assert_eq!(tx.processes().await.unwrap(), [there("p2", 30)]);
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.processes().await.unwrap().len(), 2, "it was not committed");
    tx.forget_process("p1").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.begin().await.unwrap().processes().await.unwrap(), [there("p2", 30)]);
}

pub(crate) async fn somebody_is_here_while_a_console_is_open(home: Home) {
    let store = home.open().await;
    let with = |name: &str, consoles: &[&str]| Agent {
        consoles: consoles.iter().map(|&process| process.to_owned()).collect(),
        ..agent(name, "7")
    };
    assert!(!store.anybody_here().await.unwrap());
    for (agents, here) in [
        (vec![with("bo", &[]), with("mia", &[])], false),
        (vec![with("mia", &["p1", "p2"])], true),
        (vec![with("mia", &["p2"])], true),
        (vec![with("mia", &[])], false),
    ] {
        write(&*store, Changes { agents, ..Changes::default() }).await;
        assert_eq!(store.anybody_here().await.unwrap(), here);
    }
}

fn item(position: i64, kind: FeedKind, id: uuid::Uuid) -> FeedItem {
    FeedItem { position, kind, id, rev: 1, notice: None }
}

pub(crate) async fn the_feed_shows_offers_deadlines_and_agents(home: Home) {
    let store = home.open().await;
    let place = |number: u128| Conversation {
        last_entry: Some(entry_id(number)),
        ..conversation(number, Some(1), Status::Open)
    };
    let over = Reservation { state: ReservationState::Declined, ..offer(32, 21, "bo", 10) };
    let mias = Conversation { assignee: Some("mia".to_owned()), ..conversation(22, None, Status::Open) };
    let told = |notice, due: Option<i64>| {
        Some(Announcement { promise: PromiseKind::Callback, notice, due_at: due.map(at) })
    };
    let feed = vec![
        FeedItem {
            notice: told(Notice::Warned, Some(9)),
            ..item(1, FeedKind::Deadline, conversation_id(20).uuid())
        },
        item(2, FeedKind::Reservation, reservation_id(30).uuid()),
        item(3, FeedKind::Reservation, over.id.uuid()),
        item(4, FeedKind::Conversation, conversation_id(21).uuid()),
        item(5, FeedKind::Agent, Agent::id("mia")),
        item(6, FeedKind::Agent, Agent::id("nobody")),
        item(7, FeedKind::Reservation, reservation_id(404).uuid()),
        item(8, FeedKind::Reservation, reservation_id(33).uuid()),
        item(9, FeedKind::Deadline, conversation_id(404).uuid()),
        FeedItem {
            notice: told(Notice::Breached, None),
            ..item(10, FeedKind::Deadline, conversation_id(20).uuid())
        },
    ];
    let changes = Changes {
        clients: vec![client(1, Some("Olena"))],
        entries: vec![entry(20, Some(1), Channel::Phone, 0), entry(21, Some(1), Channel::Phone, 1)],
        conversations: vec![place(20), place(21), mias],
        reservations: vec![offer(30, 20, "mia", 20), over.clone(), offer(33, 404, "bo", 20)],
        agents: vec![agent("mia", "7")],
        feed: feed.clone(),
        ..Changes::default()
    };
    write(&*store, changes).await;
    let shown = store.feed(0, 99).await.unwrap();
    assert!(shown.iter().map(|change| change.kind).eq(feed.iter().map(|item| item.kind)));
    let notices: Vec<_> = shown.iter().map(|change| change.notice).collect();
    assert!(notices.iter().eq(feed.iter().map(|item| &item.notice)), "each as it was told: {notices:?}");
    let place_of = |change: &timeline::FeedChange| {
        change.conversation.as_ref().map(|row| row.id).zip(change.entry.as_ref().map(|entry| entry.id))
    };
    for (nth, number) in [(0, 20), (1, 20), (2, 21), (3, 21)] {
        assert_eq!(place_of(&shown[nth]), Some((conversation_id(number), entry_id(number))), "{nth}");
        assert_eq!(shown[nth].client.as_ref().map(|card| card.client.id), Some(client_id(1)), "{nth}");
        assert_eq!(shown[nth].agent, None);
    }
    let held = |nth: usize| shown[nth].reservation.as_ref();
    assert_eq!((held(0), held(1)), (Some(&offer(30, 20, "mia", 20)), Some(&offer(30, 20, "mia", 20))));
    assert_eq!((held(2), held(3)), (Some(&over), None), "what is over is shown when it is what changed");
    let mia = store.agent("mia").await.unwrap().unwrap();
    assert_eq!(mia.load, [(Channel::Phone, 2)].into(), "one on her hands and one she is asked to take");
    assert_eq!(shown[4].agent.as_ref(), Some(&mia));
    assert!(shown[4].conversation.is_none() && shown[4].client.is_none());
    assert!(shown[5].agent.is_none() && shown[6].reservation.is_none(), "gone");
    assert_eq!((held(7), place_of(&shown[7])), (Some(&offer(33, 404, "bo", 20)), None));
    assert!(shown[8].conversation.is_none() && shown[8].client.is_none());
    let numbered = store.begin().await.unwrap().feed_items(0, 99).await.unwrap();
    assert_eq!(numbered, feed);
    assert_eq!(store.begin().await.unwrap().feed_items(3, 2).await.unwrap(), feed[3..5]);
    assert_eq!(store.begin().await.unwrap().feed_items(10, 2).await.unwrap(), []);
}

pub(crate) async fn a_ringing_call_names_whose_telephone_rings(home: Home) {
    let store = home.open().await;
    let call = |number, content: &str| Entry {
        content: content.to_owned(),
        ..entry(number, Some(1), Channel::Phone, 0)
    };
    let ringing = r#"{"call_id":"CA1","state":"ringing","extensions":["7","9"]}"#;
    let entries = vec![
        call(1, ringing),
        call(2, r#"{"call_id":"CA2","state":"answered","extensions":["7"]}"#),
        call(3, r#"{"call_id":"CA3","state":"ringing"}"#),
        call(4, r#"{"call_id":"CA4","state":"ringing","extensions":["5"]}"#),
        call(5, "no JSON"),
        Entry { kind: timeline::EntryKind::Note, ..call(6, ringing) },
        Entry { channel: Channel::Chat, ..call(7, ringing) },
        call(8, r#"{"call_id":"CA8","state":"ringing","extensions":["8"]}"#),
    ];
    let feed = (1..).zip(&entries).map(|(n, entry)| item(n, FeedKind::Entry, entry.id.uuid())).collect();
    let gone = Agent { profile: None, ..agent("old", "7") };
    let agents = vec![agent("zoe", "7"), agent("ann", "7"), agent("bo", "8"), agent("eve", "9"), gone];
    write(&*store, Changes { entries, feed, agents, ..Changes::default() }).await;
    let shown = store.feed(0, 99).await.unwrap();
    let rings: Vec<Vec<String>> = shown.into_iter().map(|change| change.rings).collect();
    let nobody = Vec::<&str>::new();
    assert_eq!(
        rings,
        [
            vec!["ann", "eve", "zoe"],
            nobody.clone(),
            nobody.clone(),
            nobody.clone(),
            nobody.clone(),
            nobody.clone(),
            nobody,
            vec!["bo"]
        ]
    );
}
