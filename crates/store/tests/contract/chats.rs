//! Chats and answers.

use contact::{EntryId, Identifier, IdentifierKind, MailThread, MergeId, Order};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use timeline::{
    Apart, Changes, Chat, ChatLine, Claim, Conversation, Merge, Relocation, Reply, ReplyState, Status, Store,
    Wanted,
};

use crate::home::Home;
use crate::people::{
    at, chat, chat_line, client, client_id, contact_id, conversation, conversation_id, entry_id, reply, uuid,
    write,
};
use crate::round_trip::{a_source, id, moment, one_of, text};

pub(crate) async fn a_chat_is_read_from_any_line_on(home: Home) {
    let store = home.open().await;
    let visitor = "site:0a";
    let place = conversation(1, Some(1), Status::Resolved);
    let mut kept = Chat { conversation: Some(place.id), seq: 5, read: 3, ..chat(visitor, Some(1)) };
    let lines: Vec<ChatLine> = (1..=5)
        .map(|seq| ChatLine { agent: (seq == 2).then(|| "mia".to_owned()), ..chat_line(visitor, seq) })
        .collect();
    let changes = Changes {
        chats: vec![kept.clone(), chat("site:0b", None)],
        chat_lines: lines.iter().cloned().chain([chat_line("site:0b", 6)]).collect(),
        conversations: vec![place.clone()],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let view = store.chat(visitor).await.unwrap().unwrap();
    assert_eq!((&view.chat, view.resolved), (&kept, true));
    assert_eq!(store.chat_lines(visitor, 0, 99).await.unwrap(), lines);
    assert_eq!(store.chat_lines(visitor, 1, 2).await.unwrap(), lines[1..3]);
    assert_eq!(store.chat_lines(visitor, 5, 99).await.unwrap(), []);
    let other = store.chat("site:0b").await.unwrap().unwrap();
    assert!(!other.resolved, "it is about nothing yet");
    assert_eq!(store.chat("site:0c").await.unwrap(), None);
    // Written again it is replaced, and its conversation goes on.
    kept = Chat { seq: 6, read: 6, session: "t".to_owned(), last_at: at(9), client: None, ..kept };
    let reopened = Conversation { status: Status::Open, ..place };
    write(
        &*store,
        Changes { chats: vec![kept.clone()], conversations: vec![reopened], ..Changes::default() },
    )
    .await;
    let view = store.chat(visitor).await.unwrap().unwrap();
    assert_eq!((view.chat, view.resolved), (kept, false));
}

pub(crate) async fn answers_are_due_in_order(home: Home) {
    let store = home.open().await;
    assert_eq!(store.next_due().await.unwrap(), None);
    let due = [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20)), (5, Some(10)), (6, Some(31))];
    let replies = due.map(|(number, due)| reply(number, Some(1), due)).to_vec();
    write(&*store, Changes { replies: replies.clone(), ..Changes::default() }).await;
    let now = async |seconds, limit| -> Vec<u128> {
        let due = store.due_replies(at(seconds), limit).await.unwrap();
        due.iter().map(|reply| reply.id.uuid().as_u128() - uuid(0).as_u128()).collect()
    };
    assert_eq!(now(9, 99).await, []);
    assert_eq!(now(10, 99).await, [2, 5], "to the moment");
    assert_eq!(now(30, 99).await, [2, 5, 4, 1]);
    assert_eq!(now(99, 3).await, [2, 5, 4]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    let found = store.due_replies(at(10), 1).await.unwrap();
    assert_eq!(found, [replies[1].clone()]);
    // Sent: nothing is to be done.
    let sent = |number| Reply { state: ReplyState::Sent, attempts: 1, ..reply(number, Some(1), None) };
    write(&*store, Changes { replies: vec![sent(2), sent(5)], ..Changes::default() }).await;
    assert_eq!(now(99, 99).await, [4, 1, 6]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(20)));
}

pub(crate) async fn what_was_read_in_its_chat_is_not_due(home: Home) {
    let store = home.open().await;
    let line = |number: u128, visitor: &str, state| {
        let mut line = Reply { state, ..reply(number, Some(1), Some(10)) };
        line.order.to = visitor.to_owned();
        line.order.seq = Some(i64::try_from(number).unwrap());
        line
    };
    let sent = |number| line(number, "site:0a", ReplyState::Sent);
    let due = async || -> Vec<u128> {
        let due = store.due_replies(at(10), 99).await.unwrap();
        due.iter().map(|reply| reply.id.uuid().as_u128() - uuid(0).as_u128()).collect()
    };
    let read = async |visitor: &str, read| {
        let chats = vec![Chat { seq: 9, read, ..chat(visitor, Some(1)) }];
        write(&*store, Changes { chats, ..Changes::default() }).await;
    };
    let answered = async |replies| write(&*store, Changes { replies, ..Changes::default() }).await;
    read("site:0b", 9).await;
    // By mail to an address that is named like a visitor.
    let mut by_mail = Reply { state: ReplyState::Sent, ..reply(1, Some(1), Some(10)) };
    by_mail.order.to = "site:0b".to_owned();
    answered(vec![by_mail, sent(2), sent(3), line(4, "site:0a", ReplyState::Queued), sent(5)]).await;
    assert_eq!(due().await, [1, 2, 3, 4, 5], "nothing is known of its chat");
    read("site:0a", 1).await;
    assert_eq!(due().await, [1, 2, 3, 4, 5]);
    read("site:0a", 4).await;
    assert_eq!(due().await, [1, 4, 5], "what was not sent yet is, and what comes later");
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    // It was read before it was heard that it was sent; and sent again it is still read.
    answered(vec![sent(3), sent(4)]).await;
    assert_eq!(due().await, [1, 5]);
    // The row itself says what was decided.
    let known = store.begin().await.unwrap();
    let kept = { known }.read(&Wanted { replies: vec![entry_id(3)], ..Wanted::default() }).await.unwrap();
    assert_eq!(kept.replies[&entry_id(3)], sent(3));
    read("site:0a", 9).await;
    answered(vec![reply(1, Some(1), None)]).await;
    assert_eq!(due().await, []);
    assert_eq!(store.next_due().await.unwrap(), None);
}

