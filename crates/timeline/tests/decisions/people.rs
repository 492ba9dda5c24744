//! Who is who: what a proof joins, what it does not, and what taking clients apart brings back.

use contact::act::Permission;
use contact::{ClientId, Deed, Identifier, Level, MergeId, Party};
use timeline::act::{ActError, Refusal};
use timeline::{Callback, Client, Status};

use crate::memory::{Memory, at};
use crate::told::{DENIED, address, call, deed, line, mail, mail_under, missed, named, number, states, wish};

fn told(events: Vec<timeline::Arrival>) -> Memory {
    let mut memory = Memory::default();
    memory.take(events);
    memory
}

fn identifier(party: &Party) -> Identifier {
    party.identifier().unwrap()
}

/// Who holds it.
fn holder(memory: &Memory, party: &Party) -> ClientId {
    memory.rows.holders[&identifier(party)].0
}

fn client<'a>(memory: &'a Memory, party: &Party) -> &'a Client {
    &memory.rows.clients[&holder(memory, party)]
}

/// Clients who are nobody else's part.
fn people(memory: &Memory) -> usize {
    memory.rows.clients.values().filter(|row| row.merged_into.is_none()).count()
}

/// The summaries on a client's timeline, without what we changed ourselves, oldest first.
fn timeline(memory: &Memory, client: ClientId) -> Vec<String> {
    let mut entries: Vec<_> = memory.all.entries.values().filter(|row| row.client == Some(client)).collect();
    entries.retain(|row| row.kind != timeline::EntryKind::Change);
    entries.sort_by_key(|row| (row.occurred_at, row.id));
    entries.into_iter().map(|row| row.summary.clone()).collect()
}

fn merge(memory: &mut Memory, minute: i64, survivor: ClientId, absorbed: ClientId) -> MergeId {
    let reason = "the same voice".to_owned();
    memory.act(deed(minute, Deed::Merge { survivor, absorbed, reason })).unwrap().merge
}

fn undo(memory: &mut Memory, minute: i64, merge: MergeId) {
    memory.act(deed(minute, Deed::Unmerge { merge, reason: "two sisters".to_owned() })).unwrap();
}

fn only_merge(memory: &Memory) -> MergeId {
    assert_eq!(memory.rows.merges.len(), 1);
    *memory.rows.merges.keys().next().unwrap()
}

#[test]
fn a_signed_token_joins_a_caller_and_a_mailer_and_says_why() {
    let memory = told(vec![
        missed(0, number(1)),
        mail(1, address(1), &[]),
        line(2, 1, vec![number(1), address(1)]),
        missed(3, number(1)),
    ]);
    assert_eq!(people(&memory), 1);
    let whole = client(&memory, &number(1)).id;
    assert_eq!(timeline(&memory, whole), ["Missed call", "Mail 1", "Line 2", "Missed call"]);
    assert_eq!((holder(&memory, &address(1)), memory.rows.merges.len()), (whole, 2));
    let eldest = memory.rows.clients.keys().min().copied();
    assert_eq!(Some(whole), eldest, "the eldest survives");
    for merge in memory.rows.merges.values() {
        assert_eq!(merge.by, "signed-token/1");
        assert!(merge.reason.contains("one signed token names"), "{}", merge.reason);
    }
    assert_eq!(memory.rows.holders[&identifier(&number(1))].1, Level::Proved, "and is more than a caller id");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn a_typed_address_is_a_claim_and_nothing_else() {
    let mut memory = told(vec![named_mail(0), line(1, 1, vec![])]);
    let before = memory.everything();
    memory.take(vec![states(2, 1, vec![address(1), number(7)])]);
    let after = memory.everything();
    assert_eq!(people(&memory), 2);
    assert_eq!((after.rows.holders, after.projections.3), (before.rows.holders, before.projections.3));
    let claims: Vec<_> = memory.all.claims.values().collect();
    let visitor = memory.rows.chats.values().next().unwrap().client.unwrap();
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| claim.client == visitor && claim.reason == "stated in a chat"));
}

fn named_mail(minute: i64) -> timeline::Arrival {
    mail(minute, named("Олена", address(1)), &[])
}

