//! The decisions: whose contact it is, which conversation it belongs to, what is owed.
//!
//! Pure. Events are taken one after the other, so the cut into batches decides nothing; whatever needs
//! a clock or a configuration comes with the event (`recorded_at`), so a replay decides the same.
//! What is common to all channels is here; `call`, `email` and `chat` decide about their own, `act` about what
//! we do ourselves, `reply` about our answers, `promises` about what is owed, `proof` and `merge` about who is who.
//! `wanted` says what must be known beforehand, `show` what everybody sees of a decision.

mod act;
mod again;
mod call;
mod chat;
mod email;
mod letter;
mod merge;
mod promises;
mod proof;
mod reply;
mod show;
mod wanted;
mod work;

use std::collections::{BTreeSet, HashMap, HashSet};

use contact::{
    ClientId, ContactId, Content, ConversationId, EntryId, Event, Identifier, Level, Party, ReservationId,
};
use identity::Finding;
use jiff::Timestamp;

use self::again::Again;
use self::letter::letter;
use self::show::Shown;
use self::work::Stood;
use crate::changed::{Changed, Order};
use crate::model::{
    Apart, Arrival, ChatLine, Claim, Client, Contact, ContactState, Conversation, DeadLetter, Entry,
    FeedItem, Holder, Merge, Message,
};
use crate::policy::Policy;
use crate::port::{Changes, Known};

pub use wanted::wanted;

pub(crate) use again::{attach_again, founders};
pub(crate) use letter::letter_id;
pub(crate) use proof::ordered;
pub(crate) use reply::{Route, route};
pub(crate) use work::way;

/// Whether the decisions are taken for the first time or once more.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'p> {
    /// The log grows, every change is numbered in the feed, and what is new is decided by this policy.
    Live(&'p Policy),
    /// The log is being read again: only the projections are made.
    Replay,
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
    /// Conversations that the event in hand began, those it turned to us, and those whose promises it bears on.
    begun: Vec<ConversationId>,
    turned: BTreeSet<ConversationId>,
    stirred: BTreeSet<ConversationId>,
    /// What follows from the event in hand, to be taken next.
    decisions: Vec<Arrival>,
    again: Option<Again>,
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
            turned: BTreeSet::new(),
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
            Content::Reply(change) => self.take_reply(&arrival.event, change, arrival.recorded_at),
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
                self.meet_client(id, event, now);
                self.hold(Holder { identifier, client: id, level, since: now });
                Some(id)
            }
        }
    }

    /// Whoever is not known yet is from here on.
    fn meet_client(&mut self, id: ClientId, event: &Event, now: Timestamp) {
        let blank = || Client { last_contact_at: event.occurred_at, ..Client::new(id, now) };
        self.known.clients.entry(id).or_insert_with(blank);
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
        let channel = event.key.source.channel();
        let conversation = Conversation::new(id, client, thread, channel, now);
        self.known.conversations.insert(id, conversation);
        self.begun.push(id);
        id
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
