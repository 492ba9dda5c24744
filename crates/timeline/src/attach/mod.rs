//! The decisions: whose contact it is, which conversation it belongs to, what is owed.
//!
//! Pure. Events are taken one after the other, so the cut into batches decides nothing; whatever needs
//! a clock or a configuration comes with the event (`recorded_at`), so a replay decides the same.
//! What is common to all channels is here; `call`, `email` and `chat` decide about their own, `act` about what
//! we do ourselves, `reply` about our answers, `proof` and `merge` about who is who.

mod act;
mod again;
mod call;
mod chat;
mod email;
mod merge;
mod proof;
mod reply;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use contact::work::USUAL_QUEUE;
use contact::{
    Actor, ClientId, ContactId, Content, ConversationId, Deed, EntryId, Event, Identifier, Level, Party,
    Priority, ReservationId, Unreadable,
};
use identity::Finding;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::again::Again;
use self::work::Stood;
use crate::changed::{Changed, Order};
use crate::model::{
    Apart, Arrival, ChatLine, Claim, Client, Contact, ContactState, Conversation, DeadLetter, Entry,
    EntryKind, FeedItem, FeedKind, Holder, LetterState, Merge, Message, Preferences, Status,
};
use crate::policy::Policy;
use crate::port::{Changes, Known, Wanted};
use crate::{mail, stage};

pub(crate) use again::{attach_again, founders};
pub(crate) use proof::ordered;
pub(crate) use reply::{Route, route};

/// Whether the decisions are taken for the first time or once more.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'p> {
    /// The log grows, every change is numbered in the feed, and what is new is decided by this policy.
    Live(&'p Policy),
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
        let mut named: Vec<&Party> = event.from.iter().chain(event.to.first()).collect();
        match &event.content {
            Content::Email(email) => {
                wanted.messages.extend(mail::own(email).into_iter().chain(mail::answered(email)));
                wanted.replies.extend(mail::answer_reported(email));
            }
            Content::Chat(change) => {
                wanted.chats.extend(event.from.as_ref().and_then(|party| party.value.clone()));
                wanted.proofs |= !change.proved.is_empty();
                named.extend(change.proved.iter().chain(&change.claimed));
            }
            Content::Reply(change) => {
                wanted.replies.push(change.reply);
                wanted.messages.extend(change.message_id.as_deref().map(mail::message_key));
            }
            Content::Act(act) => {
                // Whoever takes a conversation by this has something new.
                if let Actor::Agent(name) = &act.by {
                    wanted.agents.push(name.clone());
                }
                act_wants(&act.deed, &mut wanted);
            }
            Content::Call(_) | Content::Unreadable(_) => {}
        }
        for party in named {
            wanted
                .identifiers
                .extend(party.identifier().filter(|identifier| seen.insert(identifier.clone())));
        }
    }
    for list in [&mut wanted.events, &mut wanted.contacts, &mut wanted.messages] {
        list.sort_unstable();
        list.dedup();
    }
    for list in [&mut wanted.chats, &mut wanted.agents] {
        list.sort_unstable();
        list.dedup();
    }
    wanted
}

