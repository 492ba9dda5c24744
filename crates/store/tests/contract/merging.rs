//! Clients who turn out to be one, and their histories.

use contact::{Channel, IdentifierKind, Level};
use timeline::{
    Agent, Changes, Client, Contact, Conversation, Entry, EntryKind, History, Message, Reply, Status, Store,
};

use crate::home::Home;
use crate::people::{
    act, agent, apart, at, call, chat, chat_line, claim, client, client_id, contact_id, conversation,
    conversation_id, entry, entry_id, holder, merge, merge_id, offer, relocation, reply, ringing, session,
    write,
};

const PHONE: IdentifierKind = IdentifierKind::Phone;

fn message(key: u8, number: u128, place: u128) -> Message {
    Message {
        key: [key; 16],
        client: client_id(number),
        contact: Some(contact_id(place)),
        conversation: conversation_id(place),
    }
}

/// One row of every kind that belongs to a client; their numbers begin at ten times the client's.
pub(crate) fn belongings(number: u128) -> Changes {
    let (n, owner) = (number * 10, Some(number));
    let visitor = format!("site:{number}");
    Changes {
        clients: vec![client(number, Some("somebody"))],
        holders: vec![holder(number, PHONE, &format!("+3804400000{number}"), Level::Observed)],
        contacts: vec![call(n, owner), session(n + 1, owner)],
        entries: vec![entry(n, owner, Channel::Phone, 0)],
        conversations: vec![conversation(n, owner, Status::Open)],
        messages: vec![message(1, number, n), message(u8::try_from(n).unwrap(), number, n)],
        claims: vec![
            claim(number, PHONE, &format!("+3804488888{number}"), "typed"),
            claim(number, PHONE, "+380449999999", &format!("{number} said so")),
        ],
        chats: vec![chat(&visitor, owner)],
        chat_lines: vec![chat_line(&visitor, 1), chat_line(&visitor, 2)],
        replies: vec![reply(n, owner, Some(5))],
        ..Changes::default()
    }
}

pub(crate) async fn history(store: &dyn Store, numbers: &[u128]) -> History {
    let clients: Vec<_> = numbers.iter().copied().map(client_id).collect();
    store.begin().await.unwrap().history(&clients, &[]).await.unwrap()
}

/// Tells which kind of row differs.
fn assert_rows(found: &Changes, expected: &Changes) {
    macro_rules! each {
        ($($list:ident),+) => {
            // A kind that is added must be compared too.
            let Changes { $($list: _,)+ log, feed, letters, absorbed, agents, reservations } = found;
            assert!(log.is_empty() && feed.is_empty() && letters.is_empty() && absorbed.is_empty());
            assert!(agents.is_empty() && reservations.is_empty());
            $(assert_eq!(found.$list, expected.$list, stringify!($list));)+
        };
    }
    each!(
        clients,
        holders,
        contacts,
        entries,
        conversations,
        messages,
        claims,
        merges,
        relocations,
        aparts,
        chats,
        chat_lines,
        replies
    );
}

pub(crate) async fn a_history_is_every_row_of_a_client_and_nobody_elses(home: Home) {
    let store = home.open().await;
    let mine = Changes {
        merges: vec![merge(1, 1, 9, 5), merge(2, 7, 1, 6)],
        relocations: vec![relocation(3, 10, None, 1), relocation(4, 77, Some(1), 8)],
        aparts: vec![apart(0, 1), apart(1, 5)],
        ..belongings(1)
    };
    write(&*store, mine.clone()).await;
    write(&*store, belongings(2)).await;
    let nobodys = Contact { conversation: Some(conversation_id(99)), ..call(99, None) };
    write(
        &*store,
        Changes {
            contacts: vec![nobodys.clone()],
            entries: vec![entry(99, None, Channel::Phone, 0)],
            conversations: vec![conversation(99, None, Status::Open)],
            merges: vec![merge(5, 2, 8, 5)],
            relocations: vec![relocation(6, 99, None, 2)],
            aparts: vec![apart(2, 5)],
            chats: vec![chat("site:nobody", None)],
            ..Changes::default()
        },
    )
    .await;
    assert_rows(&history(&*store, &[1]).await.rows, &mine);
    let ties = store.begin().await.unwrap().ties(&[client_id(1)]).await.unwrap();
    assert_eq!((ties.merges, ties.relocations), (mine.merges.clone(), mine.relocations.clone()));
    assert_rows(&history(&*store, &[3]).await.rows, &Changes::default());
    assert_rows(&history(&*store, &[]).await.rows, &Changes::default());
    // Of the contacts asked for those that are nobody's.
    let asked = [99, 20, 404].map(contact_id);
    let with_nobodys = store.begin().await.unwrap().history(&[client_id(1)], &asked).await.unwrap().rows;
    let mut taken_in = mine.clone();
    taken_in.contacts.push(nobodys.clone());
    taken_in.entries.push(entry(99, None, Channel::Phone, 0));
    taken_in.conversations.push(conversation(99, None, Status::Open));
    assert_rows(&with_nobodys, &taken_in);
    // Whoever was merged into them is theirs.
    let merged = Client { merged_into: Some(client_id(1)), ..client(4, None) };
    write(&*store, Changes { clients: vec![merged.clone()], ..Changes::default() }).await;
    let clients = vec![mine.clients[0].clone(), merged];
    assert_rows(&history(&*store, &[1]).await.rows, &Changes { clients, ..mine });
}

