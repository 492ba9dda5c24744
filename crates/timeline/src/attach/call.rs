//! Calls: which conversation they belong to, and the callbacks that are owed for them.

use contact::{CallChange, ClientId, ConversationId, Direction, Event, Level};
use jiff::{SignedDuration, Timestamp};

use super::{Desk, Shown, new_contact};
use crate::call::Call;
use crate::model::{Callback, Contact, ContactState, Conversation, FeedKind, Status};

/// All calls with a client are about one matter while it is open.
const PHONE_THREAD: &str = "phone";
/// Of a call that began so long before, the end was never told.
const LONGEST_CALL: SignedDuration = SignedDuration::from_hours(12);
/// So many calls of one client at once are looked after; beyond them the oldest is not waited for.
const MOST_ON_LINE: usize = 32;

impl Desk<'_> {
    pub(super) fn take_call(&mut self, event: &Event, change: &CallChange, now: Timestamp) {
        let slot = event.contact.digest();
        let mut contact = self
            .known
            .contacts
            .remove(&slot)
            .unwrap_or_else(|| new_contact(event, ContactState::Call(Call::default()), now));
        let ContactState::Call(call) = &mut contact.state else {
            // No connector names a call like a mail: it stays in the log and changes nothing.
            self.known.contacts.insert(slot, contact);
            return;
        };
        let mut before = call.clone();
        call.fold(event, change);
        let after = call.clone();
        contact.rev += 1;
        contact.direction = after.direction();
        contact.occurred_at = after.began_at().unwrap_or(event.occurred_at);
        contact.conversation = contact.conversation.map(|id| self.current(id));
        let nobodys = contact.client.is_none();
        self.own(event, &mut contact, now, |desk| {
            desk.client_of(event, after.client_party(), Level::Observed, now)
        });
        if nobodys && contact.client.is_some() && contact.conversation.is_some() {
            self.claim(&mut contact, &before, now);
            before = Call::default();
        }
        let rang_on = rang_on(&before, &after, contact.occurred_at, self.reached_at(contact.client));
        let newly_owed = after.is_owed() && !before.is_owed() || rang_on;
        if contact.conversation.is_none_or(|id| newly_owed && self.is_closed_beside_an_open_one(id)) {
            let left = contact.conversation;
            contact.conversation = self.conversation_for(&contact, event, now);
            if let Some(row) = left.and_then(|id| self.known.conversations.get_mut(&id))
                && row.on_line.remove(&contact.id).is_some()
            {
                let id = row.id;
                self.touch(id, now);
            }
            if rang_on {
                // Nothing was counted for it where it is now.
                before = Call::default();
            }
        }
        self.settle(&contact, &before, &after, now);
        let content = after.content(call_id(&contact));
        let shown = Shown {
            summary: after.summary(),
            content: serde_json::to_string(&content).expect("a call has no map with keys that are not text"),
            name: after.client_party().and_then(|party| party.name.as_deref()),
            reached_out: true,
            line: None,
        };
        self.show(&contact, shown, now);
        self.contacts.note(slot);
        self.known.contacts.insert(slot, contact);
    }

    /// The contact was nobody's until now; what its conversation counted for it is counted again for
    /// its client: in the client's open conversation if there is one, else in the same as before.
    fn claim(&mut self, contact: &mut Contact, before: &Call, now: Timestamp) {
        let (Some(client), Some(id)) = (contact.client, contact.conversation) else { return };
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        if before.is_owed() {
            forgive(conversation);
        }
        let key = (client, conversation.thread.clone());
        let elsewhere = self.open.get(&key).copied().filter(|open| *open != id);
        if let Some(open) = elsewhere {
            // What was done to it was done to the client's: whoever takes their history again must find it.
            conversation.client = Some(client);
            conversation.status = Status::Resolved;
            conversation.continued_in = Some(open);
            conversation.clocks.clear();
            conversation.on_line.clear();
            contact.conversation = None;
            self.touch(id, now);
        } else {
            conversation.client = Some(client);
            if conversation.is_open() {
                self.open.insert(key, id);
            }
        }
    }

    /// The open conversation of the contact's client and thread, else a new one. A call of ours joins
    /// what is open and opens nothing.
    fn conversation_for(
        &mut self,
        contact: &Contact,
        event: &Event,
        now: Timestamp,
    ) -> Option<ConversationId> {
        let key = contact.client.map(|client| (client, PHONE_THREAD.to_owned()));
        if let Some(open) = key.as_ref().and_then(|key| self.open.get(key)) {
            return Some(*open);
        }
        if contact.direction == Direction::Outbound {
            return None;
        }
        Some(self.begin(event, contact.client, PHONE_THREAD.to_owned(), now))
    }

    /// A call that turns out to be owed would open its conversation again; where its client has
    /// another one open by now, the call belongs there.
    fn is_closed_beside_an_open_one(&self, id: ConversationId) -> bool {
        self.known.conversations.get(&id).is_some_and(|conversation| {
            let key = conversation.client.map(|client| (client, conversation.thread.clone()));
            !conversation.is_open() && key.is_some_and(|key| self.open.contains_key(&key))
        })
    }

    /// What the call changes about what we owe.
    fn settle(&mut self, contact: &Contact, before: &Call, after: &Call, now: Timestamp) {
        let client = contact.client;
        if let Some(id) = contact.conversation.filter(|_| contact.direction == Direction::Inbound) {
            self.acted(id, contact.occurred_at);
        }
        self.hold_the_line(contact, after);
        // Who is answered waits no more, however long the talk is; what we owe is done when it is over.
        if let Some(answered) = after.spoken_at().filter(|at| before.spoken_at() != Some(*at)) {
            if let Some(id) = contact.conversation {
                self.answered(id, answered);
            }
            self.spoken_to(client, answered, now);
            self.reached_by_us(client, answered, now);
        }
        self.acquaint(contact, after);
        if after.is_talk()
            && !before.is_talk()
            && let Some(at) = after.ended_at()
        {
            self.reached(client, at, now);
        }
        let Some(id) = contact.conversation else { return };
        let reached_at = self.reached_at(client);
        let began_at = contact.occurred_at;
        let over_at = over_at(after, began_at);
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        let pending = |row: &Conversation| row.callback.as_ref().is_some_and(Callback::is_pending);
        if after.is_owed() && !before.is_owed() {
            if reached_at.is_none_or(|reached| reached < over_at) {
                owe(conversation, began_at, over_at);
            }
        } else if before.is_owed() && !after.is_owed() {
            forgive(conversation);
        } else if after.is_owed() && before.ended_at() != after.ended_at() {
            if let Some(callback) = conversation.callback.as_mut().filter(|callback| callback.is_pending()) {
                callback.last = callback.last.max(Some(over_at));
            } else if rang_on(before, after, began_at, reached_at) {
                owe(conversation, began_at, over_at);
            }
        } else if after.is_attempt()
            && !before.is_attempt()
            && let Some(callback) =
                conversation.callback.as_mut().filter(|callback| callback.done_at.is_none())
        {
            callback.attempts += 1;
        }
        let quiet = conversation.on_line.is_empty();
        let owed = pending(conversation);
        // Nothing is owed and nobody is on the line: nothing waits.
        if !owed && conversation.status == Status::Open && is_over(after) && quiet {
            conversation.status = Status::Resolved;
        }
        conversation.last_entry = Some(contact.entry);
        if contact.direction == Direction::Inbound {
            conversation.last_contact = Some(contact.id);
        }
        if owed {
            self.turn_to_us(id);
        }
        let Some(conversation) = self.known.conversations.get(&id) else { return };
        let (open, thread) = (conversation.is_open(), conversation.thread.clone());
        if let Some(client) = client {
            let key = (client, thread);
            if open {
                self.open.entry(key).or_insert(id);
            } else if self.open.get(&key) == Some(&id) {
                self.open.remove(&key);
            }
        }
    }

    fn reached_at(&self, client: Option<ClientId>) -> Option<Timestamp> {
        self.known.clients.get(&client?)?.reached_at
    }

    /// A call that is not over keeps its conversation open, whatever becomes of others in it.
    fn hold_the_line(&mut self, contact: &Contact, call: &Call) {
        let row = contact.conversation.and_then(|id| self.known.conversations.get_mut(&id));
        let Some(row) = row else { return };
        let seen_at = call.ended_at().unwrap_or(contact.occurred_at);
        row.on_line.retain(|_, began_at| seen_at.duration_since(*began_at) < LONGEST_CALL);
        if is_over(call) {
            row.on_line.remove(&contact.id);
        } else {
            row.on_line.insert(contact.id, contact.occurred_at);
        }
        while row.on_line.len() > MOST_ON_LINE
            && let Some(first) = row.on_line.iter().min_by_key(|(id, at)| (**at, **id)).map(|(id, _)| *id)
        {
            row.on_line.remove(&first);
        }
    }

    /// Who talked with the client knows them. What is told of the call's conversation tells of it; of a call
    /// without one the client is told.
    fn acquaint(&mut self, contact: &Contact, call: &Call) {
        let Some(client) = contact.client.and_then(|id| self.known.clients.get_mut(&id)) else { return };
        let before = client.talks.clone();
        call.talks().for_each(|(extension, at)| client.talks.add(extension, at));
        if client.talks == before {
            return;
        }
        let id = client.id;
        self.clients.note(id);
        // One who is new is told of anyway.
        if contact.conversation.is_none() && client.rev > 0 {
            client.rev += 1;
            let rev = client.rev;
            self.tell(FeedKind::Client, id.uuid(), rev);
        }
    }

    /// A talk answers whatever the client had waited for, on any channel.
    fn spoken_to(&mut self, client: Option<ClientId>, at: Timestamp, now: Timestamp) {
        let Some(client) = client else { return };
        let waits = |row: &&Conversation| {
            row.client == Some(client) && row.is_open() && row.waiting_since.is_some_and(|since| since <= at)
        };
        let mut ids: Vec<_> = self.known.conversations.values().filter(waits).map(|row| row.id).collect();
        ids.sort_unstable();
        for id in ids {
            self.answered(id, at);
            self.touch(id, now);
        }
    }

    /// The client was talked to: every callback owed since before that is done.
    fn reached(&mut self, client: Option<ClientId>, at: Timestamp, now: Timestamp) {
        let Some(client) = client else { return };
        if let Some(row) = self.known.clients.get_mut(&client) {
            row.reached_at = row.reached_at.max(Some(at));
        }
        let mut done = Vec::new();
        for conversation in self.known.conversations.values_mut().filter(|c| c.client == Some(client)) {
            if let Some(callback) = &mut conversation.callback
                && callback.is_settled_by(at)
            {
                callback.done_at = Some(at);
                // Where another call of theirs is on the line, its end decides.
                if conversation.on_line.is_empty() {
                    conversation.status = Status::Resolved;
                }
                done.push((conversation.id, conversation.thread.clone(), conversation.is_open()));
            }
        }
        done.sort_unstable();
        for (id, thread, open) in done {
            let key = (client, thread);
            if !open && self.open.get(&key) == Some(&id) {
                self.open.remove(&key);
            }
            self.touch(id, now);
        }
    }
}

