//! What comes with what is asked when something is to be decided.

use std::collections::HashSet;

use contact::{Channel, Identifier, IdentifierKind, Level};
use timeline::{Callback, Changes, Chat, Client, Contact, Conversation, Known, Reply, Status, Store, Wanted};

use crate::home::Home;
use crate::people::{
    apart, at, call, chat, client, client_id, contact_id, conversation, conversation_id, entry_id, holder,
    merge, merge_id, reply, session, uuid, write,
};

async fn read(store: &dyn Store, wanted: Wanted) -> Known {
    store.begin().await.unwrap().read(&wanted).await.unwrap()
}

fn numbers(ids: impl IntoIterator<Item = uuid::Uuid>) -> Vec<u128> {
    let mut numbers: Vec<u128> = ids.into_iter().map(|id| id.as_u128() - uuid(0).as_u128()).collect();
    numbers.sort_unstable();
    numbers
}

fn clients(known: &Known) -> Vec<u128> {
    numbers(known.clients.keys().map(|id| id.uuid()))
}

fn conversations(known: &Known) -> Vec<u128> {
    numbers(known.conversations.keys().map(|id| id.uuid()))
}

fn contacts(known: &Known) -> Vec<u128> {
    numbers(known.contacts.values().map(|contact| contact.id.uuid()))
}

