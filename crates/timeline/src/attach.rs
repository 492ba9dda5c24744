//! The decisions: whose contact it is, which conversation it belongs to, what is owed.
//!
//! Pure. Events are taken one after the other, so the cut into batches decides nothing; whatever needs
//! a clock or a configuration comes with the event (`recorded_at`), so a replay decides the same.

use std::collections::{HashMap, HashSet};

use contact::{
    CallChange, ClientId, ContactId, Content, ConversationId, Direction, EntryId, Event, Identifier,
    Unreadable,
};
use identity::Finding;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::call::Call;
use crate::changed::{Changed, Order};
use crate::model::{
    Arrival, Callback, Client, Contact, ContactState, Conversation, DeadLetter, Entry, EntryKind, FeedItem,
    FeedKind, Holder, LetterState, Status,
};
use crate::port::{Changes, Known, Wanted};

/// All calls with a client are about one matter while it is open.
const PHONE_THREAD: &str = "phone";

/// Whether the decisions are taken for the first time or once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The log grows and every change is numbered in the feed.
    Live,
    /// The log is being read again: only the projections are made.
    Replay,
}

/// What must be known to decide about these events.
pub fn wanted(events: &[Arrival]) -> Wanted {
    let mut seen = HashSet::new();
    let mut wanted = Wanted::default();
    for Arrival { event, .. } in events {
        wanted.events.push(event.key.digest());
        wanted.contacts.push(event.contact.digest());
        for party in event.from.iter().chain(event.to.first()) {
            wanted
                .identifiers
                .extend(party.identifier().filter(|identifier| seen.insert(identifier.clone())));
        }
    }
    wanted.events.sort_unstable();
    wanted.events.dedup();
    wanted.contacts.sort_unstable();
    wanted.contacts.dedup();
    wanted
}

/// Decides about every event in order, on top of what is known. An event that is in the log already
/// changes nothing.
pub fn attach(known: Known, events: Vec<Arrival>, mode: Mode) -> Changes {
    let mut desk = Desk::new(known, mode);
    for arrival in events {
        desk.take(arrival);
    }
    desk.changes()
}

/// What is known, growing with each decision, and what of it has changed.
struct Desk {
    known: Known,
    mode: Mode,
    /// Open conversations by client and thread.
    open: HashMap<(ClientId, String), ConversationId>,
    log: Vec<(i64, Arrival)>,
    feed: Vec<FeedItem>,
    letters: Vec<DeadLetter>,
    holders: Vec<Holder>,
    entries: Changed<EntryId, Entry>,
    clients: Order<ClientId>,
    contacts: Order<[u8; 16]>,
    conversations: Order<ConversationId>,
}

impl Desk {
    fn new(known: Known, mode: Mode) -> Self {
        let open = known
            .conversations
            .values()
            .filter(|conversation| conversation.is_open())
            .filter_map(|c| Some(((c.client?, c.thread.clone()), c.id)))
            .collect();
        Self {
            known,
            mode,
            open,
            log: Vec::new(),
            feed: Vec::new(),
            letters: Vec::new(),
            holders: Vec::new(),
            entries: Changed::default(),
            clients: Order::default(),
            contacts: Order::default(),
            conversations: Order::default(),
        }
    }

    fn take(&mut self, arrival: Arrival) {
        if let Content::Unreadable(why) = &arrival.event.content {
            self.letters.push(letter(&arrival, why));
            return;
        }
        if !self.known.events.insert(arrival.event.key.digest()) {
            return;
        }
        match &arrival.event.content {
            Content::Call(change) => self.take_call(&arrival.event, change, arrival.recorded_at),
            Content::Unreadable(_) => {}
        }
        self.known.log_position += 1;
        if self.mode == Mode::Live {
            self.log.push((self.known.log_position, arrival));
        }
    }

    fn take_call(&mut self, event: &Event, change: &CallChange, now: Timestamp) {
        let slot = event.contact.digest();
        let mut contact = self.known.contacts.remove(&slot).unwrap_or_else(|| new_call(event, now));
        let ContactState::Call(call) = &mut contact.state;
        let mut before = call.clone();
        call.fold(event, change);
        let after = call.clone();
        contact.rev += 1;
        contact.direction = after.direction();
        contact.occurred_at = after.began_at().unwrap_or(event.occurred_at);
        if contact.client.is_none() {
            contact.client = self.client_of(event, &after, now);
            if contact.client.is_some() && contact.conversation.is_some() {
                self.claim(&mut contact, &before, now);
                before = Call::default();
            }
        }
        let newly_owed = after.is_owed() && !before.is_owed();
        if contact.conversation.is_none_or(|id| newly_owed && self.is_closed_beside_an_open_one(id)) {
            contact.conversation = self.conversation_for(&contact, event, now);
        }
        self.settle(&contact, &before, &after, now);
        self.show(&contact, &after, now);
        self.contacts.note(slot);
        self.known.contacts.insert(slot, contact);
    }

