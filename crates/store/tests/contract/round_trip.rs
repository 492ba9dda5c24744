//! What goes in comes out.

use contact::{
    Channel, ClientId, ContactId, ContactKey, ConversationId, Direction, EntryId, Identifier, IdentifierKind,
    Level, Permission, SourceName, Trust, micros,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use timeline::{
    Call, Callback, Changes, Client, Contact, ContactState, Conversation, Entry, EntryKind, Holder, Message,
    Page, Status, Store, Wanted,
};
use uuid::Uuid;

use crate::home::Home;
use crate::people::{at, client, conversation, entry, uuid, write};

pub(crate) fn moment() -> impl Strategy<Value = Timestamp> {
    // The years 1900 to 2200, to the microsecond.
    (-2_208_988_800_000_000_i64..7_258_118_400_000_000)
        .prop_map(|us| micros(Timestamp::from_microsecond(us).unwrap()))
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    // Anything a person may be called, but for the one letter that cannot be kept.
    "[^\0]{0,40}"
}

pub(crate) fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn one_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> {
    prop::sample::select(all.to_vec())
}

prop_compose! {
    pub(crate) fn a_source()(channel in one_of(&Channel::ALL), name in "[a-z][a-z0-9-]{0,39}") -> SourceName {
        SourceName::new(channel, &name).unwrap()
    }
}

prop_compose! {
    fn a_client()(
        id in id(), name in prop::option::of(text()), segment in prop::option::of(text()), created_at in moment(),
        last_contact_at in moment(), reached_at in prop::option::of(moment()), rev in any::<i64>(),
        permissions in prop::collection::btree_map(
            one_of(&Channel::ALL), one_of(&[Permission::Allow, Permission::Deny]), 0..4,
        ),
        merged_into in prop::option::of(id()),
    ) -> Client {
        Client {
            id: ClientId::from_uuid(id), name, segment, created_at, last_contact_at, reached_at, permissions,
            merged_into: merged_into.map(ClientId::from_uuid), rev,
        }
    }
}

prop_compose! {
    fn a_holder()(
        kind in one_of(&[IdentifierKind::Phone, IdentifierKind::Email, IdentifierKind::Visitor, IdentifierKind::External]),
        value in text(), level in one_of(&[Level::Claimed, Level::Observed, Level::Proved]), since in moment(),
    ) -> Holder {
        Holder { identifier: Identifier { kind, value }, client: ClientId::from_uuid(Uuid::nil()), level, since }
    }
}

prop_compose! {
    fn a_contact()(
        id in id(), key in text(), source in a_source(),
        direction in one_of(&[Direction::Inbound, Direction::Outbound]),
        trust in one_of(&[Trust::Verified, Trust::Unverified]),
        entry in id(), rev in any::<i64>(), occurred_at in moment(), recorded_at in moment(),
    ) -> Contact {
        Contact {
            id: ContactId::from_uuid(id), key: ContactKey(format!("{key}/{id}")), source, direction, trust, client: None,
            conversation: None, entry: EntryId::from_uuid(entry), rev, state: ContactState::Call(Call::default()),
            occurred_at, recorded_at,
        }
    }
}

prop_compose! {
    fn an_entry()(
        id in id(), kind in one_of(EntryKind::ALL), source in a_source(),
        direction in one_of(&[Direction::Inbound, Direction::Outbound]),
        trust in one_of(&[Trust::Verified, Trust::Unverified]), rev in any::<i64>(),
        occurred_at in moment(), recorded_at in moment(), contact in prop::option::of(id()),
        conversation in prop::option::of(id()), agent in prop::option::of(text()),
        summary in text(), content in text(),
    ) -> Entry {
        Entry {
            id: EntryId::from_uuid(id), kind, channel: source.channel(), direction, source, trust, rev,
            occurred_at, recorded_at, client: None, contact: contact.map(ContactId::from_uuid),
            conversation: conversation.map(ConversationId::from_uuid), agent, summary, content,
        }
    }
}

prop_compose! {
    fn a_callback()(
        attempts in any::<u32>(), missed in any::<u32>(), since in moment(),
        done_at in prop::option::of(moment()),
    ) -> Callback {
        Callback { attempts, missed, since, done_at }
    }
}

prop_compose! {
    fn a_conversation()(
        id in id(), status in one_of(Status::ALL), thread in text(), channel in one_of(&Channel::ALL),
        queue in text(), priority in any::<i32>(), assignee in prop::option::of(text()), opened_at in moment(),
        updated_at in moment(), due_at in prop::option::of(moment()),
        callback in prop::option::of(a_callback()), rev in any::<i64>(),
        last_contact in prop::option::of(id()), continued_in in prop::option::of(id()),
    ) -> Conversation {
        Conversation {
            id: ConversationId::from_uuid(id), status, client: None, thread, channel, queue, priority, assignee,
            opened_at, updated_at, due_at, callback, last_entry: None,
            last_contact: last_contact.map(ContactId::from_uuid),
            continued_in: continued_in.map(ConversationId::from_uuid), rev,
        }
    }
}

prop_compose! {
    /// All of one client's, and pointing at each other.
    fn a_life()(
        client in a_client(), mut holder in a_holder(), mut contact in a_contact(), mut entry in an_entry(),
        mut conversation in a_conversation(), key in any::<[u8; 16]>(), ours in any::<bool>(),
    ) -> (Client, Holder, Contact, Entry, Conversation, Message) {
        holder.client = client.id;
        contact.client = Some(client.id);
        contact.conversation = Some(conversation.id);
        entry.client = Some(client.id);
        conversation.client = Some(client.id);
        conversation.last_entry = Some(entry.id);
        let message =
            Message { key, client: client.id, contact: (!ours).then_some(contact.id), conversation: conversation.id };
        (client, holder, contact, entry, conversation, message)
    }
}

pub(crate) async fn what_was_written_is_what_is_read(home: Home) {
    let store = home.open().await;
    let here = tokio::runtime::Handle::current();
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&a_life(), |life| here.block_on(kept(&*store, life))).unwrap();
    });
}