pub(crate) async fn everything_absorbed_is_the_survivors(home: Home) {
    let store = home.open().await;
    let (mine, theirs, bystander) = (belongings(1), belongings(2), belongings(3));
    for rows in [&mine, &theirs, &bystander] {
        write(&*store, (*rows).clone()).await;
    }
    let earlier = Client { merged_into: Some(client_id(2)), ..client(4, None) };
    write(&*store, Changes { clients: vec![earlier.clone()], ..Changes::default() }).await;
    // One row of the absorbed one is written whole in the same breath: what is written is what stays.
    let gone = Client { merged_into: Some(client_id(1)), rev: 2, ..client(2, None) };
    let folded = Contact { client: Some(client_id(1)), rev: 9, ..theirs.contacts[0].clone() };
    let changes = Changes {
        absorbed: vec![(client_id(2), client_id(1))],
        clients: vec![gone.clone()],
        contacts: vec![folded.clone()],
        ..Changes::default()
    };
    write(&*store, changes).await;

    let owner = Some(client_id(1));
    let mut expected = mine;
    expected.clients.push(gone);
    expected.clients.push(Client { merged_into: owner, ..earlier });
    expected.holders.extend(theirs.holders.into_iter().map(|mut row| {
        row.client = client_id(1);
        row
    }));
    expected.contacts.push(folded);
    expected.contacts.push(Contact { client: owner, rev: 2, ..theirs.contacts[1].clone() });
    expected.entries.extend(theirs.entries.into_iter().map(|row| Entry { client: owner, rev: 2, ..row }));
    let moved = theirs.conversations.into_iter().map(|row| Conversation { client: owner, rev: 2, ..row });
    expected.conversations.extend(moved);
    // Of the key that both had the survivor's stays.
    expected.messages.push(Message { client: client_id(1), ..theirs.messages[1] });
    let mut typed = theirs.claims[0].clone();
    typed.client = client_id(1);
    expected.claims.push(typed);
    expected.claims.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    expected.chats.extend(theirs.chats.into_iter().map(|mut row| {
        row.client = owner;
        row
    }));
    expected.chat_lines.extend(theirs.chat_lines);
    expected.replies.extend(theirs.replies.into_iter().map(|row| Reply { client: owner, rev: 2, ..row }));
    assert_rows(&history(&*store, &[1]).await.rows, &expected);
    assert_rows(&history(&*store, &[3]).await.rows, &bystander);
}

pub(crate) async fn merges_of_one_batch_follow_each_other(home: Home) {
    // Three into two and two into one: together, and one by one.
    let outcome = async |store: &dyn Store, batches: &[&[(u128, u128)]]| {
        for number in 1..=5 {
            let mut rows = belongings(number);
            // Only those who are absorbed have the key 7, each their own.
            if number > 1 {
                rows.messages.push(message(7, number, number * 10));
            }
            write(store, rows).await;
        }
        for pairs in batches {
            let absorbed: Vec<_> =
                pairs.iter().map(|(from, into)| (client_id(*from), client_id(*into))).collect();
            write(store, Changes { absorbed, ..Changes::default() }).await;
        }
        history(store, &[1]).await.rows
    };
    let store = home.open().await;
    let together = outcome(&*store, &[&[(3, 2), (4, 2), (2, 1), (5, 1)]]).await;
    let digests = store.begin().await.unwrap().digests().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.clear_projections().await.unwrap();
    tx.commit().await.unwrap();
    let apart = outcome(&*store, &[&[(3, 2)], &[(4, 2)], &[(2, 1)], &[(5, 1)]]).await;
    assert_rows(&together, &apart);
    assert_eq!(store.begin().await.unwrap().digests().await.unwrap(), digests);
    let revs: Vec<i64> = together.entries.iter().map(|entry| entry.rev).collect();
    assert_eq!(revs, [1, 2, 3, 3, 2], "one more each time they changed hands");
    let key = |key: u8| together.messages.iter().filter(move |row| row.key == [key; 16]).collect::<Vec<_>>();
    assert_eq!(key(1), [&message(1, 1, 10)], "the survivor's");
    assert_eq!(key(7), [&message(7, 1, 20)], "of those absorbed the first one's");
    let both = together.claims.iter().filter(|claim| claim.identifier.value == "+380449999999");
    assert_eq!(both.map(|claim| claim.reason.as_str()).collect::<Vec<_>>(), ["1 said so"]);
    // Nobody is absorbed by themselves.
    let itself = Changes { absorbed: vec![(client_id(1), client_id(1))], ..Changes::default() };
    write(&*store, itself).await;
    assert_rows(&history(&*store, &[1]).await.rows, &apart);
}