/// The provider's id of the call: the contact's key without its source.
fn call_id(contact: &Contact) -> &str {
    contact
        .key
        .0
        .strip_prefix(contact.source.as_str())
        .map_or(&contact.key.0, |rest| rest.trim_start_matches('/'))
}

/// When a call was over as far as is known, that began then.
fn over_at(call: &Call, began_at: Timestamp) -> Timestamp {
    call.ended_at().unwrap_or(began_at).max(began_at)
}

/// It was thought missed and rang on elsewhere; now it is over and missed, and the client was talked to meanwhile:
/// whatever settled it did so too soon.
fn rang_on(before: &Call, after: &Call, began_at: Timestamp, reached_at: Option<Timestamp>) -> bool {
    let missed = before.is_owed() && after.is_owed() && before.ended_at() != after.ended_at();
    missed && reached_at.is_some_and(|reached| (began_at..over_at(after, began_at)).contains(&reached))
}

/// Nobody of ours is to be waited for in it any more.
fn is_over(call: &Call) -> bool {
    call.ended_at().is_some() || call.is_owed()
}

/// One more missed call: a callback where none is owed, else one more reason for the one that is.
fn owe(conversation: &mut Conversation, began_at: Timestamp, over_at: Timestamp) {
    let last = Some(over_at);
    match conversation.callback.as_mut().filter(|callback| callback.is_pending()) {
        Some(callback) => {
            callback.missed += 1;
            callback.since = callback.since.min(began_at);
            callback.last = callback.last.max(last);
        }
        None => {
            let since = began_at;
            conversation.callback =
                Some(Callback { attempts: 0, missed: 1, since, last, done_at: None, given_up: false });
        }
    }
}

/// A call thought missed was answered after all.
fn forgive(conversation: &mut Conversation) {
    if let Some(callback) = conversation.callback.as_mut().filter(|callback| callback.done_at.is_none()) {
        callback.missed = callback.missed.saturating_sub(1);
        if callback.missed == 0 {
            conversation.callback = None;
        }
    }
}