    /// The client the call belongs to, made if it has to be.
    fn client_of(&mut self, event: &Event, call: &Call, now: Timestamp) -> Option<ClientId> {
        let party = call.client_party();
        match identity::find(party, |identifier| self.known.holders.get(identifier).copied()) {
            Finding::Nobody => None,
            Finding::Holder(client) => Some(client),
            Finding::Stranger { identifier, level } => {
                let id = ClientId::derived(&event.key, event.received_at);
                let client = Client {
                    id,
                    name: None,
                    segment: None,
                    created_at: now,
                    last_contact_at: event.occurred_at,
                    reached_at: None,
                    rev: 0,
                };
                self.known.clients.insert(id, client);
                self.hold(Holder { identifier, client: id, level, since: now });
                Some(id)
            }
        }
    }

    fn hold(&mut self, holder: Holder) {
        let identifier: Identifier = holder.identifier.clone();
        self.known.holders.insert(identifier, holder.client);
        self.holders.push(holder);
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
        let elsewhere = self.open.get(&key).is_some_and(|open| *open != id);
        if elsewhere {
            conversation.status = Status::Resolved;
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
        let id = ConversationId::derived(&event.key, event.received_at);
        let conversation = Conversation {
            id,
            status: Status::Open,
            client: contact.client,
            thread: PHONE_THREAD.to_owned(),
            channel: event.key.source.channel(),
            queue: "default".to_owned(),
            priority: 50,
            assignee: None,
            opened_at: now,
            updated_at: now,
            due_at: None,
            callback: None,
            last_entry: None,
            rev: 0,
        };
        self.known.conversations.insert(id, conversation);
        if let Some(key) = key {
            self.open.insert(key, id);
        }
        Some(id)
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

    /// Puts the contact's present state on the timeline, and tells everyone what changed.
    fn show(&mut self, contact: &Contact, call: &Call, now: Timestamp) {
        let content = call.content(call_id(contact));
        let entry = Entry {
            id: contact.entry,
            kind: EntryKind::Contact,
            channel: contact.source.channel(),
            direction: contact.direction,
            source: contact.source.clone(),
            trust: contact.trust,
            rev: contact.rev,
            occurred_at: contact.occurred_at,
            recorded_at: contact.recorded_at,
            client: contact.client,
            contact: contact.id,
            conversation: contact.conversation,
            agent: None,
            summary: call.summary(),
            content: serde_json::to_string(&content).expect("a call has no map with keys that are not text"),
        };
        self.entries.put(entry.id, entry);
        if let Some(id) = contact.client
            && let Some(client) = self.known.clients.get_mut(&id)
        {
            let shown = call.client_party().and_then(|party| party.name.as_deref());
            let name = identity::name_after(client.name.as_deref(), shown);
            client.last_contact_at = client.last_contact_at.max(contact.occurred_at);
            self.clients.note(id);
            if client.rev == 0 || name != client.name {
                client.name = name;
                client.rev += 1;
                let rev = client.rev;
                self.tell(FeedKind::Client, id.uuid(), rev);
            }
        }
        self.tell(FeedKind::Entry, contact.entry.uuid(), contact.rev);
        if let Some(id) = contact.conversation {
            self.touch(id, now);
        }
    }

    /// One more revision of a conversation, told to everyone.
    fn touch(&mut self, id: ConversationId, now: Timestamp) {
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        conversation.rev += 1;
        conversation.updated_at = now;
        let rev = conversation.rev;
        self.conversations.note(id);
        self.tell(FeedKind::Conversation, id.uuid(), rev);
    }

    fn tell(&mut self, kind: FeedKind, id: Uuid, rev: i64) {
        if self.mode == Mode::Live {
            self.known.feed_position += 1;
            self.feed.push(FeedItem { position: self.known.feed_position, kind, id, rev });
        }
    }

    fn changes(mut self) -> Changes {
        Changes {
            log: self.log,
            clients: self.clients.take(&mut self.known.clients),
            holders: self.holders,
            contacts: self.contacts.take(&mut self.known.contacts),
            entries: self.entries.rows(),
            conversations: self.conversations.take(&mut self.known.conversations),
            feed: self.feed,
            letters: self.letters,
        }
    }
}

fn new_call(event: &Event, now: Timestamp) -> Contact {
    Contact {
        id: ContactId::derived(&event.key, event.received_at),
        key: event.contact.clone(),
        source: event.key.source.clone(),
        direction: event.direction,
        trust: event.trust,
        client: None,
        conversation: None,
        entry: EntryId::derived(&event.key, event.received_at),
        rev: 0,
        state: ContactState::Call(Call::default()),
        occurred_at: event.occurred_at,
        recorded_at: now,
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

fn letter(arrival: &Arrival, why: &Unreadable) -> DeadLetter {
    DeadLetter {
        id: letter_id(arrival.payload.as_bytes(), &arrival.event.key.digest()),
        source: Some(arrival.event.key.source.clone()),
        received_at: arrival.event.received_at,
        reason: why.reason.clone(),
        field: why.field.clone(),
        payload: arrival.payload.clone().into_bytes(),
        state: LetterState::Open,
    }
}

/// An undecodable message is known by its bytes; an event that could not be read, by its key, so that
/// the same request sent twice is one letter.
pub(crate) fn letter_id(payload: &[u8], key: &[u8]) -> String {
    let full: [u8; 32] = if key.is_empty() { Sha256::digest(payload) } else { Sha256::digest(key) }.into();
    hex::encode(&full[..16])
}
