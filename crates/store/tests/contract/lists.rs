//! Pages and filters.

use contact::{Channel, ClientId, ContactId, ConversationId, EntryId, IdentifierKind, Level};
use timeline::{
    Changes, Client, Conversation, Entry, FeedItem, FeedKind, FindClients, FindContacts, FindConversations,
    Page, Status,
};

use crate::home::Home;
use crate::merging::history;
use crate::people::{
    at, call, client, client_id, contact_id, conversation, conversation_id, entry, holder, line, missed,
    record, ringing, session, uuid, write,
};

fn first<C>(limit: usize) -> Page<C> {
    Page { after: None, limit }
}

pub(crate) async fn pages_neither_skip_nor_repeat_when_entries_share_a_moment(home: Home) {
    let store = home.open().await;
    let owner = ClientId::from_uuid(uuid(1));
    // Twenty at one moment, a few around it, in no order; and somebody else's.
    let mut entries: Vec<Entry> = (0..20)
        .map(|n| {
            entry(100 + (n * 7) % 20, Some(1), if n % 3 == 0 { Channel::Email } else { Channel::Phone }, 50)
        })
        .chain((0..5).map(|n| entry(200 + n, Some(1), Channel::Phone, 48 + i64::try_from(n).unwrap())))
        .collect();
    let theirs = entry(300, Some(2), Channel::Phone, 50);
    let all = entries.iter().cloned().chain([theirs]).collect();
    write(&*store, Changes { entries: all, ..Changes::default() }).await;
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.occurred_at, entry.id)));
    for channel in [None, Some(Channel::Email)] {
        let expected: Vec<&Entry> =
            entries.iter().filter(|entry| channel.is_none_or(|channel| entry.channel == channel)).collect();
        for limit in [1, 3, 7, 100] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.timeline(owner, channel, Page { after, limit }).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some((last.occurred_at, last.id));
                seen.extend(page);
            }
            assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{channel:?} by {limit}");
        }
    }
}

pub(crate) async fn a_page_keeps_every_letter(home: Home) {
    let store = home.open().await;
    let owner = ClientId::from_uuid(uuid(1));
    let controls: String = ('\u{1}'..' ').chain('\u{7f}'..='\u{a0}').collect();
    let long = "\\\"ї🛎\n".repeat(12_000);
    assert!(long.len() >= 100_000);
    let hostile = [
        "",
        " ",
        "null",
        "[]",
        "'\"`''\"\"",
        r"\ \\ \n \u0041 \x41 \",
        r#"{"text":"said \"so\"","path":"C:\\new"}"#,
        "'); drop table entry; --",
        "$1 ?1 :a @b %s",
        &controls,
        "👩🏽‍💻 Ґанок 日本 e\u{301} \u{202e}\u{2028}\u{feff}\u{fffd}\u{ffff}\u{10ffff}",
        &long,
    ];
    let mut entries: Vec<Entry> = hostile
        .into_iter()
        .zip(0_u32..)
        .map(|(text, n)| Entry {
            // Every optional one is there in some rows and absent in others.
            agent: (n % 2 == 0).then(|| text.to_owned()),
            conversation: (n % 3 == 0).then(|| ConversationId::from_uuid(uuid(n.into()))),
            summary: text.to_owned(),
            content: text.to_owned(),
            ..entry(n.into(), (n % 5 != 4).then_some(1), Channel::Phone, i64::from(n))
        })
        .collect();
    let item = |entry: &Entry| FeedItem {
        position: entry.occurred_at.duration_since(at(0)).as_secs() + 1,
        kind: FeedKind::Entry,
        id: entry.id.uuid(),
        rev: 1,
        notice: None,
    };
    let feed = entries.iter().map(item).collect();
    write(&*store, Changes { entries: entries.clone(), feed, ..Changes::default() }).await;
    let fed = store.feed(0, 100).await.unwrap().into_iter().map(|change| change.entry.unwrap());
    assert!(fed.eq(entries.iter().cloned()), "by id");
    entries.retain(|entry| entry.client.is_some());
    entries.reverse();
    let page = store.timeline(owner, None, first(100)).await.unwrap();
    for (read, written) in page.iter().zip(&entries) {
        assert_eq!(read, written);
    }
    assert_eq!(page.len(), entries.len());
}

