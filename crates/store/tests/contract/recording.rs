//! The log, the feed and the one transaction that decides.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contact::{ClientId, ContactId, ConversationId, EventKey, Identifier, IdentifierKind, Level};
use timeline::{
    Arrival, Changes, Digests, FeedItem, FeedKind, FindClients, FindConversations, Message, Page, Status,
    Store, StoreError, Wanted, replay,
};
use tokio_util::task::TaskTracker;

use crate::home::{Home, run};
use crate::people::{at, client, conversation, holder, line, mail, missed, record, ringing, uuid, write};

async fn digests(store: &dyn Store) -> Digests {
    store.begin().await.unwrap().digests().await.unwrap()
}

async fn holder_of(store: &dyn Store, number: &str) -> Vec<ClientId> {
    let find = FindClients::by(IdentifierKind::Phone, number);
    let found = store.find_clients(&find, Page { after: None, limit: 10 }).await.unwrap();
    found.into_iter().map(|card| card.client.id).collect()
}

pub(crate) async fn a_replayed_event_is_recorded_once(home: Home) {
    let store = home.open().await;
    let batch = vec![ringing("CA1", Some("+380441234567"), 0), missed("CA1", Some("+380441234567"), 21)];
    let second = batch[1].event.key.clone();
    let first = record(&*store, batch.clone(), vec![]).await.unwrap();
    assert_eq!((first.fresh, first.repeated), (2, 0));
    let head = store.feed_head().await.unwrap();
    assert_eq!(head, first.feed_position);
    let before = digests(&*store).await;

    let again = record(&*store, batch, vec![missed_letter()]).await.unwrap();
    assert_eq!((again.fresh, again.repeated), (0, 2));
    assert_eq!(store.feed_head().await.unwrap(), head, "nothing changed, so nothing is told");
    assert_eq!(digests(&*store).await, before);
    let log = store.begin().await.unwrap().log(0, 10).await.unwrap();
    assert_eq!(log.iter().map(|logged| logged.position).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.logged(&second).await.unwrap().as_ref(), log.last());
    let unheard_of = EventKey { id: "unheard of".to_owned(), ..second };
    assert_eq!(store.logged(&unheard_of).await.unwrap(), None);
    assert_eq!(store.letters(None, Page { after: None, limit: 10 }).await.unwrap().len(), 1);
}

fn missed_letter() -> timeline::DeadLetter {
    timeline::letter_for(b"no event", "it is no contact event".to_owned(), at(0))
}

pub(crate) async fn two_deciders_meeting_a_new_number_agree_on_one_client(home: Home) {
    let (here, there) = (home.open().await, home.open().await);
    let calls = |desk: &str| -> Vec<Vec<Arrival>> {
        (0..20)
            .map(|n| vec![ringing(&format!("{desk}{n}"), Some(&format!("+38044000{:04}", n / 4)), n)])
            .collect()
    };
    let (ours, theirs) = (calls("A"), calls("B"));
    let work = async |store: &dyn Store, batches: Vec<Vec<Arrival>>| {
        for batch in batches {
            record(store, batch, vec![]).await.unwrap();
        }
    };
    tokio::join!(work(&*here, ours), work(&*there, theirs));
    for n in 0..5 {
        let holders = holder_of(&*here, &format!("+38044000{n:04}")).await;
        let [one] = holders[..] else { panic!("{holders:?} hold one number") };
        let page = Page { after: None, limit: 100 };
        assert_eq!(there.timeline(one, None, page).await.unwrap().len(), 8, "every call is theirs");
    }
}

pub(crate) async fn an_uncommitted_transaction_leaves_no_trace(home: Home) {
    let store = home.open().await;
    let mut tx = store.begin().await.unwrap();
    let changes = Changes {
        log: vec![(1, ringing("CA1", None, 0))],
        clients: vec![client(1, Some("Olena"))],
        feed: vec![FeedItem { position: 1, kind: FeedKind::Client, id: uuid(1), rev: 1, notice: None }],
        ..Changes::default()
    };
    tx.write(&changes).await.unwrap();
    assert_eq!(tx.log(0, 10).await.unwrap().len(), 1, "the transaction sees its own");
    assert_eq!(store.feed_head().await.unwrap(), 0, "nobody else does");
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    let known = tx.read(&Wanted::default()).await.unwrap();
    assert_eq!((known.log_position, known.feed_position), (0, 0));
    assert!(tx.digests().await.unwrap().is_empty());
    // The same rows can be written now.
    tx.write(&changes).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.clients(&[ClientId::from_uuid(uuid(1))]).await.unwrap().len(), 1);
}