#[test]
fn a_token_that_would_make_a_client_of_too_many_is_only_a_claim() {
    let numbers = |range: std::ops::Range<usize>| range.map(number).collect::<Vec<_>>();
    let mut memory = told(vec![line(0, 1, numbers(0..3)), line(1, 2, numbers(3..6)), line(2, 3, vec![])]);
    let [one, two] = [holder(&memory, &number(0)), holder(&memory, &number(3))];
    memory.take(vec![line(3, 1, vec![number(3)])]);
    assert_eq!((holder(&memory, &number(3)), people(&memory)), (two, 3), "six numbers are not one person's");
    memory.take(vec![line(4, 1, vec![number(6), number(7), number(8)])]);
    assert_eq!((holder(&memory, &number(6)), holder(&memory, &number(7))), (one, one));
    assert!(!memory.rows.holders.contains_key(&identifier(&number(8))), "nor is a sixth");
    let reasons: Vec<_> =
        memory.all.claims.values().map(|claim| (claim.client, claim.reason.as_str())).collect();
    let why = "a token names it, but the client would hold more than 5 of kind phone";
    assert_eq!(reasons, [(one, why), (one, why)]);
}

#[test]
fn whoever_is_kept_apart_stays_apart_though_the_token_comes_again() {
    let mut memory = told(vec![missed(0, number(1)), line(1, 1, vec![])]);
    let clients = [holder(&memory, &number(1)), memory.rows.chats.values().next().unwrap().client.unwrap()];
    memory.act(deed(2, Deed::KeepApart { clients, reason: "brothers".to_owned() })).unwrap();
    memory.take(vec![line(3, 1, vec![number(1)])]);
    assert_eq!((people(&memory), memory.all.claims.len()), (2, 1));
    assert!(memory.all.claims.values().all(|claim| claim.reason.contains("a person said")));
}

#[test]
fn whoever_is_kept_apart_from_a_part_is_kept_apart_from_the_whole() {
    let mut memory = told(vec![missed(0, number(1)), missed(1, number(2)), line(2, 1, vec![])]);
    let [one, two] = [holder(&memory, &number(1)), holder(&memory, &number(2))];
    let visitor = memory.rows.chats.values().next().unwrap().client.unwrap();
    memory.act(deed(3, Deed::KeepApart { clients: [two, visitor], reason: "brothers".to_owned() })).unwrap();
    let merge = merge(&mut memory, 4, one, two);
    memory.take(vec![line(5, 1, vec![number(1)])]);
    assert_eq!(people(&memory), 2, "a brother is a part of them");
    undo(&mut memory, 6, merge);
    memory.take(vec![line(7, 1, vec![number(1)])]);
    assert_eq!((holder(&memory, &number(1)), people(&memory)), (one, 2), "and no part any more");
    assert_eq!(memory.rows.clients[&visitor].merged_into, Some(one));
}

#[test]
fn a_merge_that_was_undone_is_not_made_again_by_the_same_token() {
    let mut memory = told(vec![missed(0, number(1)), line(1, 1, vec![number(1)])]);
    assert_eq!(people(&memory), 1);
    let merge = only_merge(&memory);
    undo(&mut memory, 2, merge);
    memory.take(vec![line(3, 1, vec![number(1)])]);
    assert_eq!(people(&memory), 2);
    assert_eq!(memory.rows.merges[&merge].undone_at, Some(at(2, 2)));
    let again = Deed::Unmerge { merge, reason: String::new() };
    assert!(matches!(memory.act(deed(4, again)), Err(ActError::Refused(Refusal::Conflict { .. }))));
}