pub(crate) async fn a_history_has_every_event_that_had_a_part(home: Home) {
    let store = home.open().await;
    let mut rows = belongings(1);
    let continued = Conversation {
        continued_in: Some(conversation_id(10)),
        ..conversation(12, Some(1), Status::Resolved)
    };
    rows.conversations.push(continued);
    rows.clients.push(Client { merged_into: Some(client_id(1)), ..client(9, None) });
    rows.merges.push(merge(5, 1, 9, 0));
    rows.relocations.push(relocation(6, 10, None, 1));
    rows.entries.push(Entry {
        kind: EntryKind::Reply,
        contact: None,
        ..entry(13, Some(1), Channel::Email, 0)
    });
    // More contacts than are asked for at once.
    rows.contacts.extend((1000..6000).map(|number| call(number, Some(1))));
    rows.entries.extend((1000..6000).map(|number| entry(number, Some(1), Channel::Phone, 0)));
    let mut theirs = belongings(2);
    theirs.contacts.push(call(99, None));
    theirs.entries.push(entry(99, None, Channel::Phone, 0));
    let mut session_fact = ringing("x", None, 0);
    session_fact.event.contact = rows.contacts[1].key.clone();
    let events = [
        (true, ringing("CA10", None, 0)),
        (false, ringing("CA20", None, 1)),
        (true, session_fact),
        (true, act(client_id(1), 3)),
        (false, act(client_id(2), 4)),
        (true, act(client_id(9), 5)),
        (true, act(conversation_id(10), 6)),
        (false, act(conversation_id(20), 7)),
        (true, act(conversation_id(12), 8)),
        (true, act(contact_id(10), 9)),
        (false, act(contact_id(20), 10)),
        (true, act(entry_id(10), 11)),
        (true, act(entry_id(13), 12)),
        (false, act(entry_id(20), 13)),
        (true, act(merge_id(5), 14)),
        (true, act(merge_id(6), 15)),
        (false, act(merge_id(7), 16)),
        (true, ringing("CA1000", None, 17)),
        (true, ringing("CA5999", None, 18)),
        (true, act(client_id(1), 19)),
        (true, act(contact_id(5999), 20)),
        (false, ringing("CA99", None, 21)),
        (false, act(contact_id(99), 22)),
    ];
    let expected: Vec<(i64, String)> = (1..)
        .zip(&events)
        .filter(|(_, (theirs, _))| *theirs)
        .map(|(position, (_, arrival))| (position, arrival.payload.clone()))
        .collect();
    rows.log = (1..).zip(events.map(|(_, arrival)| arrival)).collect();
    write(&*store, rows).await;
    write(&*store, theirs).await;
    let told = |history: History| -> Vec<(i64, String)> {
        history.events.into_iter().map(|event| (event.position, event.payload)).collect()
    };
    assert_eq!(told(history(&*store, &[1]).await), expected);
    assert_eq!(told(history(&*store, &[3]).await), []);
    // Of nobody's contacts those asked for.
    let asked = [99, 20].map(contact_id);
    let with_nobodys = store.begin().await.unwrap().history(&[client_id(1)], &asked).await.unwrap();
    let positions = expected.iter().map(|(position, _)| *position).chain([22, 23]).collect::<Vec<_>>();
    assert_eq!(with_nobodys.events.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
    // What was erased is passed over.
    home.execute("delete from event_payload where position = 4").await;
    let left: Vec<_> = expected.into_iter().filter(|(position, _)| *position != 4).collect();
    assert_eq!(told(history(&*store, &[1]).await), left);
}

pub(crate) async fn clearing_clients_leaves_the_others_and_the_ties(home: Home) {
    let store = home.open().await;
    let ties = || Changes {
        merges: vec![merge(5, 1, 2, 0)],
        relocations: vec![relocation(6, 10, None, 1)],
        aparts: vec![apart(1, 3)],
        ..Changes::default()
    };
    for rows in [belongings(3), ties()] {
        write(&*store, rows).await;
    }
    write(
        &*store,
        Changes {
            contacts: vec![call(99, None)],
            entries: vec![entry(99, None, Channel::Phone, 0)],
            chats: vec![chat("site:nobody", None)],
            chat_lines: vec![chat_line("site:nobody", 1)],
            // Of a conversation that is cleared, to be decided about by whoever clears it.
            reservations: vec![offer(1, 10, "mia", 20)],
            agents: vec![agent("mia", "7")],
            ..Changes::default()
        },
    )
    .await;
    let others = store.begin().await.unwrap().digests().await.unwrap();
    for rows in [
        belongings(1),
        belongings(2),
        Changes {
            clients: vec![Client { merged_into: Some(client_id(1)), ..client(4, None) }],
            ..Changes::default()
        },
    ] {
        write(&*store, rows).await;
    }
    assert_ne!(store.begin().await.unwrap().digests().await.unwrap(), others);
    let mut tx = store.begin().await.unwrap();
    tx.clear_clients(&[]).await.unwrap();
    tx.clear_clients(&[client_id(1), client_id(2)]).await.unwrap();
    assert_eq!(tx.digests().await.unwrap(), others);
    let left = tx.history(&[client_id(1)], &[]).await.unwrap().rows;
    assert_rows(&left, &ties());
    tx.commit().await.unwrap();
    assert_eq!(store.clients(&[1, 2, 4].map(client_id)).await.unwrap(), []);
    assert_eq!(store.chat_lines("site:1", 0, 9).await.unwrap(), []);
}

pub(crate) async fn every_projection_is_digested_and_cleared(home: Home) {
    let store = home.open().await;
    write(&*store, belongings(1)).await;
    let ties = Changes {
        merges: vec![merge(5, 1, 2, 0)],
        relocations: vec![relocation(6, 10, Some(3), 1)],
        aparts: vec![apart(1, 3)],
        ..Changes::default()
    };
    write(&*store, ties).await;
    let theirs = store.begin().await.unwrap().digests().await.unwrap();
    assert_eq!(theirs.keys().copied().collect::<Vec<_>>(), [Some(client_id(1))]);
    let here = Agent { consoles: ["p1".to_owned()].into(), gone_since: None, ..agent("mia", "7") };
    let work =
        Changes { agents: vec![here], reservations: vec![offer(1, 10, "mia", 20)], ..Changes::default() };
    write(&*store, work).await;
    let mut before = store.begin().await.unwrap().digests().await.unwrap();
    assert_eq!(before.get(&Some(client_id(1))), theirs.get(&Some(client_id(1))), "nobody's");
    assert_eq!(before.len(), 2);
    for change in [
        "update client set preferences = '{\"language\":\"uk\"}'",
        "update client set value = 1",
        "update client set owner = 'mia'",
        "update client set known_by = 'mia'",
        "update client set wrote_at = created_at",
        "update client set talks = '{\"101\":\"2026-11-21T10:00:00Z\"}'",
        "update client set won_back_at = created_at",
        "update conversation set continued_in = id",
        "update conversation set last_contact_id = id",
        "update conversation set on_line = 'x'",
        "update claim set reason = 'x'",
        "update merge set undone_at = decided_at",
        "update relocation set from_client_id = null",
        "update apart set reason = 'x'",
        "update chat set read_seq = 2",
        "update chat_line set content = 'x' where seq = 2",
        "update reply set attempts = 1",
        "update reply set due_at = null",
        "update conversation set routing = 'x'",
        "update conversation set clocks = 'x'",
        "update conversation set waiting_since = opened_at",
        "update conversation set handed_at = (select max(last_contact_at) from client)",
        "update conversation set snoozed_until = opened_at",
        "update conversation set assigned_at = opened_at",
        "update conversation set answered_at = opened_at",
        "update conversation set last_answer_at = opened_at",
        "update conversation set resolved_at = opened_at",
        "update conversation set due_at = opened_at",
        "update conversation set wake_at = opened_at",
        "update conversation set rank = 1",
        "update agent set profile = null",
        "update agent set presence = 'away'",
        "update agent set consoles = '[]'",
        "update agent set gone_since = idle_since",
        "update agent set missed = 3",
        "update agent set rev = 3",
        "update reservation set agent = 'bo'",
        "update reservation set state = 'accepted'",
        "update reservation set until = offered_at",
        "update reservation set ended_at = offered_at",
        "update reservation set rests_until = offered_at",
    ] {
        home.execute(change).await;
        let after = store.begin().await.unwrap().digests().await.unwrap();
        assert_ne!(after, before, "{change}");
        before = after;
    }
    store.keep_alive("p1", at(9)).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.clear_projections().await.unwrap();
    assert!(tx.digests().await.unwrap().is_empty());
    assert_eq!(tx.processes().await.unwrap(), [("p1".to_owned(), at(9))], "no projection");
}