fn act_wants(deed: &Deed, wanted: &mut Wanted) {
    match deed {
        Deed::Merge { survivor, absorbed, .. } => {
            wanted.clients.extend([*survivor, *absorbed]);
            wanted.proofs = true;
        }
        Deed::KeepApart { clients, .. } => wanted.clients.extend(clients),
        Deed::Unmerge { merge, .. } => wanted.merges.push(*merge),
        Deed::Move { contact, client, .. } => {
            wanted.contact_ids.push(*contact);
            wanted.clients.extend(client);
        }
        Deed::Note { client, conversation, .. } => {
            wanted.clients.push(*client);
            wanted.conversations.extend(conversation);
        }
        Deed::Change { client, .. } => wanted.clients.push(*client),
        Deed::Reply { conversation, .. }
        | Deed::Claim { conversation }
        | Deed::Resolve { conversation }
        | Deed::Reopen { conversation }
        | Deed::Snooze { conversation, .. }
        | Deed::Wake { conversation }
        | Deed::OweCall { conversation, .. }
        | Deed::CallDone { conversation }
        | Deed::Route { conversation, .. }
        | Deed::Reckon { conversation, .. }
        | Deed::Notify { conversation, .. } => wanted.conversations.push(*conversation),
        Deed::Assign { conversation, to } => {
            wanted.conversations.push(*conversation);
            wanted.agents.extend(to.clone());
        }
        Deed::Offer { conversation, agent, .. } | Deed::Return { conversation, agent, .. } => {
            wanted.conversations.push(*conversation);
            wanted.agents.push(agent.clone());
        }
        Deed::EndOffer { reservation, conversation, .. }
        | Deed::Accept { reservation, conversation }
        | Deed::Decline { reservation, conversation, .. } => {
            wanted.conversations.push(*conversation);
            wanted.reservations.push(*reservation);
        }
        Deed::Engage { agent, .. } | Deed::Appear { agent, .. } | Deed::Connect { agent, .. } => {
            wanted.agents.push(agent.clone());
        }
        Deed::Introduce(introduction) => {
            wanted.clients.push(introduction.client);
            wanted.identifiers.push(introduction.known_as.clone());
            wanted.identifiers.extend(introduction.identifiers.iter().cloned());
            wanted.proofs = true;
        }
        Deed::ReplyByMail { reply, .. } | Deed::LetBe { reply, .. } => wanted.replies.push(*reply),
    }
}

/// Decides about every event in order, on top of what is known. An event that is in the log already
/// changes nothing.
pub fn attach(known: Known, events: Vec<Arrival>, mode: Mode<'_>) -> Changes {
    let mut desk = Desk::new(known, mode);
    for arrival in events {
        desk.take(arrival);
    }
    desk.changes()
}

/// What is known, growing with each decision, and what of it has changed.
struct Desk<'p> {
    known: Known,
    mode: Mode<'p>,
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
    messages: Vec<Message>,
    chats: BTreeSet<String>,
    lines: Vec<ChatLine>,
    replies: Order<EntryId>,
    claims: Vec<Claim>,
    merges: Vec<Merge>,
    aparts: Vec<Apart>,
    absorbed: Vec<(ClientId, ClientId)>,
    agents: BTreeSet<String>,
    reservations: Order<ReservationId>,
    /// What the conversations were like before they changed.
    stood: HashMap<ConversationId, Stood>,
    /// Conversations that the event in hand began, and those whose promises it bears on.
    begun: Vec<ConversationId>,
    stirred: BTreeSet<ConversationId>,
    /// What follows from the event in hand, to be taken next.
    decisions: Vec<Arrival>,
    again: Option<Again>,
}

/// What of a contact is put on the timeline.
struct Shown<'a> {
    summary: String,
    /// JSON, by channel.
    content: String,
    /// What the channel calls the client.
    name: Option<&'a str>,
    /// It was the client or one of us; machine mail is neither.
    reached_out: bool,
    /// Of a contact of many entries: this one, and when it was.
    line: Option<(EntryId, Timestamp)>,
}

impl<'p> Desk<'p> {
    fn new(known: Known, mode: Mode<'p>) -> Self {
        let open = known
            .conversations
            .values()
            .filter(|conversation| conversation.is_open())
            .filter_map(|c| Some(((c.client?, c.thread.clone()), c.id)))
            .collect();
        let stood = known.conversations.values().map(|row| (row.id, Stood::of(row))).collect();
        Self {
            known,
            mode,
            open,
            agents: BTreeSet::new(),
            reservations: Order::default(),
            stood,
            begun: Vec::new(),
            stirred: BTreeSet::new(),
            log: Vec::new(),
            feed: Vec::new(),
            letters: Vec::new(),
            holders: Vec::new(),
            entries: Changed::default(),
            clients: Order::default(),
            contacts: Order::default(),
            conversations: Order::default(),
            messages: Vec::new(),
            chats: BTreeSet::new(),
            lines: Vec::new(),
            replies: Order::default(),
            claims: Vec::new(),
            merges: Vec::new(),
            aparts: Vec::new(),
            absorbed: Vec::new(),
            decisions: Vec::new(),
            again: None,
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
            Content::Email(email) => self.take_email(&arrival.event, email, arrival.recorded_at),
            Content::Chat(change) => self.take_chat(&arrival.event, change, arrival.recorded_at),
            Content::Reply(change) => self.take_reply(&arrival.event, change),
            Content::Act(act) => self.take_act(&arrival.event, act, arrival.recorded_at),
            Content::Unreadable(_) => {}
        }
        self.decide_work(&arrival.event, arrival.recorded_at);
        self.known.log_position += 1;
        if matches!(self.mode, Mode::Live(_)) {
            self.log.push((self.known.log_position, arrival));
        }
        for decision in std::mem::take(&mut self.decisions) {
            self.take(decision);
        }
    }

