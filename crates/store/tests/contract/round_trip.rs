//! What goes in comes out.

use contact::{
    Channel, ClientId, ContactHours, ContactId, ContactKey, ConversationId, Deadline, Decision, Direction,
    EntryId, FailedRule, Identifier, IdentifierKind, Level, Notice, Permission, Presence, Priority, Profile,
    PromiseKind, ReservationId, SourceName, Target, Trust, micros,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use routing::promise::Fact;
use timeline::clock::Clock;
use timeline::{
    Agent, Call, Callback, Changes, Client, Contact, ContactState, Conversation, Entry, EntryKind, Holder,
    Message, Page, Preferences, Reservation, ReservationState, Status, Store, Talks, Wanted, Wish,
};
use uuid::Uuid;

use crate::home::Home;
use crate::people::{agent, at, client, conversation, entry, offer, uuid, write};

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
    fn preferences()(
        channels in prop::collection::btree_map(
            one_of(&Channel::ALL), (one_of(&[Permission::Allow, Permission::Deny]), text(), moment()), 0..4,
        ),
        preferred_channel in prop::option::of(one_of(&Channel::ALL)), language in prop::option::of(text()),
        hours in prop::option::of((text(), text(), text())),
    ) -> Preferences {
        let wish = |(permission, by, at)| Wish { permission, by, at };
        Preferences {
            channels: channels.into_iter().map(|(channel, said)| (channel, wish(said))).collect(),
            preferred_channel, language,
            hours: hours.map(|(zone, from, to)| ContactHours { zone, from, to }),
        }
    }
}

