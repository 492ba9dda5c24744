//! What waits, what is on whose hands, and what is to be woken for.

use contact::{Channel, ConversationId, EntryId};
use jiff::Timestamp;
use timeline::{
    Callback, Changes, Client, Conversation, Entry, Page, Reservation, ReservationState, Status, Work, WorkOf,
};
use uuid::Uuid;

use crate::home::Home;
use crate::people::{
    agent, at, claim, client, client_id, conversation, conversation_id, entry, entry_id, holder, offer,
    reservation_id, uuid, write,
};

fn number(id: Uuid) -> u128 {
    id.as_u128() - uuid(0).as_u128()
}

fn ranked(number: u128, rank: i64, queue: &str) -> Conversation {
    Conversation { rank: Some(rank), queue: queue.to_owned(), ..conversation(number, Some(1), Status::Open) }
}

pub(crate) async fn the_waiting_list_is_in_its_order_and_a_page_goes_on_where_the_last_ended(home: Home) {
    let store = home.open().await;
    // Ranks may be negative and alike; of those that are, the lesser id is first.
    let rows = vec![
        ranked(5, 30, "default"),
        ranked(4, -7, "sales"),
        ranked(9, 30, "sales"),
        ranked(1, 30, "default"),
        ranked(2, 100, "default"),
        conversation(3, Some(1), Status::Open),
        ranked(7, i64::MIN, "default"),
        ranked(6, i64::MAX, "sales"),
    ];
    let changes = Changes {
        clients: vec![client(1, Some("Olena"))],
        conversations: rows,
        reservations: vec![offer(1, 4, "mia", 20)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let waiting = async |queue: Option<&str>, after, limit| -> Vec<u128> {
        let page = store.waiting(queue, Page { after, limit }).await.unwrap();
        page.iter().map(|view| number(view.conversation.id.uuid())).collect()
    };
    assert_eq!(waiting(None, None, 99).await, [7, 4, 1, 5, 9, 2, 6]);
    assert_eq!(waiting(Some("sales"), None, 99).await, [4, 9, 6]);
    assert_eq!(waiting(Some("nobody's"), None, 99).await, []);
    let views = store.waiting(None, Page { after: None, limit: 2 }).await.unwrap();
    assert_eq!(views[1].client.as_ref().and_then(|card| card.client.name.as_deref()), Some("Olena"));
    assert_eq!(views[1].offer, Some(offer(1, 4, "mia", 20)));
    assert_eq!(views[0].offer, None);
    let standing = store.standing(Page { after: None, limit: 2 }).await.unwrap();
    let seen = views.iter().map(|view| (view.conversation.clone(), view.offer.clone()));
    assert_eq!(standing, seen.collect::<Vec<_>>());

    // Between two pages one comes before, one behind, and one leaves.
    let last = |view: Option<&timeline::ConversationView>| {
        view.map(|view| (view.conversation.rank.unwrap(), view.conversation.id))
    };
    let first = store.waiting(None, Page { after: None, limit: 3 }).await.unwrap();
    let after = last(first.last());
    assert_eq!(after, Some((30, conversation_id(1))));
    let mut gone = ranked(9, 0, "sales");
    gone.rank = None;
    let news = vec![ranked(20, -100, "default"), ranked(21, 30, "default"), gone];
    write(&*store, Changes { conversations: news, ..Changes::default() }).await;
    assert_eq!(waiting(None, after, 3).await, [5, 21, 2]);
    assert_eq!(waiting(None, Some((100, conversation_id(2))), 3).await, [6]);
    assert_eq!(waiting(Some("default"), after, 1).await, [5]);
    assert_eq!(waiting(None, Some((i64::MAX, conversation_id(6))), 3).await, []);
}

/// One conversation of every make, settled; their numbers begin at 1000.
fn every_make() -> Vec<Conversation> {
    let mut rows = Vec::new();
    for status in Status::ALL {
        for channel in Channel::ALL {
            for assignee in [None, Some("mia"), Some("bo")] {
                for owed in [None, Some(None), Some(Some(at(5)))] {
                    for continued in [false, true] {
                        let mut row = conversation(1000 + rows.len() as u128, Some(1), *status);
                        row.channel = channel;
                        row.assignee = assignee.map(str::to_owned);
                        row.callback = owed.map(|done_at| Callback {
                            attempts: 0,
                            missed: 1,
                            since: at(0),
                            last: None,
                            done_at,
                            given_up: false,
                        });
                        row.continued_in = continued.then_some(conversation_id(1));
                        row.settle();
                        rows.push(row);
                    }
                }
            }
        }
    }
    rows
}

fn ids(work: &Work) -> Vec<ConversationId> {
    work.conversations.iter().map(|row| row.id).collect()
}

pub(crate) async fn what_waits_or_occupies_is_work_and_counts_as_load(home: Home) {
    let store = home.open().await;
    let rows = every_make();
    let changes = Changes {
        clients: vec![Client { known_by: Some("bo".to_owned()), ..client(1, None) }, client(2, None)],
        agents: vec![agent("mia", "7"), agent("bo", "8"), agent("zoe", "9")],
        conversations: rows.clone(),
        ..Changes::default()
    };
    write(&*store, changes).await;
    let work = store.begin().await.unwrap().work(None, at(0)).await.unwrap();
    let expected: Vec<_> = rows.iter().filter(|row| row.waits() || row.occupies()).cloned().collect();
    assert!(expected.iter().any(Conversation::waits) && expected.iter().any(Conversation::occupies));
    assert_eq!(work.conversations, expected);
    assert_eq!(work.known_by, [(client_id(1), "bo".to_owned())].into());
    assert_eq!(work.agents, [agent("bo", "8"), agent("mia", "7"), agent("zoe", "9")]);
    assert_eq!(work.reservations, []);

    let offers = vec![
        offer(1, number(expected[0].id.uuid()), "zoe", 20),
        Reservation { state: ReservationState::TimedOut, ..offer(2, 1000, "zoe", 20) },
        // Of what is not there any more there is no channel to count it by.
        offer(3, 404, "zoe", 20),
    ];
    write(&*store, Changes { reservations: offers, ..Changes::default() }).await;
    let agents = store.agents().await.unwrap();
    assert_eq!(agents.iter().map(|view| view.agent.name.as_str()).collect::<Vec<_>>(), ["bo", "mia", "zoe"]);
    for view in &agents {
        for channel in Channel::ALL {
            let on_hands =
                |row: &&Conversation| row.occupies() && row.assignee.as_ref() == Some(&view.agent.name);
            let mut count = rows.iter().filter(on_hands).filter(|row| row.channel == channel).count();
            count += usize::from(view.agent.name == "zoe" && channel == expected[0].channel);
            let told = view.load.get(&channel).copied().unwrap_or_default();
            assert_eq!(told as usize, count, "{} on {channel}", view.agent.name);
        }
        assert_eq!(store.agent(&view.agent.name).await.unwrap().as_ref(), Some(view));
    }
    assert!(agents[1].load.values().sum::<u32>() > 0);
    assert_eq!(store.agent("nobody").await.unwrap(), None);
}

fn ended(number: u128, conversation: u128, agent: &str, rests_until: Option<i64>) -> Reservation {
    Reservation {
        state: ReservationState::Declined,
        ended_at: Some(at(10)),
        rests_until: rests_until.map(at),
        ..offer(number, conversation, agent, 20)
    }
}

pub(crate) async fn all_work_is_what_is_asked_piece_by_piece(home: Home) {
    let store = home.open().await;
    let now = at(60);
    let mut rows: Vec<Conversation> = [
        conversation(10, Some(1), Status::Open),
        Conversation { assignee: Some("mia".to_owned()), ..conversation(11, Some(2), Status::Open) },
        conversation(12, None, Status::Open),
        // Neither waits; of the second an offer is open all the same.
        conversation(13, Some(1), Status::Resolved),
        conversation(14, Some(3), Status::Resolved),
    ]
    .into_iter()
    .map(|row| Conversation { channel: Channel::Email, ..row })
    .collect();
    rows.iter_mut().for_each(Conversation::settle);
    let offers = vec![
        offer(20, 10, "mia", 70),
        ended(21, 10, "bo", Some(90)),
        ended(22, 10, "bo", Some(60)),
        ended(23, 10, "bo", None),
        ended(24, 13, "bo", Some(90)),
        offer(25, 14, "mia", 30),
        offer(26, 404, "bo", 70),
        ended(27, 404, "bo", Some(90)),
        ended(28, 12, "mia", Some(61)),
    ];
    let changes = Changes {
        clients: vec![
            Client { known_by: Some("mia".to_owned()), ..client(1, None) },
            client(2, None),
            Client { known_by: Some("bo".to_owned()), ..client(3, None) },
        ],
        agents: vec![agent("mia", "7"), agent("bo", "8")],
        conversations: rows.clone(),
        reservations: offers.clone(),
        ..Changes::default()
    };
    write(&*store, changes).await;
    let mut tx = store.begin().await.unwrap();
    let all = tx.work(None, now).await.unwrap();
    assert_eq!(ids(&all), [10, 11, 12, 14].map(conversation_id));
    let told = |work: &Work| work.reservations.iter().map(|row| number(row.id.uuid())).collect::<Vec<_>>();
    assert_eq!(told(&all), [20, 21, 25, 26, 28]);
    let known_by = [(client_id(1), "mia".to_owned()), (client_id(3), "bo".to_owned())];
    assert_eq!(all.known_by, known_by.clone().into());

    let mut pieces = Work::default();
    let mut add = |piece: Work| {
        for row in piece.agents {
            assert!(!pieces.agents.contains(&row));
            pieces.agents.push(row);
        }
        pieces.conversations.extend(piece.conversations);
        pieces.known_by.extend(piece.known_by);
        pieces.reservations.extend(piece.reservations);
    };
    for one in &all.agents {
        let of = WorkOf { agents: vec![timeline::Agent::id(&one.name)], ..WorkOf::default() };
        let piece = tx.work(Some(&of), now).await.unwrap();
        assert_eq!((&piece.agents[..], piece.conversations.len()), (std::slice::from_ref(one), 0));
        add(piece);
    }
    for row in &rows {
        let of = WorkOf { conversations: vec![row.id], ..WorkOf::default() };
        let piece = tx.work(Some(&of), now).await.unwrap();
        assert_eq!(piece.conversations, std::slice::from_ref(row), "whatever it does");
        assert!(piece.agents.is_empty());
        add(piece);
    }
    for row in &offers {
        let of = WorkOf { reservations: vec![row.id], ..WorkOf::default() };
        let piece = tx.work(Some(&of), now).await.unwrap();
        let there: Vec<_> = rows.iter().filter(|one| one.id == row.conversation).cloned().collect();
        assert_eq!(piece.conversations, there, "with its conversation");
        add(piece);
    }
    // Of those asked for by id one does nothing.
    let idle = conversation_id(13);
    pieces.conversations.retain(|row| row.id != idle);
    pieces.reservations.retain(|row| row.conversation != idle);
    pieces.conversations.sort_by_key(|row| row.id);
    pieces.conversations.dedup();
    pieces.reservations.sort_by_key(|row| row.id);
    pieces.reservations.dedup();
    pieces.agents.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(pieces.agents, all.agents);
    assert_eq!(pieces.conversations, all.conversations);
    assert_eq!(pieces.reservations, all.reservations);
    assert_eq!(pieces.known_by, known_by.into());
    // Asked at once it is the same, and what is not there is not.
    let of = WorkOf {
        conversations: [10, 11, 12, 14, 404].map(conversation_id).into(),
        reservations: [20, 26, 999].map(reservation_id).into(),
        agents: ["mia", "bo", "nobody"].map(timeline::Agent::id).into(),
    };
    let at_once = tx.work(Some(&of), now).await.unwrap();
    assert_eq!((at_once.agents, at_once.conversations), (all.agents, all.conversations));
    assert_eq!((at_once.reservations, at_once.known_by), (all.reservations, all.known_by));
    let nothing = tx.work(Some(&WorkOf::default()), now).await.unwrap();
    assert!(nothing.agents.is_empty() && nothing.conversations.is_empty() && nothing.reservations.is_empty());
}

pub(crate) async fn who_wrote_or_talked_last_knows_the_client(home: Home) {
    let store = home.open().await;
    let knowing = |number, wrote: Option<(&str, Option<i64>)>, talked: &[(&str, i64)]| {
        let mut row = client(number, None);
        (row.known_by, row.wrote_at) =
            (wrote.map(|(by, _)| by.to_owned()), wrote.and_then(|(_, at)| at).map(at));
        talked.iter().for_each(|(extension, second)| row.talks.add(extension, at(*second)));
        row
    };
    let clients = vec![
        knowing(1, Some(("bo", Some(10))), &[("7", 20)]),
        knowing(2, Some(("bo", Some(30))), &[("7", 20)]),
        // Two have the second, nobody the third; of the last the profile is gone.
        knowing(3, None, &[("7", 1), ("5", 20), ("404", 30), ("9", 40)]),
        // What earlier versions kept has no moment.
        knowing(4, Some(("gone", None)), &[]),
        knowing(5, Some(("gone", None)), &[("8", 1)]),
        knowing(6, None, &[("404", 30)]),
        knowing(7, None, &[]),
        // Another system knows whose they are; of the last the agent is none.
        Client { owner: Some("ann".to_owned()), ..knowing(8, Some(("bo", Some(10))), &[("7", 20)]) },
        Client { owner: Some("ann".to_owned()), ..knowing(9, None, &[]) },
        Client { owner: Some("old".to_owned()), ..knowing(10, Some(("bo", Some(10))), &[]) },
    ];
    let agents = vec![
        agent("mia", "7"),
        agent("bo", "8"),
        agent("ann", "5"),
        agent("eve", "5"),
        timeline::Agent { profile: None, ..agent("old", "9") },
    ];
    let mut conversations: Vec<_> =
        (1..=10).map(|number| conversation(10 + number, Some(number), Status::Open)).collect();
    for row in &mut conversations {
        row.channel = Channel::Email;
        row.settle();
    }
    write(&*store, Changes { clients, agents, conversations, ..Changes::default() }).await;
    let known = |all: &[(u128, &str)]| -> std::collections::HashMap<_, _> {
        all.iter().map(|(number, name)| (client_id(*number), (*name).to_owned())).collect()
    };
    let mut expected = known(&[(1, "mia"), (2, "bo"), (3, "mia"), (4, "gone"), (5, "bo")]);
    expected.extend(known(&[(8, "ann"), (9, "ann"), (10, "bo")]));
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.work(None, at(60)).await.unwrap().known_by, expected);
    for number in 1..=10 {
        let of = WorkOf { conversations: vec![conversation_id(10 + number)], ..WorkOf::default() };
        let found = tx.work(Some(&of), at(60)).await.unwrap().known_by.remove(&client_id(number));
        assert_eq!(found, expected.get(&client_id(number)).cloned(), "{number}");
    }
    drop(tx);
    write(&*store, Changes { agents: vec![agent("zoe", "404")], ..Changes::default() }).await;
    expected.extend(known(&[(3, "zoe"), (6, "zoe")]));
    assert_eq!(store.begin().await.unwrap().work(None, at(60)).await.unwrap().known_by, expected);
}

pub(crate) async fn the_earliest_is_woken_for_first(home: Home) {
    let store = home.open().await;
    assert_eq!(store.next_wake().await.unwrap(), None);
    let wakes = |number, second: Option<i64>| Conversation {
        wake_at: second.map(at),
        ..conversation(number, None, Status::Snoozed)
    };
    let rows =
        vec![wakes(1, Some(30)), wakes(2, Some(10)), wakes(3, None), wakes(5, Some(20)), wakes(4, Some(20))];
    write(&*store, Changes { conversations: rows, ..Changes::default() }).await;
    let to_wake = async |second: Timestamp, limit| -> Vec<(u128, Timestamp)> {
        let found = store.begin().await.unwrap().to_wake(second, limit).await.unwrap();
        found.into_iter().map(|(id, wake)| (number(id.uuid()), wake)).collect()
    };
    let all = [(2, at(10)), (4, at(20)), (5, at(20)), (1, at(30))];
    assert_eq!(to_wake(at(9), 9).await, []);
    assert_eq!(to_wake(at(20), 9).await, all[..3], "at that very moment too");
    assert_eq!(to_wake(at(99), 2).await, all[..2]);
    assert_eq!(to_wake(Timestamp::MAX, 9).await, all);
    assert_eq!(store.next_wake().await.unwrap(), Some(at(10)));
    write(&*store, Changes { conversations: vec![wakes(2, None)], ..Changes::default() }).await;
    assert_eq!(store.next_wake().await.unwrap(), Some(at(20)));
}

pub(crate) async fn the_entries_of_a_conversation_are_paged_whoever_it_belongs_to(home: Home) {
    let store = home.open().await;
    let day = 86_400;
    let of = |number, client, place: Option<u128>, second| Entry {
        conversation: place.map(conversation_id),
        ..entry(number, client, Channel::Email, second)
    };
    let lasting = |number, client| Conversation {
        opened_at: at(0),
        updated_at: at(3 * day),
        ..conversation(number, client, Status::Open)
    };
    let changes = Changes {
        conversations: vec![lasting(1, Some(1)), lasting(2, Some(1)), lasting(3, None), lasting(4, None)],
        entries: vec![
            // An imported mail, years older; and three of one moment.
            of(10, Some(1), Some(1), -2_000 * day),
            of(11, Some(1), Some(1), 5),
            of(12, Some(1), Some(1), 5),
            of(13, Some(1), Some(1), 5),
            of(14, Some(1), Some(1), 3 * day),
            of(20, Some(1), Some(2), 5),
            of(21, Some(1), None, 5),
            of(30, None, Some(3), 0),
            of(31, None, Some(3), 3 * day),
            of(40, None, Some(4), 1),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let told = async |place, after: Option<(Timestamp, EntryId)>, limit| -> Vec<u128> {
        let page = Page { after, limit };
        let found = store.conversation_entries(conversation_id(place), page).await.unwrap();
        found.iter().map(|entry| number(entry.id.uuid())).collect()
    };
    assert_eq!(told(1, None, 9).await, [14, 13, 12, 11, 10]);
    assert_eq!(told(1, None, 2).await, [14, 13]);
    assert_eq!(told(1, Some((at(5), entry_id(13))), 2).await, [12, 11]);
    assert_eq!(told(1, Some((at(5), entry_id(11))), 2).await, [10]);
    assert_eq!(told(2, None, 9).await, [20]);
    assert_eq!(told(3, None, 9).await, [31, 30], "nobody's");
    assert_eq!(told(4, None, 9).await, [40]);
    assert_eq!(told(404, None, 9).await, []);
}

pub(crate) async fn a_dossier_has_what_one_must_know(home: Home) {
    let store = home.open().await;
    let phone = contact::IdentifierKind::Phone;
    let observed = contact::Level::Observed;
    let changed = |row: Conversation, second| Conversation { updated_at: at(second), ..row };
    let last = Conversation { last_entry: Some(entry_id(12)), ..conversation(10, Some(1), Status::Open) };
    let reply = Entry { kind: timeline::EntryKind::Reply, ..entry(15, Some(1), Channel::Email, 900) };
    let changes = Changes {
        clients: (1..=4).map(|n| client(n, Some("Olena"))).collect(),
        holders: vec![holder(1, phone, "+1", observed), holder(2, phone, "+2", observed)],
        claims: vec![
            claim(1, phone, "+2", "typed"),
            claim(3, phone, "+1", "said so"),
            claim(4, phone, "+1", "said so too"),
            // The same two, seen from the other side.
            claim(2, phone, "+1", "typed too"),
        ],
        conversations: vec![
            changed(last, 5),
            changed(conversation(11, Some(1), Status::Pending), 9),
            changed(conversation(12, Some(1), Status::Snoozed), 7),
            changed(conversation(13, Some(1), Status::Resolved), 8),
            changed(
                Conversation {
                    continued_in: Some(conversation_id(10)),
                    ..conversation(14, Some(1), Status::Open)
                },
                8,
            ),
            changed(conversation(15, Some(2), Status::Open), 8),
        ],
        entries: vec![
            entry(10, Some(1), Channel::Email, 10),
            entry(11, Some(1), Channel::Email, 40),
            entry(12, Some(1), Channel::Phone, 30),
            entry(13, Some(1), Channel::Phone, 20),
            entry(14, Some(2), Channel::Chat, 50),
            reply,
        ],
        reservations: vec![offer(1, 12, "mia", 20)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let dossier = store.dossier(client_id(1)).await.unwrap().unwrap();
    assert_eq!(dossier.card, store.clients(&[client_id(1)]).await.unwrap().remove(0));
    let told: Vec<_> = dossier.conversations.iter().map(|view| number(view.conversation.id.uuid())).collect();
    assert_eq!(told, [11, 12, 10], "open ones, the latest first");
    assert_eq!(dossier.conversations[1].offer, Some(offer(1, 12, "mia", 20)));
    assert_eq!(dossier.conversations[2].last_entry.as_ref().map(|entry| entry.id), Some(entry_id(12)));
    let told: Vec<_> = dossier.last_contacts.iter().map(|entry| number(entry.id.uuid())).collect();
    assert_eq!(told, [11, 12], "of each channel the latest; an answer is no contact");
    assert_eq!(dossier.candidates, 3, "each counted once");
    assert_eq!(store.dossier(client_id(404)).await.unwrap().map(|dossier| dossier.card), None);
    // No more than a person will look at.
    let many = (100..170).map(|n| changed(conversation(n, Some(1), Status::Open), 100)).collect();
    write(&*store, Changes { conversations: many, ..Changes::default() }).await;
    let dossier = store.dossier(client_id(1)).await.unwrap().unwrap();
    let told: Vec<_> = dossier.conversations.iter().map(|view| number(view.conversation.id.uuid())).collect();
    assert_eq!(told, (120..170).rev().collect::<Vec<_>>());
}
