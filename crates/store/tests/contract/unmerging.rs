//! What was made one is made two again, in a real database as in the tests of the decisions: whatever happened
//! before, a replay of the log finds the same.

use contact::act::{Act, Actor};
use contact::{
    Channel, ChatChange, ChatFact, ClientId, ContactKey, Content, ConversationId, Deed, Direction, Event,
    EventKey, Identifier, IdentifierKind, Party, SourceName, Trust, chat,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use timeline::act::{ActError, subject};
use timeline::{
    Arrival, FindClients, FindContacts, FindConversations, Page, Policy, Status, Store, act, preview, replay,
};

use crate::home::Home;
use crate::people::{at, mail, missed, record};

/// One thing that happens. Numbers point at whom there is, counted round.
#[derive(Clone, Debug)]
enum Step {
    Call(u8),
    Mail(u8),
    Chat { visitor: u8, number: Option<u8>, address: Option<u8> },
    Answer(usize),
    Resolve(usize),
    Merge(usize, usize),
    Undo(usize),
    Move(usize, Option<usize>),
}

fn story() -> impl Strategy<Value = Vec<Step>> {
    let chat = (0..2u8, prop::option::of(0..3u8), prop::option::of(0..2u8));
    let step = prop_oneof![
        2 => (0..3u8).prop_map(Step::Call),
        1 => (0..2u8).prop_map(Step::Mail),
        3 => chat.prop_map(|(visitor, number, address)| Step::Chat { visitor, number, address }),
        1 => (0..9usize).prop_map(Step::Answer),
        1 => (0..9usize).prop_map(Step::Resolve),
        2 => (0..9usize, 0..9usize).prop_map(|(one, other)| Step::Merge(one, other)),
        2 => (0..9usize).prop_map(Step::Undo),
        1 => (0..9usize, prop::option::of(0..9usize)).prop_map(|(what, to)| Step::Move(what, to)),
    ];
    prop::collection::vec(step, 8..24)
}

pub(crate) fn number(nth: u8) -> String {
    format!("+38044123456{nth}")
}

pub(crate) fn address(nth: u8) -> String {
    format!("person{nth}@example.com")
}

pub(crate) fn arrival(
    source: (Channel, &str),
    id: String,
    contact: ContactKey,
    second: i64,
    content: Content,
) -> Arrival {
    let inbound = matches!(content, Content::Chat(_));
    let event = Event {
        key: EventKey { source: SourceName::new(source.0, source.1).unwrap(), id },
        contact,
        occurred_at: at(second),
        received_at: at(second),
        traceparent: None,
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content,
        raw: None,
    };
    told(event, second)
}

fn told(event: Event, second: i64) -> Arrival {
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: at(second) }
}

pub(crate) fn line(visitor: u8, second: i64, proved: Vec<Party>) -> Arrival {
    let source = SourceName::new(Channel::Chat, "site").unwrap();
    let digest = format!("{visitor:0>64}");
    let Identifier { kind, value } = chat::visitor(&source, &digest);
    let contact = ContactKey::new(&source, &format!("{digest}/s"));
    let fact = ChatFact::Line { message_id: format!("m{second}"), text: format!("Line {second}") };
    let change = ChatChange { fact, proved, claimed: Vec::new(), page: None };
    let line = arrival(
        (Channel::Chat, "site"),
        format!("{visitor}:{second}"),
        contact,
        second,
        Content::Chat(Box::new(change)),
    );
    told(Event { from: Some(party(kind, value)), ..line.event }, second)
}

pub(crate) fn party(kind: IdentifierKind, value: String) -> Party {
    Party { kind, raw: value.clone(), value: Some(value), name: None }
}

async fn does(store: &dyn Store, second: i64, deed: Deed) -> Result<(), ActError> {
    let contact = subject(&deed);
    let deed = Act { by: Actor::Agent("mia".to_owned()), deed };
    let deed = arrival(
        (Channel::Desk, "api"),
        format!("act{second}"),
        contact,
        second,
        Content::Act(Box::new(deed)),
    );
    act(store, &Policy::default(), deed).await.map(|_| ())
}

/// What an agent may not do did not happen; what the store could not do fails.
pub(crate) fn allowed(done: Result<(), ActError>) {
    match done {
        Ok(()) | Err(ActError::Refused(_)) => {}
        Err(ActError::Store(error)) => panic!("{error:?}"),
    }
}

pub(crate) async fn everybody(store: &dyn Store) -> Vec<ClientId> {
    let cards = store.find_clients(&FindClients::default(), Page { after: None, limit: 100 }).await.unwrap();
    cards.into_iter().map(|card| card.client.id).collect()
}

pub(crate) async fn conversations(store: &dyn Store) -> Vec<timeline::Conversation> {
    let page = Page { after: None, limit: 200 };
    let views = store.conversations(&FindConversations::default(), page).await.unwrap();
    views.into_iter().map(|view| view.conversation).collect()
}

