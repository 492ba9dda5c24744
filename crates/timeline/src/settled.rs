//! What was made of a history when it was taken again, put where the rows stand that were made of it before.
//!
//! A row that says the same stays as it is; one that differs has the next `rev`, so whoever follows sees it.
//! What is not made any more leads to what took its place, and what cannot be made any more stays.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use contact::{ClientId, ConversationId, EntryId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{Client, Contact, ContactState, Conversation, Entry, FeedKind, Reply, Status};
use crate::port::Changes;

/// What stands.
pub(crate) struct Standing<'a> {
    pub(crate) present: &'a Changes,
    /// Conversations of nobody that are made too.
    pub(crate) beside: &'a HashMap<ConversationId, Conversation>,
    /// The contact whose event founded a client or a conversation.
    pub(crate) founders: &'a HashMap<Uuid, [u8; 16]>,
}

/// A change that is told to those who follow: what, which, and its `rev`.
pub(crate) type Told = (FeedKind, Uuid, i64);

/// All rows of the clients concerned as they are to stand, and which of them differ.
pub(crate) fn settled(made: Changes, standing: &Standing<'_>, now: Timestamp) -> (Changes, Vec<Told>) {
    let present = standing.present;
    let mut told = Vec::new();
    let clients = clients(&made, standing, &mut told);
    let conversations = conversations(&made, standing, now, &mut told);
    let mut entries = Entries {
        made: made.entries.into_iter().map(|row| (row.id, row)).collect(),
        present: present.entries.iter().map(|row| (row.id, row)).collect(),
        rows: Vec::new(),
        told,
    };
    let before = by(&present.contacts, |row| row.id);
    let contacts = made.contacts.into_iter().map(|row| {
        let known = before.get(&row.id).copied();
        match row.state {
            // Its entry is a fold of its own facts, and counts with it.
            ContactState::Call(_) | ContactState::Email(_) => entries.settle(row.entry, row, known),
            ContactState::Chat(_) => row.next_to(known),
        }
    });
    let contacts: Vec<Contact> = contacts.collect();
    let before = by(&present.replies, |row| row.id);
    let replies = made.replies.into_iter().map(|row| {
        let known = before.get(&row.id).copied();
        entries.settle(row.id, row, known)
    });
    let replies: Vec<Reply> = replies.collect();
    entries.settle_rest();
    let changes = Changes {
        clients,
        holders: made.holders,
        contacts: with_rest(contacts, &present.contacts, |row| row.id),
        entries: with_rest(entries.rows, &present.entries, |row| row.id),
        conversations,
        messages: made.messages,
        claims: made.claims,
        merges: made.merges,
        aparts: made.aparts,
        chats: with_rest(made.chats, &present.chats, |row| row.visitor.clone()),
        chat_lines: with_rest(made.chat_lines, &present.chat_lines, |row| (row.visitor.clone(), row.seq)),
        replies: with_rest(replies, &present.replies, |row| row.id),
        ..Changes::default()
    };
    (changes, entries.told)
}

/// A row that counts its changes.
trait Counted: Clone + PartialEq {
    fn rev(&mut self) -> &mut i64;

    /// It says the same as the one that stands.
    fn says(&self, known: &Self) -> bool {
        let (mut one, mut other) = (self.clone(), known.clone());
        (*one.rev(), *other.rev()) = (0, 0);
        one == other
    }

    /// The one that stands if it says the same, else this one as the next after it.
    fn next_to(mut self, known: Option<&Self>) -> Self {
        let Some(known) = known else { return self };
        if self.says(known) {
            return known.clone();
        }
        *self.rev() = *known.clone().rev() + 1;
        self
    }
}

macro_rules! counted {
    ($($Row:ty),+) => { $(impl Counted for $Row {
        fn rev(&mut self) -> &mut i64 {
            &mut self.rev
        }
    })+ };
}
counted!(Client, Contact, Conversation, Entry, Reply);

/// Entries, and which of them are done.
struct Entries<'a> {
    made: BTreeMap<EntryId, Entry>,
    present: HashMap<EntryId, &'a Entry>,
    rows: Vec<Entry>,
    told: Vec<Told>,
}