    /// The client a party of the event is, made if it has to be.
    fn client_of(
        &mut self,
        event: &Event,
        party: Option<&Party>,
        level: Level,
        now: Timestamp,
    ) -> Option<ClientId> {
        match identity::find(party, |identifier| self.known.holders.get(identifier).copied()) {
            Finding::Nobody => None,
            Finding::Holder { client, identifier, level: known } => {
                if known < level {
                    self.hold(Holder { identifier, client, level, since: now });
                }
                Some(client)
            }
            Finding::Stranger { identifier } => {
                let id = ClientId::derived(&event.key, event.received_at);
                self.known.clients.entry(id).or_insert_with(|| blank_client(id, event, now));
                self.hold(Holder { identifier, client: id, level, since: now });
                Some(id)
            }
        }
    }

    fn hold(&mut self, holder: Holder) {
        let identifier: Identifier = holder.identifier.clone();
        let had = self.known.holders.insert(identifier.clone(), (holder.client, holder.level));
        if had.is_none() {
            self.known.holdings.entry(holder.client).or_default().push(identifier);
        }
        self.holders.push(holder);
    }

    /// A new open conversation of this client and thread.
    fn begin(
        &mut self,
        event: &Event,
        client: Option<ClientId>,
        thread: String,
        now: Timestamp,
    ) -> ConversationId {
        let id = ConversationId::derived(&event.key, event.received_at);
        if let Some(client) = client {
            self.open.insert((client, thread.clone()), id);
        }
        let conversation = Conversation {
            id,
            status: Status::Open,
            client,
            thread,
            channel: event.key.source.channel(),
            queue: USUAL_QUEUE.to_owned(),
            priority: i32::from(Priority::USUAL.get()),
            assignee: None,
            opened_at: now,
            updated_at: now,
            routing: None,
            clocks: BTreeMap::new(),
            waiting_since: None,
            handed_at: now,
            snoozed_until: None,
            assigned_at: None,
            answered_at: None,
            last_answer_at: None,
            resolved_at: None,
            due_at: None,
            wake_at: None,
            rank: None,
            callback: None,
            last_entry: None,
            last_contact: None,
            continued_in: None,
            rev: 0,
        };
        self.known.conversations.insert(id, conversation);
        self.begun.push(id);
        id
    }

    /// Puts the contact's present state on the timeline, and tells everyone what changed.
    fn show(&mut self, contact: &Contact, shown: Shown<'_>, now: Timestamp) {
        let (id, rev, occurred_at) = match shown.line {
            Some((id, at)) => (id, 1, at),
            None => (contact.entry, contact.rev, contact.occurred_at),
        };
        let entry = Entry {
            id,
            kind: EntryKind::Contact,
            channel: contact.source.channel(),
            direction: contact.direction,
            source: contact.source.clone(),
            trust: contact.trust,
            rev,
            occurred_at,
            recorded_at: if shown.line.is_some() { now } else { contact.recorded_at },
            client: contact.client,
            contact: Some(contact.id),
            conversation: contact.conversation,
            agent: None,
            summary: shown.summary,
            content: shown.content,
        };
        self.entries.put(entry.id, entry);
        if let Some(client_id) = contact.client
            && let Some(client) = self.known.clients.get_mut(&client_id)
        {
            let name = identity::name_after(client.name.as_deref(), shown.name);
            if shown.reached_out {
                if client.rev > 0 && stage::wins_back(client, occurred_at) {
                    client.won_back_at = client.won_back_at.max(Some(occurred_at));
                }
                client.last_contact_at = client.last_contact_at.max(occurred_at);
            }
            self.clients.note(client_id);
            if client.rev == 0 || name != client.name {
                client.name = name;
                client.rev += 1;
                let rev = client.rev;
                self.tell(FeedKind::Client, client_id.uuid(), rev);
            }
        }
        self.tell(FeedKind::Entry, id.uuid(), rev);
        if let Some(id) = contact.conversation {
            self.touch(id, now);
        }
    }

