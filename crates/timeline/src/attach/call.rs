//! Calls: which conversation they belong to, and the callbacks that are owed for them.

use contact::{CallChange, ClientId, ConversationId, Direction, Event, Level};
use jiff::Timestamp;

use super::{Desk, Shown, new_contact};
use crate::call::Call;
use crate::model::{Callback, Contact, ContactState, Conversation, Status};

/// All calls with a client are about one matter while it is open.
const PHONE_THREAD: &str = "phone";

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
        let newly_owed = after.is_owed() && !before.is_owed();
        if contact.conversation.is_none_or(|id| newly_owed && self.is_closed_beside_an_open_one(id)) {
            contact.conversation = self.conversation_for(&contact, event, now);
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
        // Who is answered waits no more, however long the talk is; what we owe is done when it is over.
        if let Some(answered) = after.spoken_at().filter(|at| before.spoken_at() != Some(*at)) {
            if let Some(id) = contact.conversation {
                self.answered(id, answered);
            }
            self.spoken_to(client, answered, now);
            self.reached_by_us(client, answered, now);
        }
        if after.is_talk()
            && !before.is_talk()
            && let Some(at) = after.ended_at()
        {
            self.reached(client, at, now);
        }
        let Some(id) = contact.conversation else { return };
        let reached_later = client
            .and_then(|client| self.known.clients.get(&client)?.reached_at)
            .is_some_and(|reached| reached >= contact.occurred_at);
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        if after.is_owed() && !before.is_owed() && !reached_later {
            owe(conversation, contact.occurred_at);
        } else if before.is_owed() && !after.is_owed() {
            forgive(conversation);
        } else if after.is_attempt()
            && !before.is_attempt()
            && let Some(callback) =
                conversation.callback.as_mut().filter(|callback| callback.done_at.is_none())
        {
            callback.attempts += 1;
        }
        let pending = conversation.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
        let over = after.ended_at().is_some() || after.is_owed();
        conversation.status = match conversation.status {
            _ if pending => Status::Open,
            // Nothing is owed and nobody is on the line: nothing waits.
            Status::Open if over => Status::Resolved,
            other => other,
        };
        conversation.last_entry = Some(contact.entry);
        if contact.direction == Direction::Inbound {
            conversation.last_contact = Some(contact.id);
        }
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
                && callback.done_at.is_none()
                && callback.since <= at
            {
                callback.done_at = Some(at);
                conversation.status = Status::Resolved;
                done.push((conversation.id, conversation.thread.clone()));
            }
        }
        done.sort_unstable();
        for (id, thread) in done {
            if self.open.get(&(client, thread.clone())) == Some(&id) {
                self.open.remove(&(client, thread));
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

/// One more missed call: a callback where none is owed, else one more reason for the one that is.
fn owe(conversation: &mut Conversation, at: Timestamp) {
    match conversation.callback.as_mut().filter(|callback| callback.done_at.is_none()) {
        Some(callback) => {
            callback.missed += 1;
            callback.since = callback.since.min(at);
        }
        None => conversation.callback = Some(Callback { attempts: 0, missed: 1, since: at, done_at: None }),
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