fn number() -> impl Strategy<Value = i64> {
    any::<i64>()
}

prop_compose! {
    fn an_order()(
        reply in id(), attempt in any::<u32>(), written_at in moment(), to in text(),
        name in prop::option::of(text()), agent in prop::option::of(text()), text in ".{0,40}",
        thread in prop::option::of((text(), prop::option::of(text()), prop::collection::vec(text(), 0..3))),
        seq in prop::option::of(number()),
    ) -> Order {
        let thread = thread.map(|(subject, in_reply_to, references)| MailThread { subject, in_reply_to, references });
        Order { reply: EntryId::from_uuid(reply), attempt, written_at, to, name, agent, text, thread, seq }
    }
}

prop_compose! {
    fn a_reply()(
        id in id(), source in a_source(), state in one_of(ReplyState::ALL), attempts in any::<u32>(),
        doubts in any::<u32>(), due_at in prop::option::of(moment()), order in an_order(),
        detail in prop::option::of(text()), message_id in prop::option::of(text()),
        instead_of in prop::option::of(id()), rev in number(), recorded_at in moment(),
    ) -> Reply {
        Reply {
            id: EntryId::from_uuid(id), conversation: conversation_id(1), client: Some(client_id(1)), source, state,
            attempts, doubts, due_at, order, detail, message_id, instead_of: instead_of.map(EntryId::from_uuid), rev,
            recorded_at,
        }
    }
}

prop_compose! {
    fn a_chat()(
        visitor in text(), source in a_source(), seq in number(), read in number(), session in text(),
        last_at in moment(), message_id in text(), agent in prop::option::of(text()), text in text(), at in moment(),
    ) -> (Chat, ChatLine) {
        let line = ChatLine { visitor: visitor.clone(), seq, entry: entry_id(1), message_id, agent, text, at };
        let conversation = Some(conversation_id(1));
        (Chat { visitor, source, client: Some(client_id(1)), conversation, seq, read, session, last_at }, line)
    }
}

prop_compose! {
    fn ties()(
        kind in one_of(&[IdentifierKind::Phone, IdentifierKind::Visitor]), value in text(), claimed in text(),
        since in moment(), by in text(), reason in text(), at in moment(), undone_at in prop::option::of(moment()),
        from in any::<bool>(),
    ) -> (Claim, Merge, Relocation, Apart) {
        let [mine, other] = [1, 2].map(client_id);
        let id = MergeId::from_uuid(uuid(1));
        let claim = Claim { identifier: Identifier { kind, value }, client: mine, reason: claimed, since };
        let merge = Merge { id, survivor: mine, absorbed: other, by: by.clone(), reason: reason.clone(), at, undone_at };
        let relocation = Relocation { id, contact: contact_id(1), from: from.then_some(other), to: mine };
        (claim, merge, relocation, Apart { clients: [mine, other], by, reason, at })
    }
}

pub(crate) async fn chats_answers_and_ties_are_read_as_they_were_written(home: Home) {
    let store = home.open().await;
    let here = tokio::runtime::Handle::current();
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&(a_reply(), a_chat(), ties()), |(reply, chat, ties)| {
                here.block_on(kept(&*store, reply, chat, ties))
            })
            .unwrap();
    });
}

async fn kept(
    store: &dyn Store,
    reply: Reply,
    (chat, line): (Chat, ChatLine),
    (claim, merge, relocation, apart): (Claim, Merge, Relocation, Apart),
) -> Result<(), TestCaseError> {
    let changes = Changes {
        clients: vec![client(1, None)],
        claims: vec![claim],
        merges: vec![merge],
        relocations: vec![relocation],
        aparts: vec![apart],
        chats: vec![chat],
        chat_lines: vec![line],
        replies: vec![reply],
        ..Changes::default()
    };
    let mut tx = store.begin().await.unwrap();
    tx.clear_projections().await.unwrap();
    tx.write(&changes).await.unwrap();
    tx.commit().await.unwrap();
    let rows = store.begin().await.unwrap().history(&[client_id(1)], &[]).await.unwrap().rows;
    prop_assert_eq!(&rows.claims, &changes.claims);
    prop_assert_eq!(&rows.relocations, &changes.relocations);
    prop_assert_eq!(&rows.aparts, &changes.aparts);
    prop_assert_eq!(&rows.chats, &changes.chats);
    prop_assert_eq!(&rows.chat_lines, &changes.chat_lines);
    prop_assert_eq!(&rows.replies, &changes.replies);
    prop_assert_eq!(store.merge(changes.merges[0].id).await.unwrap(), Some(changes.merges[0].clone()));
    let view = store.chat(&changes.chats[0].visitor).await.unwrap();
    prop_assert_eq!(view.map(|view| view.chat), Some(changes.chats[0].clone()));
    Ok(())
}