pub(crate) async fn a_conversation_comes_with_its_client_and_latest_contact(home: Home) {
    let store = home.open().await;
    let place =
        Conversation { last_contact: Some(contact_id(11)), ..conversation(1, Some(1), Status::Resolved) };
    let changes = Changes {
        clients: vec![client(1, None), client(2, None)],
        contacts: vec![call(10, Some(1)), call(11, Some(1)), call(20, Some(2))],
        conversations: vec![
            place.clone(),
            conversation(2, Some(1), Status::Open),
            conversation(3, Some(2), Status::Open),
            conversation(4, None, Status::Open),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let known = read(&*store, Wanted { conversations: vec![place.id], ..Wanted::default() }).await;
    assert_eq!(known.conversations[&place.id], place, "also one that is resolved");
    assert_eq!(known.contacts, [(call(11, None).key.digest(), call(11, Some(1)))].into());
    assert_eq!((clients(&known), conversations(&known)), (vec![1], vec![1, 2]));
    let nobodys = Wanted { conversations: vec![conversation_id(4)], ..Wanted::default() };
    let known = read(&*store, nobodys).await;
    assert_eq!((clients(&known), conversations(&known)), (vec![], vec![4]));
    let contact = Wanted { contact_ids: vec![contact_id(20)], ..Wanted::default() };
    let known = read(&*store, contact).await;
    assert_eq!((contacts(&known), clients(&known), conversations(&known)), (vec![20], vec![2], vec![3]));
}

pub(crate) async fn an_answer_comes_with_its_conversation_client_and_chat(home: Home) {
    let store = home.open().await;
    let mut in_chat = Reply { source: "chat/site".parse().unwrap(), ..reply(1, Some(1), None) };
    in_chat.order.to = "site:0a".to_owned();
    let by_mail = reply(2, Some(2), Some(5));
    let theirs = Chat { conversation: Some(conversation_id(1)), ..chat("site:0a", Some(1)) };
    let changes = Changes {
        clients: vec![client(1, None), client(2, None), client(3, None)],
        contacts: vec![session(11, Some(1))],
        conversations: vec![
            Conversation { last_contact: Some(contact_id(11)), ..conversation(1, Some(1), Status::Pending) },
            conversation(2, Some(2), Status::Resolved),
            conversation(3, Some(3), Status::Resolved),
        ],
        chats: vec![
            theirs.clone(),
            Chat { conversation: Some(conversation_id(3)), ..chat("site:0b", Some(3)) },
            // Named like the address of an answer by mail.
            chat("olena@example.com", None),
        ],
        replies: vec![in_chat.clone(), by_mail.clone()],
        merges: vec![merge(7, 1, 2, 0), merge(8, 1, 2, 0)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let known = read(&*store, Wanted { replies: vec![in_chat.id], ..Wanted::default() }).await;
    assert_eq!(known.replies, [(in_chat.id, in_chat)].into());
    assert_eq!(known.chats, [("site:0a".to_owned(), theirs)].into());
    assert_eq!((clients(&known), conversations(&known), contacts(&known)), (vec![1], vec![1], vec![11]));
    let known = read(&*store, Wanted { replies: vec![by_mail.id, entry_id(9)], ..Wanted::default() }).await;
    assert_eq!((known.replies.len(), known.chats.len()), (1, 0), "only of an answer in a chat");
    assert_eq!((clients(&known), conversations(&known)), (vec![2], vec![2]));
    let chats = vec!["site:0b".to_owned(), "site:0c".to_owned()];
    let known = read(&*store, Wanted { chats, ..Wanted::default() }).await;
    assert_eq!(known.chats.len(), 1);
    assert_eq!((clients(&known), conversations(&known)), (vec![3], vec![3]), "also a resolved one");
    let known = read(&*store, Wanted { merges: vec![merge_id(7), merge_id(9)], ..Wanted::default() }).await;
    assert_eq!(known.merges, [(merge_id(7), merge(7, 1, 2, 0))].into());
}

pub(crate) async fn of_who_writes_mails_no_other_mails_are_read(home: Home) {
    let store = home.open().await;
    let mail =
        |number, status| Conversation { channel: Channel::Email, ..conversation(number, Some(1), status) };
    let owed = Callback { attempts: 0, missed: 0, since: at(0), last: None, done_at: None, given_up: false };
    let chat = Conversation { channel: Channel::Chat, ..conversation(4, Some(1), Status::Snoozed) };
    let changes = Changes {
        clients: vec![client(1, None)],
        holders: vec![holder(1, IdentifierKind::Email, "form@x", Level::Observed)],
        conversations: vec![
            mail(1, Status::Open),
            mail(2, Status::Pending),
            Conversation { callback: Some(owed), ..mail(3, Status::Open) },
            chat,
            mail(5, Status::Resolved),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let form = || vec![Identifier { kind: IdentifierKind::Email, value: "form@x".to_owned() }];
    let known = read(&*store, Wanted { identifiers: form(), ..Wanted::default() }).await;
    assert_eq!((clients(&known), conversations(&known)), (vec![1], vec![3, 4]));
    let about = Wanted { conversations: vec![conversation_id(2)], ..Wanted::default() };
    assert_eq!(conversations(&read(&*store, about).await), [2, 3, 4], "with the one it is about");
    let whole = Wanted { identifiers: form(), whole: form(), ..Wanted::default() };
    assert_eq!(conversations(&read(&*store, whole).await), [1, 2, 3, 4]);
    let asked_for = Wanted { clients: vec![client_id(1)], ..Wanted::default() };
    assert_eq!(conversations(&read(&*store, asked_for).await), [1, 2, 3, 4]);
}

pub(crate) async fn one_who_is_merged_comes_with_the_survivor(home: Home) {
    let store = home.open().await;
    let gone = Client { merged_into: Some(client_id(1)), ..client(2, None) };
    let continued =
        Conversation { continued_in: Some(conversation_id(1)), ..conversation(2, Some(1), Status::Open) };
    let placed = Contact { conversation: Some(continued.id), ..call(20, Some(1)) };
    let changes = Changes {
        clients: vec![client(1, None), gone.clone(), client(3, None)],
        contacts: vec![placed.clone()],
        conversations: vec![conversation(1, Some(1), Status::Open), continued],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let known = read(&*store, Wanted { clients: vec![gone.id], ..Wanted::default() }).await;
    assert_eq!(known.clients[&gone.id], gone);
    assert_eq!(
        (clients(&known), conversations(&known)),
        (vec![1, 2], vec![1]),
        "what was continued is not open"
    );
    let known = read(&*store, Wanted { contacts: vec![placed.key.digest()], ..Wanted::default() }).await;
    assert_eq!(conversations(&known), [1, 2], "but where a contact has its place it is");
    let known =
        read(&*store, Wanted { clients: vec![client_id(3), client_id(4)], ..Wanted::default() }).await;
    assert_eq!(clients(&known), [3]);
}

pub(crate) async fn where_something_is_proved_holdings_and_aparts_come_too(home: Home) {
    let store = home.open().await;
    let phone = |number: u128, value: &str| holder(number, IdentifierKind::Phone, value, Level::Observed);
    let email = holder(1, IdentifierKind::Email, "1@x", Level::Proved);
    let changes = Changes {
        clients: vec![
            client(1, None),
            client(2, None),
            client(3, None),
            // A part of one, who is kept apart from five.
            Client { merged_into: Some(client_id(1)), ..client(4, None) },
            client(5, None),
            // A part of two, who is kept apart from one; and one who was made one with them after all.
            Client { merged_into: Some(client_id(2)), ..client(6, None) },
            Client { merged_into: Some(client_id(1)), ..client(7, None) },
        ],
        holders: vec![phone(1, "+1"), email.clone(), phone(2, "+2"), phone(3, "+3")],
        aparts: vec![apart(4, 5), apart(1, 6), apart(1, 7), apart(3, 5)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let wanted = Wanted {
        identifiers: vec![email.identifier.clone(), phone(2, "+2").identifier],
        ..Wanted::default()
    };
    let known = read(&*store, wanted.clone()).await;
    assert_eq!(known.holders[&email.identifier], (client_id(1), Level::Proved));
    assert!(known.holdings.is_empty() && known.aparts.is_empty(), "nothing is proved");
    let known = read(&*store, Wanted { proofs: true, ..wanted }).await;
    let held = |identifiers: &[&Identifier]| identifiers.iter().map(|&one| one.clone()).collect::<Vec<_>>();
    assert_eq!(known.holdings.len(), 2);
    assert_eq!(known.holdings[&client_id(1)], held(&[&email.identifier, &phone(1, "+1").identifier]));
    assert_eq!(known.holdings[&client_id(2)], held(&[&phone(2, "+2").identifier]));
    let expected: HashSet<_> = [[1, 5].map(client_id), [1, 2].map(client_id)].into();
    assert_eq!(known.aparts, expected);
    let known = read(&*store, Wanted { proofs: true, ..Wanted::default() }).await;
    assert!(known.holdings.is_empty() && known.aparts.is_empty(), "nobody was found");
}