pub(crate) async fn clients_are_found_by_an_identifier_or_a_part(home: Home) {
    let store = home.open().await;
    let changes = Changes {
        clients: vec![
            client(1, Some("Олена Коваль")),
            client(2, Some("100% Müller_Söhne")),
            client(3, None),
            client(4, Some("100 per cent")),
        ],
        holders: vec![
            holder(1, IdentifierKind::Phone, "+380441234567", Level::Observed),
            holder(1, IdentifierKind::Email, "olena@example.com", Level::Proved),
            holder(3, IdentifierKind::Phone, "+380449876543", Level::Claimed),
            holder(4, IdentifierKind::External, "CRM:Ab9", Level::Proved),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let find = async |find: FindClients| -> Vec<u128> {
        let found = store.find_clients(&find, first(10)).await.unwrap();
        found.iter().map(|card| card.client.id.uuid().as_u128() - uuid(0).as_u128()).collect()
    };
    let by = |value: &str| FindClients::by(IdentifierKind::Phone, value);
    let q = |q: &str| FindClients { identifier: None, q: Some(q.to_owned()) };
    assert_eq!(find(by("+380441234567")).await, [1]);
    assert_eq!(find(by("+380449876543")).await, [], "a claim finds nobody");
    assert_eq!(find(FindClients::default()).await, [4, 3, 2, 1], "newest first");
    assert_eq!(find(q("ОЛЕНА")).await, [1]);
    assert_eq!(find(q("müller_s")).await, [2]);
    assert_eq!(find(q("100%")).await, [2], "a letter means itself");
    assert_eq!(find(q("l_n")).await, [], "here too");
    assert_eq!(find(q("EXAMPLE.com")).await, [1]);
    assert_eq!(find(q("crm:ab9")).await, [4]);
    assert_eq!(find(q("(44) 123-45-67")).await, [1], "as people write numbers");
    assert_eq!(find(q("987654")).await, []);
    let card = store.find_clients(&q("коваль"), first(1)).await.unwrap().remove(0);
    assert_eq!(card.identifiers.len(), 2);
    let after = Some(ClientId::from_uuid(uuid(3)));
    let page = store.find_clients(&FindClients::default(), Page { after, limit: 1 }).await.unwrap();
    assert_eq!(page[0].client.id, ClientId::from_uuid(uuid(2)));
    let ids = [uuid(3), uuid(99), uuid(1)].map(ClientId::from_uuid);
    let cards = store.clients(&ids).await.unwrap();
    assert_eq!(cards.iter().map(|card| card.client.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
}

pub(crate) async fn contacts_are_listed_also_those_of_nobody(home: Home) {
    let store = home.open().await;
    for n in 0..9 {
        let from = (n % 3 != 0).then_some("+380441234567");
        record(&*store, vec![ringing(&format!("CA{n}"), from, n)], vec![]).await.unwrap();
    }
    let all = store.contacts(&FindContacts::default(), first(100)).await.unwrap();
    assert_eq!(all.len(), 9);
    assert!(all.is_sorted_by(|a, b| a.contact > b.contact), "newest first");
    let nobodys = FindContacts { nobodys: true, ..FindContacts::default() };
    let found = store.contacts(&nobodys, first(100)).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|entry| entry.client.is_none()));
    let mut paged = Vec::new();
    while let Some(page) = Some(
        store
            .contacts(
                &FindContacts::default(),
                Page { after: paged.last().and_then(|e: &Entry| e.contact), limit: 4 },
            )
            .await
            .unwrap(),
    )
    .filter(|page| !page.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let of = |channel, source: &str| FindContacts {
        channel,
        source: Some(source.parse().unwrap()),
        nobodys: false,
    };
    assert_eq!(store.contacts(&of(None, line().as_str()), first(100)).await.unwrap().len(), 9);
    assert_eq!(store.contacts(&of(None, "phone/other"), first(100)).await.unwrap(), []);
    let mails = FindContacts { channel: Some(Channel::Email), ..FindContacts::default() };
    assert_eq!(store.contacts(&mails, first(100)).await.unwrap(), []);
    let calls = FindContacts { channel: Some(Channel::Phone), ..FindContacts::default() };
    assert_eq!(store.contacts(&calls, first(100)).await.unwrap().len(), 9);
}

pub(crate) async fn a_session_without_an_entry_is_read_and_not_listed(home: Home) {
    let store = home.open().await;
    let changes = Changes {
        contacts: (1..=4).map(|n| if n % 2 == 0 { session(n, Some(1)) } else { call(n, Some(1)) }).collect(),
        entries: vec![entry(1, Some(1), Channel::Phone, 0), entry(3, Some(1), Channel::Phone, 0)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let listed = store.contacts(&FindContacts::default(), first(2)).await.unwrap();
    let listed: Vec<Option<ContactId>> = listed.into_iter().map(|entry| entry.contact).collect();
    assert_eq!(listed, [Some(contact_id(3)), Some(contact_id(1))], "a page is full as long as there is more");
    assert_eq!(history(&*store, &[1]).await.rows.contacts.len(), 4);
}

pub(crate) async fn a_contact_comes_with_its_events(home: Home) {
    let store = home.open().await;
    let facts = vec![ringing("CA1", None, 0), ringing("CA2", None, 5), missed("CA1", None, 21)];
    let payloads = [facts[0].payload.clone(), facts[2].payload.clone()];
    record(&*store, facts, vec![]).await.unwrap();
    let all = store.contacts(&FindContacts::default(), first(10)).await.unwrap();
    let listed = all.iter().find(|entry| entry.rev == 2).unwrap();
    let (entry, events) = store.contact(listed.contact.unwrap()).await.unwrap().unwrap();
    assert_eq!(&entry, listed);
    assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(events.into_iter().map(|event| event.payload).collect::<Vec<_>>(), payloads);
    assert!(store.contact(contact::ContactId::from_uuid(uuid(77))).await.unwrap().is_none());
}

pub(crate) async fn conversations_are_filtered(home: Home) {
    let store = home.open().await;
    let mine = |number, client, status| conversation(number, client, status);
    let rows = vec![
        mine(1, Some(1), Status::Open),
        Conversation { assignee: Some("mia".into()), ..mine(2, Some(1), Status::Resolved) },
        Conversation { queue: "sales".into(), ..mine(3, None, Status::Open) },
        Conversation { channel: Channel::Email, ..mine(4, Some(2), Status::Snoozed) },
        Conversation { assignee: Some("mia".into()), ..mine(5, Some(2), Status::Open) },
    ];
    write(&*store, Changes { conversations: rows, clients: vec![client(1, None)], ..Changes::default() })
        .await;
    let find = async |find: FindConversations, after: Option<u128>, limit| -> Vec<u128> {
        let after = after.map(|number| contact::ConversationId::from_uuid(uuid(number)));
        let found = store.conversations(&find, Page { after, limit }).await.unwrap();
        found.iter().map(|view| view.conversation.id.uuid().as_u128() - uuid(0).as_u128()).collect()
    };
    let any = FindConversations::default;
    assert_eq!(find(any(), None, 10).await, [5, 4, 3, 2, 1]);
    assert_eq!(find(any(), Some(4), 2).await, [3, 2]);
    assert_eq!(find(FindConversations { status: Some(Status::Open), ..any() }, None, 10).await, [5, 3, 1]);
    assert_eq!(find(FindConversations { queue: Some("sales".into()), ..any() }, None, 10).await, [3]);
    let open = FindConversations { queue: Some("sales".into()), status: Some(Status::Open), ..any() };
    assert_eq!(find(open, None, 10).await, [3]);
    assert_eq!(find(FindConversations { assignee: Some("mia".into()), ..any() }, None, 10).await, [5, 2]);
    assert_eq!(find(FindConversations { channel: Some(Channel::Email), ..any() }, None, 10).await, [4]);
    let of_one = FindConversations { client: Some(ClientId::from_uuid(uuid(1))), ..any() };
    assert_eq!(find(of_one.clone(), None, 10).await, [2, 1]);
    let open_of_one = FindConversations { status: Some(Status::Open), ..of_one.clone() };
    assert_eq!(find(open_of_one, None, 10).await, [1]);
    let views = store.conversations(&of_one, first(10)).await.unwrap();
    assert!(
        views
            .iter()
            .all(|view| view.client.as_ref().is_some_and(|c| c.client.id == ClientId::from_uuid(uuid(1))))
    );
    assert!(views.iter().all(|view| view.last_entry.is_none()));
}

pub(crate) async fn merged_clients_and_continued_conversations_are_not_listed(home: Home) {
    let store = home.open().await;
    let gone = Client { merged_into: Some(client_id(1)), ..client(2, Some("Olena")) };
    let continued =
        Conversation { continued_in: Some(conversation_id(1)), ..conversation(2, Some(1), Status::Open) };
    let changes = Changes {
        clients: vec![client(1, Some("Olena")), gone.clone()],
        conversations: vec![conversation(1, Some(1), Status::Open), continued.clone()],
        ..Changes::default()
    };
    write(&*store, changes).await;
    for find in [FindClients::default(), FindClients { identifier: None, q: Some("olena".into()) }] {
        let found = store.find_clients(&find, first(9)).await.unwrap();
        assert_eq!(found.iter().map(|card| card.client.id).collect::<Vec<_>>(), [client_id(1)]);
    }
    let cards = store.clients(&[gone.id]).await.unwrap();
    assert_eq!(
        cards.into_iter().map(|card| card.client).collect::<Vec<_>>(),
        [gone],
        "asked for it is there"
    );
    let of_one = FindConversations { client: Some(client_id(1)), ..FindConversations::default() };
    for find in [FindConversations::default(), of_one] {
        let found = store.conversations(&find, first(9)).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|view| view.conversation.id).collect();
        assert_eq!(found, [conversation_id(1)]);
    }
    assert_eq!(store.conversation(continued.id).await.unwrap().unwrap().conversation, continued);
}

pub(crate) async fn beside_its_conversation_an_entry_stands_in_brief(home: Home) {
    let store = home.open().await;
    let text = "\" \\ 👩🏽‍💻 ї".repeat(1_000);
    let content = serde_json::json!({
        "subject": "\"", "text": text, "html": text, "quoted": text, "signature": null, "cc": [],
    });
    let long = Entry { content: content.to_string(), ..entry(10, Some(1), Channel::Email, 0) };
    let content = serde_json::json!({ "subject": "\u{0}", "text": text.replace('ї', "\u{0}"), "html": text });
    let with_nul = Entry { content: content.to_string(), ..entry(12, Some(1), Channel::Email, 0) };
    // What is no JSON is nobody's mail, and no reason to show nothing.
    let odd = Entry { content: "\\ \"".repeat(9_000), ..entry(11, Some(1), Channel::Email, 0) };
    let of = |number, entry: &Entry| Conversation {
        last_entry: Some(entry.id),
        ..conversation(number, Some(1), Status::Open)
    };
    let item = |position, kind, number| FeedItem { position, kind, id: uuid(number), rev: 1, notice: None };
    let changes = Changes {
        clients: vec![client(1, Some("Olena"))],
        entries: vec![long.clone(), odd.clone(), with_nul.clone()],
        conversations: vec![of(20, &long), of(21, &odd), of(22, &with_nul)],
        feed: vec![item(1, FeedKind::Entry, 10), item(2, FeedKind::Conversation, 20)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let read = |entry: &Entry| serde_json::from_str::<serde_json::Value>(&entry.content).unwrap();
    let views = store.conversations(&FindConversations::default(), first(9)).await.unwrap();
    let [nul, none, brief] = [0, 1, 2].map(|at: usize| views[at].last_entry.clone().unwrap());
    assert_eq!(read(&nul.in_brief()), read(&with_nul.in_brief()), "nothing is lost");
    assert_eq!(none, odd);
    assert_eq!(read(&brief), read(&long.clone().in_brief()));
    assert_eq!(Entry { content: String::new(), ..brief }, Entry { content: String::new(), ..long.clone() });
    let [both, alone] = [store.feed(0, 2).await.unwrap(), store.feed(1, 1).await.unwrap()];
    assert_eq!(both[0].entry, Some(long.clone()), "whole where it changed itself");
    for beside in [&both[1], &alone[0]] {
        assert_eq!(read(beside.entry.as_ref().unwrap()), read(&long.clone().in_brief()));
    }
}

pub(crate) async fn the_feed_shows_the_present_state(home: Home) {
    let store = home.open().await;
    let item = |position, kind, number| FeedItem { position, kind, id: uuid(number), rev: 1, notice: None };
    let talked_of = Conversation {
        last_entry: Some(EntryId::from_uuid(uuid(11))),
        ..conversation(20, Some(1), Status::Open)
    };
    let changes = Changes {
        clients: vec![client(1, Some("Olena"))],
        holders: vec![holder(1, IdentifierKind::Phone, "+380441234567", Level::Observed)],
        entries: vec![entry(10, Some(1), Channel::Phone, 0), entry(11, None, Channel::Phone, 0)],
        conversations: vec![talked_of],
        feed: vec![
            item(1, FeedKind::Client, 1),
            item(2, FeedKind::Entry, 10),
            item(3, FeedKind::Entry, 11),
            item(4, FeedKind::Conversation, 20),
            item(5, FeedKind::Entry, 12),
            item(6, FeedKind::Entry, 10),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let feed = store.feed(0, 100).await.unwrap();
    assert_eq!(feed.iter().map(|change| change.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let card = feed[0].client.clone().unwrap();
    assert_eq!(card.identifiers.len(), 1);
    for seen in [&feed[1], &feed[5]] {
        assert_eq!(seen.entry.as_ref().unwrap().id.uuid(), uuid(10));
        assert_eq!(seen.client.as_ref(), Some(&card));
    }
    assert!(feed[2].entry.is_some() && feed[2].client.is_none(), "nobody's");
    assert_eq!(feed[3].conversation.as_ref().unwrap().id.uuid(), uuid(20));
    assert_eq!(feed[3].client.as_ref(), Some(&card));
    let alone = store.feed(3, 1).await.unwrap();
    assert_eq!(alone[0].entry.as_ref().unwrap().id.uuid(), uuid(11), "its last entry, of another page");
    assert!(feed[4].entry.is_none() && feed[4].client.is_none(), "gone");
    assert_eq!(
        store.feed(2, 2).await.unwrap().iter().map(|change| change.position).collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!(store.feed_head().await.unwrap(), 6);
    assert_eq!(store.feed(6, 10).await.unwrap().len(), 0);
}