pub(crate) async fn half_a_transaction_cannot_be_committed(home: Home) {
    let store = home.open().await;
    let mut tx = store.begin().await.unwrap();
    let twice = Changes {
        log: vec![(1, ringing("CA1", None, 0)), (2, ringing("CA1", None, 0))],
        ..Changes::default()
    };
    tx.write(&Changes { clients: vec![client(1, None)], ..Changes::default() }).await.unwrap();
    let error = tx.write(&twice).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    let error = tx.read(&Wanted::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(digests(&*store).await.is_empty(), "neither half is there");
}

pub(crate) async fn the_feed_has_no_gap_whoever_records(home: Home) {
    let stores = [home.open().await, home.open().await];
    let (done, tracker) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
    let writers: Vec<_> = (0..6)
        .map(|task| {
            let store = stores[task % 2].clone();
            tracker.spawn(async move {
                for n in 0..8 {
                    let number = format!("+3804400000{:02}", n % 3);
                    let call = format!("T{task}N{n}");
                    record(
                        &*store,
                        vec![ringing(&call, Some(&number), 60), missed(&call, Some(&number), 80)],
                        vec![],
                    )
                    .await
                    .unwrap();
                }
            })
        })
        .collect();
    // Whoever follows the feed meanwhile never sees a number appear behind the one they have.
    let (store, over) = (stores[0].clone(), done.clone());
    let follower = tracker.spawn(async move {
        let mut last = 0;
        loop {
            let over = over.load(Ordering::Acquire);
            let page = store.feed(last, 7).await.unwrap();
            for change in &page {
                assert_eq!(change.position, last + 1);
                last = change.position;
            }
            if over && page.is_empty() {
                return last;
            }
            tokio::task::yield_now().await;
        }
    });
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Release);
    let head = stores[1].feed_head().await.unwrap();
    assert_eq!(follower.await.unwrap(), head);
    assert!(head >= 6 * 8 * 2, "every event of 96 was told, {head}");
}