async fn take(store: &dyn Store, second: i64, step: &Step) {
    let pick = |ids: &[ClientId], nth: usize| ids.get(nth % ids.len().max(1)).copied();
    let reason = || "as told".to_owned();
    match step {
        Step::Call(nth) => {
            let call = missed(&format!("c{second}"), Some(&number(*nth)), second);
            record(store, vec![call], Vec::new()).await.unwrap();
        }
        Step::Mail(nth) => {
            let mail = mail("support", &format!("m{second}"), &address(*nth), &[], second);
            record(store, vec![mail], Vec::new()).await.unwrap();
        }
        Step::Chat { visitor, number: phone, address: email } => {
            let phone = phone.map(|nth| party(IdentifierKind::Phone, number(nth)));
            let email = email.map(|nth| party(IdentifierKind::Email, address(nth)));
            let proved = phone.into_iter().chain(email).collect();
            record(store, vec![line(*visitor, second, proved)], Vec::new()).await.unwrap();
        }
        Step::Answer(nth) | Step::Resolve(nth) => {
            let all = conversations(store).await;
            let Some(id) = all.get(nth % all.len().max(1)).map(|row| row.id) else { return };
            allowed(does(store, second, about(step, id)).await);
        }
        Step::Merge(one, other) => {
            let ids = everybody(store).await;
            let (Some(survivor), Some(absorbed)) = (pick(&ids, *one), pick(&ids, *other)) else { return };
            allowed(does(store, second, Deed::Merge { survivor, absorbed, reason: reason() }).await);
        }
        Step::Undo(nth) => {
            let Some(client) = pick(&everybody(store).await, *nth) else { return };
            let merges = store.merges(client).await.unwrap();
            let Some(merge) = merges.iter().find(|row| row.undone_at.is_none()) else { return };
            does(store, second, Deed::Unmerge { merge: merge.id, reason: reason() }).await.unwrap();
        }
        Step::Move(nth, to) => {
            let page = Page { after: None, limit: 50 };
            let entries = store.contacts(&FindContacts::default(), page).await.unwrap();
            let Some(entry) = entries.get(nth % entries.len().max(1)) else { return };
            let contact = entry.contact.unwrap();
            let ids = everybody(store).await;
            let client = to.and_then(|to| pick(&ids, to));
            allowed(does(store, second, Deed::Move { contact, client, reason: reason() }).await);
        }
    }
}

fn about(step: &Step, conversation: ConversationId) -> Deed {
    match step {
        Step::Answer(_) => Deed::Reply { conversation, text: "Добрий день".to_owned() },
        _ => Deed::Resolve { conversation },
    }
}

pub(crate) async fn a_replay_finds_what_merging_moving_and_undoing_left(home: Home) {
    let store = home.open().await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let mut second = 0;
    for _ in 0..12 {
        // One store lives through all the stories: they meet the same few people.
        let story = story().new_tree(&mut runner).unwrap().current();
        for step in &story {
            second += 1;
            take(&*store, second, step).await;
        }
        let mut open: Vec<_> = conversations(&*store).await;
        open.retain(|row| row.status != Status::Resolved && row.client.is_some());
        let mut threads: Vec<_> = open.into_iter().map(|row| (row.client, row.thread)).collect();
        let count = threads.len();
        threads.sort_unstable();
        threads.dedup();
        assert_eq!(threads.len(), count, "two open conversations of one thread after {story:?}");
        let replayed = replay(&*store, false).await.unwrap();
        assert!(replayed.is_equal(), "after {story:?}: {:?}", replayed.differing());
    }
}

pub(crate) async fn an_undone_merge_leaves_each_what_is_theirs(home: Home) {
    let store = home.open().await;
    let events = vec![missed("c1", Some(&number(1)), 1), mail("support", "m2", &address(1), &[], 2)];
    record(&*store, events, Vec::new()).await.unwrap();
    let holder = async |kind, value: String| {
        let cards =
            store.find_clients(&FindClients::by(kind, value), Page { after: None, limit: 9 }).await.unwrap();
        cards[0].client.id
    };
    let caller = holder(IdentifierKind::Phone, number(1)).await;
    let mailer = holder(IdentifierKind::Email, address(1)).await;
    let seen = preview(&*store, caller, mailer).await.unwrap();
    assert_eq!((seen.survivor.contacts, seen.absorbed.contacts), (1, 1));
    assert_eq!((seen.survivor.conversations, seen.absorbed.card.identifiers.len()), (1, 1));
    assert_eq!((seen.conflicts, seen.survivor.more), (Vec::<String>::new(), false));

    // The token makes three one.
    let proved = vec![party(IdentifierKind::Phone, number(1)), party(IdentifierKind::Email, address(1))];
    record(&*store, vec![line(1, 3, proved.clone())], Vec::new()).await.unwrap();
    assert_eq!(everybody(&*store).await, [caller]);
    assert!(matches!(preview(&*store, caller, mailer).await, Err(ActError::Refused(_))), "they are one");
    let merges = store.merges(caller).await.unwrap();
    let with_mailer = merges.iter().find(|row| [row.survivor, row.absorbed].contains(&mailer)).unwrap();
    record(&*store, vec![mail("support", "m4", &address(1), &[], 4)], Vec::new()).await.unwrap();
    does(&*store, 5, Deed::Unmerge { merge: with_mailer.id, reason: "a son".to_owned() }).await.unwrap();

    let summaries = async |client| -> Vec<String> {
        let page =
            store.timeline(client, Some(Channel::Email), Page { after: None, limit: 9 }).await.unwrap();
        page.into_iter().map(|entry| entry.summary).collect()
    };
    assert_eq!((summaries(mailer).await.len(), summaries(caller).await.len()), (2, 0));
    assert_eq!(holder(IdentifierKind::Email, address(1)).await, mailer);
    let merge = store.merge(with_mailer.id).await.unwrap().unwrap();
    assert_eq!(merge.undone_at, Some(at(5)));
    let seen = preview(&*store, caller, mailer).await.unwrap();
    assert_eq!(seen.conflicts, ["a person said that these are two clients"]);
    record(&*store, vec![line(1, 6, proved)], Vec::new()).await.unwrap();
    assert_eq!(everybody(&*store).await.len(), 2, "no policy makes them one again");
    assert!(replay(&*store, false).await.unwrap().is_equal());
}