async fn kept(
    store: &dyn Store,
    (client, holder, contact, entry, conversation, message): (
        Client,
        Holder,
        Contact,
        Entry,
        Conversation,
        Message,
    ),
) -> Result<(), TestCaseError> {
    let changes = Changes {
        clients: vec![client.clone()],
        holders: vec![holder.clone()],
        contacts: vec![contact.clone()],
        entries: vec![entry.clone()],
        conversations: vec![conversation.clone()],
        messages: vec![message],
        ..Changes::default()
    };
    write(store, changes).await;
    let wanted = Wanted {
        contacts: vec![contact.key.digest()],
        identifiers: vec![holder.identifier.clone()],
        messages: vec![message.key],
        ..Wanted::default()
    };
    let known = store.begin().await.unwrap().read(&wanted).await.unwrap();
    prop_assert_eq!(known.contacts.get(&contact.key.digest()), Some(&contact));
    prop_assert_eq!(known.holders.get(&holder.identifier), Some(&(client.id, holder.level)));
    prop_assert_eq!(known.clients.get(&client.id), Some(&client));
    prop_assert_eq!(known.conversations.get(&conversation.id), Some(&conversation));
    prop_assert_eq!(known.messages.get(&(message.key, client.id)), Some(&message));
    let page = store.timeline(client.id, None, Page { after: None, limit: 10 }).await.unwrap();
    prop_assert_eq!(&page, std::slice::from_ref(&entry));
    let card = store.clients(&[client.id]).await.unwrap().remove(0);
    prop_assert_eq!((card.client, card.identifiers), (client.clone(), vec![holder]));
    let view = store.conversation(conversation.id).await.unwrap().unwrap();
    prop_assert_eq!(
        (view.conversation, view.client, view.last_entry),
        (conversation, Some(client), Some(entry))
    );
    Ok(())
}

pub(crate) async fn rows_are_replaced_by_id(home: Home) {
    let store = home.open().await;
    let mut life = (
        client(1, Some("Olena")),
        entry(1, Some(1), Channel::Phone, 5),
        conversation(1, Some(1), Status::Open),
    );
    let as_changes = |(client, entry, conversation): &(Client, Entry, Conversation)| Changes {
        clients: vec![client.clone()],
        entries: vec![entry.clone()],
        conversations: vec![conversation.clone()],
        ..Changes::default()
    };
    write(&*store, as_changes(&life)).await;
    life.0 = Client { name: None, segment: Some("gold".into()), reached_at: Some(at(9)), rev: 2, ..life.0 };
    life.0.permissions = [(Channel::Email, Permission::Deny)].into();
    life.0.merged_into = Some(ClientId::from_uuid(uuid(2)));
    life.1 = Entry { occurred_at: at(3), summary: "new".into(), agent: Some("mia".into()), rev: 2, ..life.1 };
    life.2 = Conversation { status: Status::Resolved, queue: "sales".into(), priority: 9, rev: 2, ..life.2 };
    life.2.last_contact = Some(ContactId::from_uuid(uuid(3)));
    life.2.continued_in = Some(ConversationId::from_uuid(uuid(4)));
    write(&*store, as_changes(&life)).await;
    let id = ClientId::from_uuid(uuid(1));
    assert_eq!(store.clients(&[id]).await.unwrap()[0].client, life.0);
    assert_eq!(store.timeline(id, None, Page { after: None, limit: 9 }).await.unwrap(), [life.1]);
    assert_eq!(store.conversation(life.2.id).await.unwrap().unwrap().conversation, life.2);
}