#[test]
fn both_owed_callbacks_of_two_who_are_one_are_one_and_are_two_again() {
    let mut memory = told(vec![
        call(0, "c0", Some(number(1)), None),
        missed(1, number(1)),
        missed(2, number(2)),
        missed(3, number(2)),
    ]);
    let [one, two] = [holder(&memory, &number(1)), holder(&memory, &number(2))];
    let younger = memory.open().into_iter().find(|row| row.client == Some(two)).unwrap().id;
    let merge = merge(&mut memory, 4, one, two);
    let owed = |missed, first, last| {
        let (since, last) = (at(first, 0), Some(at(last, 0)));
        Callback { attempts: 0, missed, since, last, done_at: None, given_up: false }
    };
    assert_eq!((memory.open().len(), memory.owed()), (1, vec![&owed(3, 1, 3)]));
    let gone = &memory.rows.conversations[&younger];
    assert_eq!((gone.status, gone.continued_in), (Status::Resolved, Some(memory.open()[0].id)));

    let talk = call(5, "call5", Some(number(2)), Some(contact::Outcome::Answered));
    let person = |arrival: timeline::Arrival| {
        let mut event = arrival.event;
        if let contact::Content::Call(change) = &mut event.content {
            change.basis = contact::Basis::Person;
        }
        let payload = String::from_utf8(event.to_json()).unwrap();
        timeline::Arrival { payload, event, ..arrival }
    };
    memory
        .act(deed(6, Deed::Assign { conversation: younger, from: None, to: Some("mia".to_owned()) }))
        .unwrap();
    assert_eq!(memory.open()[0].assignee.as_deref(), Some("mia"), "who names the younger means the older");
    memory.take(vec![person(talk)]);
    assert_eq!(memory.owed(), Vec::<&Callback>::new(), "a talk settles what was owed before");

    memory.take(vec![missed(7, number(2)), missed(8, number(1))]);
    undo(&mut memory, 9, merge);
    let by =
        |client| memory.open().into_iter().find(|row| row.client == Some(client)).unwrap().callback.clone();
    assert_eq!((by(one), by(two)), (Some(owed(2, 1, 8)), Some(owed(1, 7, 7))), "nobody talked to the first");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn what_came_after_a_merge_goes_to_whom_it_would_have_gone_to() {
    let mut memory =
        told(vec![missed(0, named("Олена", number(1))), mail(1, named("Ірина", address(1)), &[])]);
    let [one, two] = [holder(&memory, &number(1)), holder(&memory, &address(1))];
    memory.act(deed(2, wish(two, vec![DENIED]))).unwrap();
    let merge = merge(&mut memory, 3, one, two);
    assert_eq!(
        memory.rows.clients[&one].preferences.channels[&contact::Channel::Email].permission,
        Permission::Deny
    );
    memory.take(vec![
        mail(4, address(1), &["mail1@example.com".to_owned()]),
        missed(5, number(1)),
        line(6, 1, vec![address(1)]),
    ]);
    assert_eq!(timeline(&memory, one), ["Missed call", "Mail 1", "Mail 4", "Missed call", "Line 6"]);
    memory
        .act(deed(7, Deed::Note { client: two, conversation: None, text: "likes tea".to_owned() }))
        .unwrap();

    undo(&mut memory, 8, merge);
    assert_eq!(timeline(&memory, one), ["Missed call", "Missed call"]);
    assert_eq!(
        timeline(&memory, two),
        ["Mail 1", "Mail 4", "Line 6", "likes tea"],
        "the chat was the mailer's"
    );
    assert_eq!(memory.rows.clients[&one].name.as_deref(), Some("Олена"));
    assert!(memory.rows.clients[&one].preferences.channels.is_empty());
    assert_eq!(memory.rows.clients[&two].name.as_deref(), Some("Ірина"));
    memory.take(vec![missed(9, number(1)), mail(10, address(1), &["mail4@example.com".to_owned()])]);
    assert_eq!((timeline(&memory, one).len(), timeline(&memory, two).len()), (3, 5));
    let threads = memory.rows.conversations.values().filter(|row| row.channel == contact::Channel::Email);
    assert_eq!(threads.count(), 1, "and the answer finds its thread");
    let told: Vec<_> =
        memory.all.entries.values().filter(|row| row.summary.starts_with("Taken apart")).collect();
    let whose: Vec<_> = told.iter().map(|row| (row.client, row.summary.as_str())).collect();
    assert!(whose.contains(&(Some(one), "Taken apart from Ірина: two sisters")), "{whose:?}");
    assert!(whose.contains(&(Some(two), "Taken apart from Олена: two sisters")), "{whose:?}");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn merges_of_merges_are_undone_in_either_order() {
    let start = || {
        let mut memory = told(vec![missed(0, number(1)), missed(1, number(2)), missed(2, number(3))]);
        let [one, two, three] = [1, 2, 3].map(|nth| holder(&memory, &number(nth)));
        let first = merge(&mut memory, 3, two, three);
        let second = merge(&mut memory, 4, one, two);
        memory.take(vec![missed(5, number(3))]);
        assert_eq!((people(&memory), holder(&memory, &number(3))), (1, one));
        assert_eq!(memory.rows.clients[&three].merged_into, Some(one), "no chain");
        (memory, [one, two, three], [first, second])
    };
    let calls = |memory: &Memory, who: [ClientId; 3]| who.map(|client| timeline(memory, client).len());
    let (mut memory, who, [first, second]) = start();
    undo(&mut memory, 6, second);
    assert_eq!(calls(&memory, who), [1, 3, 0]);
    undo(&mut memory, 7, first);
    assert_eq!(calls(&memory, who), [1, 1, 2]);
    let (mut memory, who, [first, second]) = start();
    undo(&mut memory, 6, first);
    assert_eq!(calls(&memory, who), [2, 0, 2], "the two others are one still");
    undo(&mut memory, 7, second);
    assert_eq!(calls(&memory, who), [1, 1, 2]);
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn what_a_token_proved_of_one_part_is_not_the_others_when_they_are_taken_apart() {
    let mut memory = told(vec![missed(0, number(1)), line(1, 1, vec![]), mail(2, address(1), &[])]);
    let [one, three] = [holder(&memory, &number(1)), holder(&memory, &address(1))];
    let two = memory.rows.chats.values().next().unwrap().client.unwrap();
    let merge = merge(&mut memory, 3, one, two);
    // The visitor proves the address; by now the visitor is a part of the caller.
    memory.take(vec![line(4, 1, vec![address(1)])]);
    assert_eq!(memory.rows.clients[&three].merged_into, Some(one));
    undo(&mut memory, 5, merge);
    assert_eq!(timeline(&memory, one), ["Missed call"]);
    assert_eq!(timeline(&memory, two), ["Line 1", "Mail 2", "Line 4"]);
    assert_eq!(memory.rows.clients[&three].merged_into, Some(two));
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn a_contact_that_is_moved_takes_its_lines_along_and_stays() {
    let mut memory =
        told(vec![line(0, 1, vec![]), line(1, 1, vec![]), missed(2, number(1)), missed(3, number(1))]);
    let [one, two] =
        [holder(&memory, &number(1)), memory.rows.chats.values().next().unwrap().client.unwrap()];
    let contact = |memory: &Memory, key: &str| {
        memory.rows.contacts.values().find(|row| row.key.0.contains(key)).unwrap().clone()
    };
    let chat = contact(&memory, "site/").id;
    let reason = || "a borrowed phone".to_owned();
    memory.act(deed(4, Deed::Move { contact: chat, client: Some(one), reason: reason() })).unwrap();
    assert_eq!(timeline(&memory, two), Vec::<String>::new());
    memory.take(vec![line(5, 1, vec![])]);
    assert_eq!(timeline(&memory, one), ["Line 0", "Line 1", "Missed call", "Missed call", "Line 5"]);
    let again = memory.act(deed(6, Deed::Move { contact: chat, client: Some(one), reason: reason() }));
    assert!(matches!(again, Err(ActError::Refused(Refusal::Conflict { .. }))));

    let second = contact(&memory, "call3").id;
    memory.act(deed(7, Deed::Move { contact: second, client: None, reason: reason() })).unwrap();
    let new = memory.rows.contacts.values().find(|row| row.id == second).unwrap().client.unwrap();
    assert!(new != one && new != two && memory.rows.clients.contains_key(&new));
    let owed: Vec<_> = memory.owed().into_iter().map(|callback| callback.missed).collect();
    assert_eq!(owed, [1, 1], "each waits for a call of its own");
    assert_eq!(holder(&memory, &number(1)), one, "the number stays whose it is");
    memory.take(vec![call(8, "call3", Some(number(1)), Some(contact::Outcome::Missed))]);
    assert_eq!(contact(&memory, "call3").client, Some(new), "what is told later does not take it back");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn a_withheld_call_can_be_given_to_a_client_and_its_conversation_goes_along() {
    let mut memory =
        told(vec![mail(0, address(1), &[]), call(1, "c1", None, Some(contact::Outcome::Missed))]);
    let who = holder(&memory, &address(1));
    let nobodys = memory.open().into_iter().find(|row| row.client.is_none()).unwrap().id;
    memory
        .act(deed(2, Deed::Assign { conversation: nobodys, from: None, to: Some("mia".to_owned()) }))
        .unwrap();
    let row = memory.rows.contacts.values().find(|row| row.client.is_none()).unwrap().clone();
    memory
        .act(deed(3, Deed::Move { contact: row.id, client: Some(who), reason: "her voice".to_owned() }))
        .unwrap();
    assert_eq!(timeline(&memory, who), ["Mail 0", "Missed call"]);
    let conversation = &memory.rows.conversations[&nobodys];
    assert_eq!((conversation.client, conversation.assignee.as_deref()), (Some(who), Some("mia")));
    assert!(memory.rows.contacts.values().all(|row| row.client == Some(who)));
    assert!(memory.all.entries[&row.entry].rev > row.rev, "who follows sees it");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn an_answer_stays_with_whom_it_was_sent_to() {
    let mut memory = told(vec![mail(0, address(1), &[]), mail(1, address(2), &[])]);
    let [one, two] = [holder(&memory, &address(1)), holder(&memory, &address(2))];
    let merge = merge(&mut memory, 2, one, two);
    memory.take(vec![mail(3, address(2), &["mail0@example.com".to_owned()])]);
    let place = |memory: &Memory, mail: &str| {
        memory.rows.contacts.values().find(|row| row.key.0.contains(mail)).unwrap().conversation.unwrap()
    };
    let conversation = place(&memory, "mail3");
    assert_eq!(conversation, place(&memory, "mail0"), "one client's thread");
    memory.act(deed(4, Deed::Reply { conversation, text: "Yes".to_owned() })).unwrap();
    undo(&mut memory, 5, merge);
    assert_eq!((timeline(&memory, one), place(&memory, "mail0")), (vec!["Mail 0".to_owned()], conversation));
    assert_eq!(timeline(&memory, two), ["Mail 1", "Mail 3", "Yes"]);
    let reply = memory.rows.replies.values().next().unwrap();
    assert_eq!(
        (reply.conversation, reply.order.to.as_str()),
        (place(&memory, "mail3"), "person2@example.com")
    );
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn what_was_undone_no_other_proof_of_the_same_token_does() {
    let proved = || vec![number(1), address(1)];
    let mut memory = told(vec![line(0, 1, proved()), line(1, 2, proved())]);
    assert_eq!(people(&memory), 1);
    let merge = only_merge(&memory);
    undo(&mut memory, 2, merge);
    assert_eq!((people(&memory), memory.rows.merges.len()), (2, 1), "the address proved it too");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn of_two_mails_under_one_id_the_survivors_is_answered_however_they_came() {
    let events = || {
        vec![
            mail_under("same@example.com", 0, address(1), &[]),
            mail_under("same@example.com", 1, address(2), &[]),
            line(2, 1, vec![address(1), address(2)]),
            mail(3, address(2), &["same@example.com".to_owned()]),
        ]
    };
    let whole = told(events());
    let mut parts = Memory::default();
    events().into_iter().for_each(|event| parts.take(vec![event]));
    assert_eq!((people(&whole), whole.rows.messages.len()), (1, 2));
    assert_eq!(whole.everything(), parts.everything());
    let contacts = whole.projections().1;
    assert_eq!(contacts[0].conversation, contacts[3].conversation, "the elder's mail was the first");
}

#[test]
fn what_was_done_to_a_conversation_that_is_no_more_is_done_to_the_one_it_goes_on_in() {
    let withheld = call(0, "c0", None, Some(contact::Outcome::Missed));
    let mut memory = told(vec![withheld, missed(1, number(1))]);
    let who = holder(&memory, &number(1));
    let theirs = memory.open().into_iter().find(|row| row.client == Some(who)).unwrap().id;
    memory
        .act(deed(2, Deed::Assign { conversation: theirs, from: None, to: Some("mia".to_owned()) }))
        .unwrap();
    let row = memory.rows.contacts.values().find(|row| row.client.is_none()).unwrap().clone();
    memory
        .act(deed(3, Deed::Move { contact: row.id, client: Some(who), reason: "her voice".to_owned() }))
        .unwrap();

    // Had it been hers, her own missed call would have been one more of the same matter.
    let [open] = memory.open()[..] else { panic!("{:?}", memory.open()) };
    assert_eq!((Some(open.id), open.assignee.as_deref()), (row.conversation, Some("mia")));
    let gone = &memory.rows.conversations[&theirs];
    assert_eq!((gone.status, gone.continued_in, &gone.callback), (Status::Resolved, Some(open.id), &None));
    assert_eq!(memory.replayed().everything(), memory.everything());
}