    /// A client of whom nothing is shown yet is written all the same.
    fn note_client(&mut self, id: ClientId) {
        self.clients.note(id);
        if let Some(client) = self.known.clients.get_mut(&id).filter(|client| client.rev == 0) {
            client.rev = 1;
            self.tell(FeedKind::Client, id.uuid(), 1);
        }
    }

    /// One more revision of a conversation, told to everyone.
    fn touch(&mut self, id: ConversationId, now: Timestamp) {
        self.follow(id, now);
        let Some(conversation) = self.known.conversations.get_mut(&id) else { return };
        conversation.rev += 1;
        conversation.updated_at = now;
        let rev = conversation.rev;
        self.conversations.note(id);
        self.tell(FeedKind::Conversation, id.uuid(), rev);
    }

    fn tell(&mut self, kind: FeedKind, id: Uuid, rev: i64) {
        if matches!(self.mode, Mode::Live(_)) {
            self.known.feed_position += 1;
            self.feed.push(FeedItem { position: self.known.feed_position, kind, id, rev });
        }
    }

    fn changes(mut self) -> Changes {
        // Of an identifier that came to be known better, the last word.
        let mut held = HashSet::new();
        self.holders.reverse();
        self.holders.retain(|row| held.insert(row.identifier.clone()));
        self.holders.reverse();
        // Of a claim that was made twice, the earlier.
        self.claims.sort_by(|one, other| {
            let key = |row: &Claim| (row.identifier.clone(), row.client, row.since, row.reason.clone());
            key(one).cmp(&key(other))
        });
        self.claims.dedup_by(|next, kept| (&next.identifier, next.client) == (&kept.identifier, kept.client));
        let conversations = self.settled_conversations();
        Changes {
            log: self.log,
            clients: self.clients.take(&mut self.known.clients),
            holders: self.holders,
            contacts: self.contacts.take(&mut self.known.contacts),
            entries: self.entries.rows(),
            conversations,
            messages: self.messages,
            claims: self.claims,
            merges: self.merges,
            relocations: Vec::new(),
            aparts: self.aparts,
            chats: self.chats.iter().filter_map(|visitor| self.known.chats.remove(visitor)).collect(),
            chat_lines: self.lines,
            replies: self.replies.take(&mut self.known.replies),
            absorbed: self.absorbed,
            agents: self.agents.iter().filter_map(|name| self.known.agents.remove(name)).collect(),
            reservations: self.reservations.take(&mut self.known.reservations),
            feed: self.feed,
            letters: self.letters,
        }
    }
}

impl Desk<'_> {
    fn settled_conversations(&mut self) -> Vec<Conversation> {
        let mut rows = std::mem::take(&mut self.conversations).take(&mut self.known.conversations);
        rows.iter_mut().for_each(Conversation::settle);
        rows
    }
}

/// A client of whom nothing is known yet.
fn blank_client(id: ClientId, event: &Event, now: Timestamp) -> Client {
    Client {
        id,
        name: None,
        segment: None,
        value: None,
        owner: None,
        known_by: None,
        created_at: now,
        last_contact_at: event.occurred_at,
        won_back_at: None,
        reached_at: None,
        preferences: Preferences::default(),
        merged_into: None,
        rev: 0,
    }
}

/// A contact of which nothing is known yet.
fn new_contact(event: &Event, state: ContactState, now: Timestamp) -> Contact {
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
        state,
        occurred_at: event.occurred_at,
        recorded_at: now,
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