impl Entries<'_> {
    /// A row and the entry that shows it, which have one `rev`.
    fn settle<T: Counted>(&mut self, id: EntryId, mut row: T, known: Option<&T>) -> T {
        let shown = self.made.remove(&id);
        let stood = self.present.get(&id).copied();
        let same = known.is_some_and(|known| row.says(known))
            && shown.as_ref().zip(stood).is_none_or(|(shown, stood)| shown.says(stood));
        if let (true, Some(known)) = (same, known) {
            self.rows.extend(stood.cloned());
            return known.clone();
        }
        if let Some(known) = known {
            let last = stood.map_or(0, |stood| stood.rev).max(*known.clone().rev());
            *row.rev() = last + 1;
        }
        if let Some(shown) = shown {
            let rev = *row.rev();
            self.told.push((FeedKind::Entry, id.uuid(), rev));
            self.rows.push(Entry { rev, ..shown });
        }
        row
    }

    /// The lines of chats, notes, changes.
    fn settle_rest(&mut self) {
        for (id, made) in std::mem::take(&mut self.made) {
            let stood = self.present.get(&id).copied();
            let row = made.next_to(stood);
            if stood.is_none_or(|stood| stood.rev != row.rev) {
                self.told.push((FeedKind::Entry, id.uuid(), row.rev));
            }
            self.rows.push(row);
        }
    }
}

fn clients(made: &Changes, standing: &Standing<'_>, told: &mut Vec<Told>) -> Vec<Client> {
    let before = by(&standing.present.clients, |row| row.id);
    let places = places(made);
    let mut rows: BTreeMap<ClientId, Client> = made.clients.iter().map(|row| (row.id, row.clone())).collect();
    for (id, stood) in &before {
        rows.entry(*id).or_insert_with(|| {
            // Whoever this was is who has what made them.
            let founder = standing.founders.get(&id.uuid()).and_then(|slot| places.get(slot)?.client);
            Client { merged_into: founder.or(stood.merged_into), ..(*stood).clone() }
        });
    }
    rows.into_values()
        .map(|row| {
            let stood = before.get(&row.id).copied();
            let row = row.next_to(stood);
            if stood.is_none_or(|stood| stood.rev != row.rev) {
                told.push((FeedKind::Client, row.id.uuid(), row.rev));
            }
            row
        })
        .collect()
}

fn conversations(
    made: &Changes,
    standing: &Standing<'_>,
    now: Timestamp,
    told: &mut Vec<Told>,
) -> Vec<Conversation> {
    let before = by(&standing.present.conversations, |row| row.id);
    let places = places(made);
    let mut rows: BTreeMap<ConversationId, Conversation> =
        made.conversations.iter().map(|row| (row.id, row.clone())).collect();
    for (id, stood) in &before {
        if rows.contains_key(id) {
            continue;
        }
        let place = standing.founders.get(&id.uuid()).and_then(|slot| places.get(slot)?.conversation);
        let place = place.map(|place| {
            // What it goes on in may itself go on elsewhere.
            let next = |id: &ConversationId| rows.get(id)?.continued_in;
            std::iter::successors(Some(place), next).last().unwrap_or(place)
        });
        let client = place.and_then(|place| rows.get(&place)?.client).or(stood.client);
        let gone = Conversation {
            status: Status::Resolved,
            client,
            continued_in: place,
            callback: None,
            clocks: BTreeMap::new(),
            on_line: BTreeMap::new(),
            due_at: None,
            wake_at: None,
            rank: None,
            ..(*stood).clone()
        };
        rows.insert(*id, gone);
    }
    let settled = rows.into_values().filter_map(|row| {
        let stood = before.get(&row.id).copied().or_else(|| standing.beside.get(&row.id));
        let Some(stood) = stood else {
            told.push((FeedKind::Conversation, row.id.uuid(), row.rev));
            return Some(row);
        };
        if !before.contains_key(&row.id) && row.client.is_none() && stood.client.is_none() {
            // It was nobody's and is nobody's: nothing of it was taken again.
            return None;
        }
        let row = Conversation { updated_at: stood.updated_at, ..row }.next_to(Some(stood));
        if row.rev == stood.rev {
            return Some(row);
        }
        told.push((FeedKind::Conversation, row.id.uuid(), row.rev));
        Some(Conversation { updated_at: now, ..row })
    });
    settled.collect()
}

fn places(made: &Changes) -> HashMap<[u8; 16], &Contact> {
    made.contacts.iter().map(|row| (row.key.digest(), row)).collect()
}

fn by<T, K: Eq + Hash>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, &T> {
    rows.iter().map(|row| (key(row), row)).collect()
}

/// These rows, and those that stand and were not made again: what made them is not in the log any more.
fn with_rest<T: Clone, K: Eq + Hash>(mut rows: Vec<T>, present: &[T], key: impl Fn(&T) -> K) -> Vec<T> {
    let made: HashSet<K> = rows.iter().map(&key).collect();
    rows.extend(present.iter().filter(|row| !made.contains(&key(row))).cloned());
    rows
}
