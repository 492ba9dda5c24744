//! A store of plain maps.

use std::collections::{HashMap, HashSet};

use contact::EntryId;
use jiff::{SignedDuration, Timestamp};
use timeline::attach::{Mode, attach, wanted};
use timeline::{
    Arrival, Callback, Changes, Client, Contact, Conversation, Entry, FeedItem, Known, Message, Wanted,
};

/// Everything that is projected, sorted.
pub(crate) type Projections = (Vec<Client>, Vec<Contact>, Vec<Conversation>, Vec<Entry>, Vec<Message>);

/// A store that keeps every row in a map and answers what it is asked, no more.
#[derive(Default)]
pub(crate) struct Memory {
    /// Every row there is.
    pub(crate) rows: Known,
    entries: HashMap<EntryId, Entry>,
    pub(crate) feed: Vec<FeedItem>,
    log: Vec<Arrival>,
}

impl Memory {
    pub(crate) fn take(&mut self, events: Vec<Arrival>) {
        let changes = attach(self.read(&wanted(&events)), events, Mode::Live);
        self.apply(changes);
    }

    /// What the port says a store answers.
    fn read(&self, wanted: &Wanted) -> Known {
        let rows = &self.rows;
        let contacts: HashMap<_, _> =
            wanted.contacts.iter().filter_map(|key| Some((*key, rows.contacts.get(key)?.clone()))).collect();
        let holders: HashMap<_, _> = wanted
            .identifiers
            .iter()
            .filter_map(|held| Some((held.clone(), *rows.holders.get(held)?)))
            .collect();
        let whose: HashSet<_> =
            contacts.values().filter_map(|row| row.client).chain(holders.values().map(|(client, _)| *client)).collect();
        let messages: HashMap<_, _> = rows
            .messages
            .iter()
            .filter(|((key, client), _)| wanted.messages.contains(key) && whose.contains(client))
            .map(|(key, row)| (*key, *row))
            .collect();
        let placed: HashSet<_> = contacts
            .values()
            .filter_map(|row| row.conversation)
            .chain(messages.values().map(|row| row.conversation))
            .collect();
        let needed = |row: &&Conversation| {
            placed.contains(&row.id) || row.is_open() && row.client.is_some_and(|id| whose.contains(&id))
        };
        Known {
            events: wanted.events.iter().filter(|key| rows.events.contains(*key)).copied().collect(),
            clients: whose.iter().map(|id| (*id, rows.clients[id].clone())).collect(),
            conversations: rows
                .conversations
                .values()
                .filter(needed)
                .map(|row| (row.id, row.clone()))
                .collect(),
            log_position: rows.log_position,
            feed_position: rows.feed_position,
            contacts,
            holders,
            messages,
            ..Known::default()
        }
    }

    fn apply(&mut self, changes: Changes) {
        for (position, arrival) in changes.log {
            assert_eq!(position, self.rows.log_position + 1, "the log has no gap");
            self.rows.log_position = position;
            self.rows.events.insert(arrival.event.key.digest());
            self.log.push(arrival);
        }
        for item in changes.feed {
            assert_eq!(item.position, self.rows.feed_position + 1, "the feed has no gap");
            self.rows.feed_position = item.position;
            self.feed.push(item);
        }
        self.rows.clients.extend(changes.clients.into_iter().map(|row| (row.id, row)));
        self.rows.holders.extend(changes.holders.into_iter().map(|row| (row.identifier, (row.client, row.level))));
        self.rows.contacts.extend(changes.contacts.into_iter().map(|row| (row.key.digest(), row)));
        self.rows.conversations.extend(changes.conversations.into_iter().map(|row| (row.id, row)));
        self.rows.messages.extend(changes.messages.into_iter().map(|row| ((row.key, row.client), row)));
        self.entries.extend(changes.entries.into_iter().map(|row| (row.id, row)));
    }

    /// The log decided about once more, in an empty store.
    pub(crate) fn replayed(&self) -> Memory {
        let mut again = Memory::default();
        for chunk in self.log.chunks(3) {
            let changes = attach(again.read(&wanted(chunk)), chunk.to_vec(), Mode::Replay);
            assert!(
                changes.log.is_empty() && changes.feed.is_empty(),
                "a replay adds nothing to log or feed"
            );
            again.apply(changes);
        }
        again
    }

    pub(crate) fn projections(&self) -> Projections {
        let mut clients: Vec<_> = self.rows.clients.values().cloned().collect();
        clients.sort_by_key(|row| row.id);
        let mut contacts: Vec<_> = self.rows.contacts.values().cloned().collect();
        contacts.sort_by_key(|row| row.id);
        let mut conversations: Vec<_> = self.rows.conversations.values().cloned().collect();
        conversations.sort_by_key(|row| row.id);
        let mut entries: Vec<_> = self.entries.values().cloned().collect();
        entries.sort_by_key(|row| row.id);
        let mut messages: Vec<_> = self.rows.messages.values().copied().collect();
        messages.sort_by_key(|row| (row.key, row.client));
        (clients, contacts, conversations, entries, messages)
    }

    pub(crate) fn open(&self) -> Vec<&Conversation> {
        self.rows.conversations.values().filter(|conversation| conversation.is_open()).collect()
    }

    pub(crate) fn owed(&self) -> Vec<&Callback> {
        let callbacks = self.rows.conversations.values().filter_map(|row| row.callback.as_ref());
        callbacks.filter(|callback| callback.done_at.is_none()).collect()
    }
}

pub(crate) fn at(minute: i64, second: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_secs(minute * 60 + second)
}