prop_compose! {
    fn a_client()(
        id in id(), name in prop::option::of(text()), segment in prop::option::of(text()), created_at in moment(),
        value in prop::option::of(any::<i64>()), owner in prop::option::of(text()),
        known_by in prop::option::of(text()), wrote_at in prop::option::of(moment()),
        talked in prop::collection::vec((text(), moment()), 0..4),
        last_contact_at in moment(), reached_at in prop::option::of(moment()),
        won_back_at in prop::option::of(moment()), rev in any::<i64>(), preferences in preferences(),
        merged_into in prop::option::of(id()),
    ) -> Client {
        let mut talks = Talks::default();
        talked.iter().for_each(|(extension, at)| talks.add(extension, *at));
        Client {
            id: ClientId::from_uuid(id), name, segment, value, owner, known_by, wrote_at, talks, created_at,
            last_contact_at, won_back_at, reached_at, preferences, merged_into: merged_into.map(ClientId::from_uuid), rev,
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
        attempts in any::<u32>(), missed in any::<u32>(), since in moment(), last in prop::option::of(moment()),
        done_at in prop::option::of(moment()), given_up in any::<bool>(),
    ) -> Callback {
        Callback { attempts, missed, since, last, done_at, given_up }
    }
}

prop_compose! {
    fn a_target()(
        within_s in any::<u32>(), calendar in prop::option::of(text()), warn_percent in any::<u8>(),
    ) -> Target {
        Target { within_s, calendar, warn_percent }
    }
}

prop_compose! {
    fn a_decision()(
        rule in prop::option::of(text()), version in text(), queue in text(), priority in 0..=100,
        skills in prop::collection::btree_set(text(), 0..3),
        promises in prop::collection::btree_map(one_of(&PromiseKind::ALL), a_target(), 0..3),
        reasons in prop::collection::vec(text(), 0..3),
        failed in prop::collection::vec((text(), text()), 0..2), point_s in any::<u32>(),
    ) -> Decision {
        let failed = failed.into_iter().map(|(rule, reason)| FailedRule { rule, reason }).collect();
        let priority = Priority::clamped(priority);
        Decision { rule, version, queue, priority, skills, promises, reasons, failed, point_s }
    }
}

prop_compose! {
    fn a_clock()(
        kind in one_of(&PromiseKind::ALL), target in a_target(), acted in prop::collection::vec(moment(), 0..3),
        ends in prop::collection::vec((moment(), any::<bool>()), 0..2),
        pauses in prop::collection::vec((moment(), any::<bool>()), 0..4), said in moment(),
        warn_at in prop::option::of(moment()), due_at in prop::option::of(moment()),
        told in prop::option::of((one_of(&[Notice::Warned, Notice::Breached]), moment())),
    ) -> Clock {
        let mut clock = Clock::new(kind);
        clock.fold(said, Fact::Promised(target));
        let acted = acted.into_iter().map(|at| (at, Fact::Acted));
        let ends = ends.into_iter().map(|(at, kept)| (at, if kept { Fact::Answered } else { Fact::Withdrawn }));
        let pauses = pauses.into_iter().map(|(at, on)| (at, if on { Fact::Paused } else { Fact::Resumed }));
        for (at, fact) in acted.chain(ends).chain(pauses) {
            clock.fold(at, fact);
        }
        clock.set(&Deadline { promise: kind, warn_at, due_at });
        if let Some((notice, at)) = told {
            clock.tell(notice, at);
        }
        clock
    }
}

prop_compose! {
    /// When what happened to a conversation.
    fn moments()(moments in prop::array::uniform9(prop::option::of(moment()))) -> [Option<Timestamp>; 9] {
        moments
    }
}

prop_compose! {
    fn an_agent()(
        name in text(), known in any::<bool>(), queues in prop::collection::btree_set(text(), 0..3),
        skills in prop::collection::btree_set(text(), 0..3),
        extensions in prop::collection::btree_set(text(), 0..3),
        capacity in prop::collection::btree_map(one_of(&Channel::ALL), any::<u16>(), 0..3),
        presence in one_of(&[Presence::Available, Presence::Away, Presence::Offline]),
        consoles in prop::collection::btree_set(text(), 0..3), gone_since in prop::option::of(moment()),
        idle_since in moment(), missed in any::<u16>(), rev in any::<i64>(),
    ) -> Agent {
        let profile = known.then_some(Profile { queues, skills, capacity, extensions });
        Agent { name, profile, presence, consoles, gone_since, idle_since, missed, rev }
    }
}

prop_compose! {
    fn a_reservation()(
        id in id(), agent in text(), state in one_of(ReservationState::ALL), offered_at in moment(),
        until in moment(), ended_at in prop::option::of(moment()), rests_until in prop::option::of(moment()),
        rev in any::<i64>(),
    ) -> Reservation {
        Reservation {
            id: ReservationId::from_uuid(id), conversation: ConversationId::from_uuid(Uuid::nil()), agent, state,
            offered_at, until, ended_at, rests_until, rev,
        }
    }
}

prop_compose! {
    fn a_conversation()(
        routing in prop::option::of(a_decision()), clocks in prop::collection::vec(a_clock(), 0..3),
        moments in moments(), handed_at in moment(), rank in prop::option::of(any::<i64>()),
        id in id(), status in one_of(Status::ALL), thread in text(), channel in one_of(&Channel::ALL),
        (queue, priority, assignee) in (text(), any::<i32>(), prop::option::of(text())),
        opened_at in moment(),
        callback in prop::option::of(a_callback()),
        on_line in prop::collection::btree_map(id().prop_map(ContactId::from_uuid), moment(), 0..3), rev in any::<i64>(),
        ids in prop::array::uniform2(prop::option::of(id())),
    ) -> Conversation {
        let [waiting_since, snoozed_until, assigned_at, answered_at, last_answer_at, resolved_at, due_at, wake_at, updated_at]
            = moments;
        let [last_contact, continued_in] = ids;
        Conversation {
            id: ConversationId::from_uuid(id), status, client: None, thread, channel, queue, priority, assignee,
            opened_at, updated_at: updated_at.unwrap_or(opened_at), routing,
            clocks: clocks.into_iter().map(|clock| (clock.promise().kind(), clock)).collect(),
            waiting_since, handed_at, snoozed_until, assigned_at, answered_at, last_answer_at, resolved_at,
            due_at, wake_at, rank, callback, on_line, last_entry: None,
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
        mut reservation in a_reservation(), agent in an_agent(),
    ) -> (Client, Holder, Contact, Entry, Conversation, Message, Reservation, Agent) {
        reservation.conversation = conversation.id;
        holder.client = client.id;
        contact.client = Some(client.id);
        contact.conversation = Some(conversation.id);
        entry.client = Some(client.id);
        conversation.client = Some(client.id);
        conversation.last_entry = Some(entry.id);
        let message =
            Message { key, client: client.id, contact: (!ours).then_some(contact.id), conversation: conversation.id };
        (client, holder, contact, entry, conversation, message, reservation, agent)
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
    (client, holder, contact, entry, conversation, message, reservation, agent): (
        Client,
        Holder,
        Contact,
        Entry,
        Conversation,
        Message,
        Reservation,
        Agent,
    ),
) -> Result<(), TestCaseError> {
    let changes = Changes {
        clients: vec![client.clone()],
        holders: vec![holder.clone()],
        contacts: vec![contact.clone()],
        entries: vec![entry.clone()],
        conversations: vec![conversation.clone()],
        messages: vec![message],
        agents: vec![agent.clone()],
        reservations: vec![reservation.clone()],
        ..Changes::default()
    };
    write(store, changes).await;
    let wanted = Wanted {
        contacts: vec![contact.key.digest()],
        identifiers: vec![holder.identifier.clone()],
        messages: vec![message.key],
        agents: vec![agent.name.clone()],
        reservations: vec![reservation.id],
        ..Wanted::default()
    };
    let known = store.begin().await.unwrap().read(&wanted).await.unwrap();
    prop_assert_eq!(known.contacts.get(&contact.key.digest()), Some(&contact));
    prop_assert_eq!(known.holders.get(&holder.identifier), Some(&(client.id, holder.level)));
    prop_assert_eq!(known.clients.get(&client.id), Some(&client));
    prop_assert_eq!(known.conversations.get(&conversation.id), Some(&conversation));
    prop_assert_eq!(known.messages.get(&(message.key, client.id)), Some(&message));
    prop_assert_eq!(known.agents.get(&agent.name), Some(&agent));
    prop_assert_eq!(known.reservations.get(&reservation.id), Some(&reservation));
    prop_assert_eq!(store.agent(&agent.name).await.unwrap().map(|view| view.agent), Some(agent));
    prop_assert_eq!(store.reservation(reservation.id).await.unwrap(), Some(reservation));
    let page = store.timeline(client.id, None, Page { after: None, limit: 10 }).await.unwrap();
    prop_assert_eq!(&page, std::slice::from_ref(&entry));
    let card = store.clients(&[client.id]).await.unwrap().remove(0);
    prop_assert_eq!((card.client, card.identifiers), (client.clone(), vec![holder]));
    let view = store.conversation(conversation.id).await.unwrap().unwrap();
    prop_assert_eq!(
        (view.conversation, view.client.map(|card| card.client), view.last_entry),
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
    let wish = Wish { permission: Permission::Deny, by: "mia".to_owned(), at: at(4) };
    life.0.preferences.channels = [(Channel::Email, wish)].into();
    life.0.preferences.language = Some("uk".to_owned());
    (life.0.value, life.0.owner, life.0.known_by) = (Some(-7), Some("bo".to_owned()), Some("mia".to_owned()));
    life.0.won_back_at = Some(at(8));
    life.0.wrote_at = Some(at(7));
    life.0.talks.add("101", at(6));
    life.0.merged_into = Some(ClientId::from_uuid(uuid(2)));
    life.1 = Entry { occurred_at: at(3), summary: "new".into(), agent: Some("mia".into()), rev: 2, ..life.1 };
    life.2 = Conversation { status: Status::Resolved, queue: "sales".into(), priority: 9, rev: 2, ..life.2 };
    let mut clock = Clock::new(PromiseKind::Callback);
    clock.fold(at(3), Fact::Acted);
    life.2.clocks = [(PromiseKind::Callback, clock)].into();
    let moments = [1, 2, 3, 4, 5, 6, 7, 8].map(at);
    [life.2.handed_at, life.2.opened_at, life.2.updated_at, ..] = moments;
    let [.., a, b, c, d, e] = moments.map(Some);
    (life.2.waiting_since, life.2.snoozed_until, life.2.assigned_at, life.2.answered_at) = (a, b, c, d);
    (life.2.last_answer_at, life.2.resolved_at, life.2.due_at, life.2.wake_at) = (e, a, b, c);
    (life.2.rank, life.2.assignee) = (Some(-5), Some("mia".to_owned()));
    life.2.last_contact = Some(ContactId::from_uuid(uuid(3)));
    life.2.continued_in = Some(ConversationId::from_uuid(uuid(4)));
    write(&*store, as_changes(&life)).await;
    let id = ClientId::from_uuid(uuid(1));
    assert_eq!(store.clients(&[id]).await.unwrap()[0].client, life.0);
    assert_eq!(store.timeline(id, None, Page { after: None, limit: 9 }).await.unwrap(), [life.1]);
    assert_eq!(store.conversation(life.2.id).await.unwrap().unwrap().conversation, life.2);
    let mut work = (agent("mia", "7"), offer(1, 1, "mia", 20));
    let as_changes = |(agent, offer): &(Agent, Reservation)| Changes {
        agents: vec![agent.clone()],
        reservations: vec![offer.clone()],
        ..Changes::default()
    };
    write(&*store, as_changes(&work)).await;
    work.0 = Agent { profile: None, presence: Presence::Away, gone_since: None, idle_since: at(5), ..work.0 };
    (work.0.consoles, work.0.missed, work.0.rev) = (["p1".to_owned()].into(), 2, 2);
    work.1 = Reservation { state: ReservationState::Declined, until: at(1), offered_at: at(2), ..work.1 };
    (work.1.ended_at, work.1.rests_until, work.1.rev) = (Some(at(3)), Some(at(4)), 2);
    work.1.agent = "bo".to_owned();
    write(&*store, as_changes(&work)).await;
    assert_eq!(store.agent("mia").await.unwrap().map(|view| view.agent), Some(work.0));
    assert_eq!(store.reservation(work.1.id).await.unwrap(), Some(work.1));
}
