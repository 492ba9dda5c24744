//! A transaction over the rows in memory: what is written is seen when it is committed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contact::{ClientId, ContactId, ConversationId};
use jiff::Timestamp;
use timeline::port::{Changes, Digests, History, Known, StoreError, Ties, Tx, Wanted, Work, WorkOf};
use timeline::{Contact, FeedItem, Logged};

use super::Rows;

pub(super) struct MemoryTx {
    rows: Arc<Mutex<Rows>>,
    changes: Vec<Changes>,
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

impl MemoryTx {
    pub(super) fn new(rows: Arc<Mutex<Rows>>, guard: tokio::sync::OwnedMutexGuard<()>) -> Self {
        Self { rows, changes: Vec::new(), _guard: guard }
    }
}

#[async_trait]
impl Tx for MemoryTx {
    async fn read(&mut self, wanted: &Wanted) -> Result<Known, StoreError> {
        let rows = self.rows.lock().unwrap();
        let mut contacts: HashMap<_, _> =
            wanted.contacts.iter().filter_map(|key| Some((*key, rows.contacts.get(key)?.clone()))).collect();
        let holders: HashMap<_, _> = wanted
            .identifiers
            .iter()
            .filter_map(|identifier| Some((identifier.clone(), rows.holders.get(identifier)?)))
            .map(|(identifier, holder)| (identifier, (holder.client, holder.level)))
            .collect();
        let asked: Vec<_> = wanted.conversations.iter().filter_map(|id| rows.conversations.get(id)).collect();
        let ids: HashSet<ClientId> = contacts
            .values()
            .filter_map(|row: &Contact| row.client)
            .chain(holders.values().map(|(client, _)| *client))
            .chain(asked.iter().filter_map(|row| row.client))
            .chain(wanted.clients.iter().copied())
            .collect();
        let messages: HashMap<_, _> = rows
            .messages
            .iter()
            .filter(|((key, client), _)| wanted.messages.contains(key) && ids.contains(client))
            .map(|(key, row)| (*key, *row))
            .collect();
        let placed: HashSet<_> = contacts
            .values()
            .filter_map(|row| row.conversation)
            .chain(messages.values().map(|row| row.conversation))
            .chain(asked.iter().map(|row| row.id))
            .collect();
        let latest = asked.iter().filter_map(|row| row.last_contact);
        let latest = latest.filter_map(|id| rows.contacts.iter().find(|(_, row)| row.id == id));
        contacts.extend(latest.map(|(key, row)| (*key, row.clone())));
        let conversations = rows.conversations.values().filter(|row| {
            placed.contains(&row.id) || (row.is_open() && row.client.is_some_and(|id| ids.contains(&id)))
        });
        Ok(Known {
            events: wanted.events.iter().filter(|key| rows.events.contains(*key)).copied().collect(),
            clients: ids.iter().filter_map(|id| Some((*id, rows.clients.get(id)?.clone()))).collect(),
            conversations: conversations.map(|row| (row.id, row.clone())).collect(),
            agents: rows.agents.clone().into_iter().collect(),
            log_position: rows.log.last().map_or(0, |(_, logged)| logged.position),
            feed_position: rows.feed.last().map_or(0, |item| item.position),
            contacts,
            holders,
            messages,
            ..Known::default()
        })
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.changes.push(changes.clone());
        Ok(())
    }

    async fn log(&mut self, after: i64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        let rows = self.rows.lock().unwrap();
        let later = rows.log.iter().filter(|(_, logged)| logged.position > after);
        Ok(later.take(limit).map(|(_, logged)| logged.clone()).collect())
    }

    async fn history(&mut self, _: &[ClientId], _: &[ContactId]) -> Result<History, StoreError> {
        panic!("nobody is taken apart here")
    }

    async fn ties(&mut self, _: &[ClientId]) -> Result<Ties, StoreError> {
        panic!("nobody is taken apart here")
    }

    async fn work(&mut self, _: Option<&WorkOf>, _: Timestamp) -> Result<Work, StoreError> {
        panic!("nothing happens by itself here")
    }

    async fn to_wake(
        &mut self,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<(ConversationId, Timestamp)>, StoreError> {
        panic!("nothing happens by itself here")
    }

    async fn feed_items(&mut self, _: i64, _: usize) -> Result<Vec<FeedItem>, StoreError> {
        panic!("nothing happens by itself here")
    }

    async fn processes(&mut self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        panic!("nothing happens by itself here")
    }

    async fn forget_process(&mut self, _: &str) -> Result<(), StoreError> {
        panic!("nothing happens by itself here")
    }

    async fn clear_clients(&mut self, _: &[ClientId]) -> Result<(), StoreError> {
        panic!("nobody is taken apart here")
    }

    async fn clear_projections(&mut self) -> Result<(), StoreError> {
        panic!("nothing is replayed here")
    }

    async fn digests(&mut self) -> Result<Digests, StoreError> {
        panic!("nothing is replayed here")
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap();
        for changes in self.changes {
            for (position, arrival) in changes.log {
                rows.events.insert(arrival.event.key.digest());
                let (payload, recorded_at) = (arrival.payload, arrival.recorded_at);
                rows.log.push((arrival.event.contact.0, Logged { position, recorded_at, payload }));
            }
            rows.clients.extend(changes.clients.into_iter().map(|row| (row.id, row)));
            rows.holders.extend(changes.holders.into_iter().map(|row| (row.identifier.clone(), row)));
            rows.contacts.extend(changes.contacts.into_iter().map(|row| (row.key.digest(), row)));
            rows.entries.extend(changes.entries.into_iter().map(|row| (row.id, row)));
            rows.conversations.extend(changes.conversations.into_iter().map(|row| (row.id, row)));
            rows.messages.extend(changes.messages.into_iter().map(|row| ((row.key, row.client), row)));
            rows.agents.extend(changes.agents.into_iter().map(|row| (row.name.clone(), row)));
            rows.feed.extend(changes.feed);
            rows.letters.extend(changes.letters.into_iter().map(|row| (row.id.clone(), row)));
        }
        Ok(())
    }
}