pub(crate) async fn at_most_one_transaction_exists(home: Home) {
    let stores = [home.open().await, home.open().await, home.open().await];
    let (inside, tracker) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let (store, inside) = (stores[task % 3].clone(), inside.clone());
            tracker.spawn(async move {
                for turn in 0..5 {
                    let mut tx = store.begin().await.unwrap();
                    assert!(!inside.swap(true, Ordering::AcqRel), "somebody else decides");
                    let position = tx.read(&Wanted::default()).await.unwrap().log_position;
                    tokio::task::yield_now().await;
                    let call = format!("T{task}N{turn}");
                    let log = vec![(position + 1, ringing(&call, None, 0))];
                    tx.write(&Changes { log, ..Changes::default() }).await.unwrap();
                    inside.store(false, Ordering::Release);
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let known = stores[0].begin().await.unwrap().read(&Wanted::default()).await.unwrap();
    assert_eq!(known.log_position, 30);
}

/// Thirty calls of seven people and one who withholds the number.
async fn some_history(store: &dyn Store) {
    for n in 0..30 {
        let number = format!("+3804412345{:02}", n % 8);
        let from = (n % 8 > 0).then_some(number.as_str());
        let call = format!("CA{n}");
        record(store, vec![ringing(&call, from, n * 60), missed(&call, from, n * 60 + 20)], vec![])
            .await
            .unwrap();
    }
}

pub(crate) async fn a_replay_reaches_equal_digests_and_heals_what_was_tampered_with(home: Home) {
    let store = home.open().await;
    some_history(&*store).await;
    let head = store.feed_head().await.unwrap();
    let whole = replay(&*store, true).await.unwrap();
    assert_eq!(whole.events, 60);
    assert!(whole.is_equal());
    assert_eq!(whole.before.len(), 8, "seven clients and nobody");

    home.execute("update entry set summary = 'we never missed a call' where rev = 2").await;
    home.execute("delete from identifier").await;
    let check = replay(&*store, false).await.unwrap();
    assert!(!check.is_equal());
    assert_eq!(check.after, whole.after);
    assert_eq!(digests(&*store).await, check.before, "a check changes nothing");
    let healed = replay(&*store, true).await.unwrap();
    assert_eq!((healed.before, &healed.after), (check.before, &whole.after));
    assert_eq!(digests(&*store).await, whole.after);
    assert_eq!(store.feed_head().await.unwrap(), head, "a replay is no change");
    assert_eq!(holder_of(&*store, "+380441234501").await.len(), 1);
}

/// Four people with a mail and an answer to it, each in two mailboxes, and one who quotes them all.
async fn some_mails(store: &dyn Store) {
    for (n, mailbox) in [(0, "support"), (1, "sales")] {
        let batch = (0..4).map(|who| mail(mailbox, &format!("m{who}"), &format!("{who}@x"), &[], who + n));
        record(store, batch.collect(), vec![]).await.unwrap();
        let answer = |who: i64| {
            let (id, from, to) = (format!("a{who}"), format!("{who}@x"), format!("m{who}"));
            mail(mailbox, &id, &from, &["m3", &to, "unknown"], 60 + who + n)
        };
        record(store, (0..4).map(answer).collect(), vec![]).await.unwrap();
    }
    let stranger = mail("support", "s", "stranger@y", &["m0", "m1", "m2", "m3"], 120);
    record(store, vec![stranger], vec![]).await.unwrap();
}

pub(crate) async fn answers_find_their_conversation_and_a_replay_finds_it_again(home: Home) {
    let store = home.open().await;
    some_mails(&*store).await;
    let all = Page { after: None, limit: 50 };
    let rows = store.conversations(&FindConversations::default(), all).await.unwrap();
    assert_eq!(rows.len(), 5, "one a person, and the stranger's own");
    for who in 0..4 {
        let find = FindClients::by(IdentifierKind::Email, format!("{who}@x"));
        let found = store.find_clients(&find, Page { after: None, limit: 2 }).await.unwrap();
        let page = Page { after: None, limit: 9 };
        let entries = store.timeline(found[0].client.id, None, page).await.unwrap();
        let told: Vec<_> = entries.iter().map(|entry| (entry.summary.as_str(), entry.rev)).collect();
        assert_eq!(told, [(format!("Питання a{who}").as_str(), 2), (&format!("Питання m{who}"), 2)]);
        assert!(entries[0].conversation.is_some() && entries[0].conversation == entries[1].conversation);
    }
    let whole = replay(&*store, true).await.unwrap();
    assert_eq!((whole.events, whole.is_equal()), (17, true));
    home.execute("delete from message").await;
    let healed = replay(&*store, true).await.unwrap();
    assert_ne!(healed.before, whole.after, "messages are digested");
    assert_eq!(healed.after, whole.after);
    assert_eq!(digests(&*store).await, whole.after);
}

pub(crate) async fn messages_are_read_for_their_own_client_only(home: Home) {
    let store = home.open().await;
    let (key, other) = ([7; 16], [8; 16]);
    let message = |key, number| Message {
        key,
        client: ClientId::from_uuid(uuid(number)),
        contact: Some(ContactId::from_uuid(uuid(number))),
        conversation: ConversationId::from_uuid(uuid(number)),
    };
    let changes = Changes {
        clients: vec![client(1, None), client(2, None)],
        holders: vec![
            holder(1, IdentifierKind::Email, "1@x", Level::Observed),
            holder(2, IdentifierKind::Email, "2@x", Level::Observed),
        ],
        conversations: vec![
            conversation(1, Some(1), Status::Resolved),
            conversation(2, Some(2), Status::Resolved),
        ],
        messages: vec![message(key, 1), message(key, 2), message(other, 1)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let read = async |emails: &[&str], messages: &[[u8; 16]]| {
        let named = |value: &&str| Identifier { kind: IdentifierKind::Email, value: (*value).to_owned() };
        let identifiers = emails.iter().map(named).collect();
        let wanted = Wanted { identifiers, messages: messages.to_vec(), ..Wanted::default() };
        store.begin().await.unwrap().read(&wanted).await.unwrap()
    };
    let known = read(&["1@x"], &[key]).await;
    assert_eq!(known.messages, [((key, message(key, 1).client), message(key, 1))].into());
    let placed: Vec<_> = known.conversations.keys().copied().collect();
    assert_eq!(placed, [message(key, 1).conversation], "also where it is resolved");
    assert_eq!(read(&["1@x", "2@x"], &[key, other]).await.messages.len(), 3);
    assert!(read(&["3@x"], &[key, other]).await.messages.is_empty());
    assert!(read(&["1@x"], &[]).await.messages.is_empty());
    // Written again it is replaced.
    let moved = Message { conversation: ConversationId::from_uuid(uuid(9)), ..message(key, 1) };
    write(&*store, Changes { messages: vec![moved], ..Changes::default() }).await;
    assert_eq!(read(&["1@x"], &[key]).await.messages[&(key, moved.client)], moved);
}

pub(crate) async fn a_batch_larger_than_every_chunk_is_recorded_whole(home: Home) {
    let store = home.open().await;
    let batch: Vec<Arrival> =
        (0..701).map(|n| ringing(&format!("CA{n}"), Some(&format!("+3804400{n:05}")), n)).collect();
    let wanted = Wanted {
        events: batch.iter().map(|arrival| arrival.event.key.digest()).collect(),
        contacts: batch.iter().map(|arrival| arrival.event.contact.digest()).collect(),
        identifiers: batch.iter().filter_map(|arrival| arrival.event.client_party()?.identifier()).collect(),
        ..Wanted::default()
    };
    assert_eq!(record(&*store, batch, vec![]).await.unwrap().fresh, 701);
    let known = store.begin().await.unwrap().read(&wanted).await.unwrap();
    assert_eq!(known.events, wanted.events.into_iter().collect::<HashSet<_>>());
    assert_eq!(known.contacts.len(), 701);
    assert_eq!(known.holders.len(), 701);
    assert_eq!(known.clients.len(), 701);
    assert_eq!(known.conversations.len(), 701, "each has an open one");
    assert_eq!(known.log_position, 701);
    assert!(known.contacts.values().all(|contact| contact.source == line()));
}

/// Not of one store: of the two together.
#[test]
fn the_same_log_has_the_same_digests_in_both_databases() {
    let Some(postgres) = Home::postgres() else { return };
    let sqlite = Home::sqlite();
    run(async {
        let (one, other) = (sqlite.open().await, postgres.open().await);
        for store in [&one, &other] {
            some_history(&**store).await;
            some_mails(&**store).await;
        }
        let digests = (digests(&*one).await, digests(&*other).await);
        assert_eq!(digests.0, digests.1);
        assert_eq!(digests.0.len(), 8 + 5);
    });
}