pub(crate) async fn a_withheld_call_is_given_with_its_conversation_and_what_was_done_to_it(home: Home) {
    let store = home.open().await;
    let events = vec![missed("c1", None, 1), missed("c2", Some(&number(1)), 2)];
    record(&*store, events, Vec::new()).await.unwrap();
    let nobodys = conversations(&*store).await.into_iter().find(|row| row.client.is_none()).unwrap().id;
    let assign = Deed::Assign { conversation: nobodys, from: None, to: Some("ben".to_owned()) };
    does(&*store, 3, assign).await.unwrap();
    let find = FindContacts { nobodys: true, ..FindContacts::default() };
    let entry = store.contacts(&find, Page { after: None, limit: 9 }).await.unwrap().remove(0);
    let caller = everybody(&*store).await[0];
    let contact = entry.contact.unwrap();
    does(&*store, 4, Deed::Move { contact, client: Some(caller), reason: "her voice".to_owned() })
        .await
        .unwrap();

    // Both wait for a call back, so they are one matter: what was begun first.
    let waiting: Vec<_> =
        conversations(&*store).await.into_iter().filter(timeline::Conversation::is_open).collect();
    let [row] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!((row.id, row.client, row.assignee.as_deref()), (nobodys, Some(caller), Some("ben")));
    assert_eq!(row.callback.as_ref().map(|callback| callback.missed), Some(2));
    let (shown, events) = store.contact(contact).await.unwrap().unwrap();
    assert_eq!((shown.client, shown.conversation, events.len()), (Some(caller), Some(nobodys), 1));
    assert!(shown.rev > entry.rev, "whoever follows sees it");
    let page = store.timeline(caller, Some(Channel::Phone), Page { after: None, limit: 9 }).await.unwrap();
    assert_eq!(page.len(), 2);
    assert!(replay(&*store, false).await.unwrap().is_equal());
}

pub(crate) async fn who_names_a_conversation_that_goes_on_elsewhere_means_that_one(home: Home) {
    let store = home.open().await;
    let events = vec![missed("c1", Some(&number(1)), 1), missed("c2", Some(&number(2)), 2)];
    record(&*store, events, Vec::new()).await.unwrap();
    let mut people = everybody(&*store).await;
    people.sort_unstable();
    let [one, two] = people[..] else { panic!("{people:?}") };
    let younger = conversations(&*store).await.into_iter().find(|row| row.client == Some(two)).unwrap().id;
    does(&*store, 3, Deed::Merge { survivor: one, absorbed: two, reason: "sisters".to_owned() })
        .await
        .unwrap();
    does(&*store, 4, Deed::Assign { conversation: younger, from: None, to: Some("ben".to_owned()) })
        .await
        .unwrap();
    let all = conversations(&*store).await;
    let [older] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (older.assignee.as_deref(), older.callback.as_ref().map(|owed| owed.missed)),
        (Some("ben"), Some(2))
    );
    let gone = store.conversation(younger).await.unwrap().unwrap().conversation;
    assert_eq!((gone.continued_in, gone.status), (Some(older.id), Status::Resolved));
    // What is told later of a call in it is counted where it is now.
    let again = missed("c2", Some(&number(2)), 9);
    record(&*store, vec![again], Vec::new()).await.unwrap();
    assert_eq!(conversations(&*store).await.len(), 1);
    assert!(replay(&*store, false).await.unwrap().is_equal());
}

pub(crate) async fn an_answer_in_a_chat_is_a_line_of_it(home: Home) {
    let store = home.open().await;
    record(&*store, vec![line(1, 1, Vec::new())], Vec::new()).await.unwrap();
    let conversation = conversations(&*store).await[0].id;
    does(&*store, 2, Deed::Reply { conversation, text: "Добрий день".to_owned() }).await.unwrap();
    let due = store.due_replies(at(9), 9).await.unwrap();
    assert_eq!((due.len(), due[0].order.seq), (1, Some(2)));
    let lines = store.chat_lines(&due[0].order.to, 0, 9).await.unwrap();
    assert_eq!(lines.last().map(|line| line.agent.as_deref()), Some(Some("mia")));
}
