//! The one transaction of a store of plain maps, and what only a whole history needs.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use contact::{ClientId, ContactId, ContactKey, ConversationId};
use jiff::Timestamp;
use timeline::{
    Changes, Contact, Conversation, Digests, EntryKind, FeedItem, History, Known, Logged, Relocation,
    Reservation, ReservationState, StoreError, Ties, Tx, Wanted, Work, WorkOf,
};

use crate::memory::{Memory, Rows, sorted};

/// The transaction that may decide. It is undone by forgetting the memory.
pub(crate) struct Turn<'a>(pub(crate) &'a mut Memory);

#[async_trait]
impl Tx for Turn<'_> {
    async fn read(&mut self, wanted: &Wanted) -> Result<Known, StoreError> {
        Ok(self.0.read(wanted))
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.0.apply(changes.clone());
        Ok(())
    }

    /// Three at a time, so that every cut is tried.
    async fn log(&mut self, after: i64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        let page = (usize::try_from(after).unwrap()..self.0.log.len()).take(limit.min(3));
        Ok(page.map(|place| self.0.logged(place)).collect())
    }

    async fn history(&mut self, clients: &[ClientId], contacts: &[ContactId]) -> Result<History, StoreError> {
        Ok(self.0.history(clients, contacts))
    }

    async fn ties(&mut self, clients: &[ClientId]) -> Result<Ties, StoreError> {
        Ok(self.0.ties(&clients.iter().copied().collect()))
    }

    async fn work(&mut self, of: Option<&WorkOf>, now: Timestamp) -> Result<Work, StoreError> {
        Ok(self.0.work(of, now))
    }

    async fn to_wake(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Timestamp)>, StoreError> {
        let rows = self.0.rows.conversations.values();
        let mut wakes: Vec<_> =
            rows.filter_map(|row| Some((row.wake_at?, row.id))).filter(|(at, _)| *at <= now).collect();
        wakes.sort_unstable();
        Ok(wakes.into_iter().map(|(at, id)| (id, at)).take(limit).collect())
    }

    async fn feed_items(&mut self, after: i64, limit: usize) -> Result<Vec<FeedItem>, StoreError> {
        let later = self.0.feed.iter().skip(usize::try_from(after).unwrap());
        Ok(later.take(limit.min(3)).cloned().collect())
    }

    async fn processes(&mut self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        Ok(self.0.processes.iter().map(|(id, until)| (id.clone(), *until)).collect())
    }

    async fn forget_process(&mut self, process: &str) -> Result<(), StoreError> {
        self.0.processes.remove(process);
        Ok(())
    }

    async fn clear_clients(&mut self, clients: &[ClientId]) -> Result<(), StoreError> {
        self.0.clear(clients);
        Ok(())
    }

    async fn clear_projections(&mut self) -> Result<(), StoreError> {
        let Known { events, log_position, feed_position, .. } = std::mem::take(&mut self.0.rows);
        self.0.rows = Known { events, log_position, feed_position, ..Known::default() };
        self.0.all = Rows::default();
        Ok(())
    }

    async fn digests(&mut self) -> Result<Digests, StoreError> {
        Ok(Digests::new())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Memory {
    fn work(&self, of: Option<&WorkOf>, now: Timestamp) -> Work {
        let rows = &self.rows;
        let held = |id| rows.reservations.get(&id).map(|row: &Reservation| row.conversation);
        let conversations: Vec<Conversation> = match of {
            None => {
                sorted(rows.conversations.values().filter(|row| row.waits() || row.occupies()), |row| row.id)
            }
            Some(of) => {
                let meant =
                    of.reservations.iter().filter_map(|id| held(*id)).chain(of.conversations.iter().copied());
                let meant: BTreeSet<_> = meant.collect();
                meant.iter().filter_map(|id| rows.conversations.get(id)).cloned().collect()
            }
        };
        let agents = match of {
            None => sorted(rows.agents.values(), |row| row.name.clone()),
            Some(of) => {
                let names = of.agents.iter().filter_map(|id| self.agents.get(id));
                sorted(names.filter_map(|name| rows.agents.get(name)), |row| row.name.clone())
            }
        };
        let ids: BTreeSet<_> = conversations.iter().map(|row| row.id).collect();
        let open = |row: &Reservation| row.state == ReservationState::Pending;
        let theirs = |row: &&Reservation| {
            let rests = row.rests_until.is_some_and(|until| until > now);
            (open(row) || rests) && ids.contains(&row.conversation)
                || open(row) && !rows.conversations.contains_key(&row.conversation)
        };
        let everybody: Vec<_> = rows.agents.values().cloned().collect();
        let known_by = conversations.iter().filter_map(|row| rows.clients.get(&row.client?));
        Work {
            agents,
            known_by: known_by
                .filter_map(|row| Some((row.id, row.acquaintance(&everybody)?.to_owned())))
                .collect(),
            reservations: sorted(rows.reservations.values().filter(theirs), |row| row.id),
            conversations,
        }
    }

    fn with_merged(&self, clients: &[ClientId]) -> BTreeSet<ClientId> {
        let merged =
            self.rows.clients.values().filter(|row| row.merged_into.is_some_and(|id| clients.contains(&id)));
        merged.map(|row| row.id).chain(clients.iter().copied()).collect()
    }

    fn history(&self, clients: &[ClientId], contacts: &[ContactId]) -> History {
        let whose = self.with_merged(clients);
        let theirs = |client: Option<ClientId>| client.is_some_and(|id| whose.contains(&id));
        let everything = self.everything();
        let (mut people, mut came, mut talks, mut entries, mut messages) = everything.projections;
        people.retain(|row| whose.contains(&row.id));
        came.retain(|row| theirs(row.client) || row.client.is_none() && contacts.contains(&row.id));
        let nobodys = |row: &&Contact| row.client.is_none();
        let shown: HashSet<_> = came.iter().filter(nobodys).map(|row| row.entry).collect();
        let placed: HashSet<_> = came.iter().filter(nobodys).filter_map(|row| row.conversation).collect();
        entries.retain(|row| theirs(row.client) || shown.contains(&row.id));
        talks.retain(|row| theirs(row.client) || placed.contains(&row.id));
        messages.retain(|row| whose.contains(&row.client));
        let chats: Vec<_> = everything.chats.into_values().filter(|row| theirs(row.client)).collect();
        let replies: Vec<_> = everything.replies.into_values().filter(|row| theirs(row.client)).collect();
        let lines = everything.rows.lines.into_values();
        let ties = self.ties(&whose);
        let answers = entries.iter().filter(|row| row.kind == EntryKind::Reply).map(|row| row.id.to_string());
        let ours: HashSet<_> = whose
            .iter()
            .map(ToString::to_string)
            .chain(came.iter().map(|row| row.id.to_string()))
            .chain(talks.iter().map(|row| row.id.to_string()))
            .chain(answers)
            .chain(ties.merges.iter().map(|row| row.id.to_string()))
            .map(|id| ContactKey(format!("desk/{id}")))
            .chain(came.iter().map(|row| row.key.clone()))
            .collect();
        let theirs = (0..self.log.len()).filter(|place| ours.contains(&self.log[*place].event.contact));
        let events = theirs.map(|place| self.logged(place)).collect();
        let rows = Changes {
            clients: people,
            holders: everything
                .rows
                .holders
                .into_values()
                .filter(|row| whose.contains(&row.client))
                .collect(),
            contacts: came,
            entries,
            conversations: talks,
            messages,
            claims: everything.rows.claims.into_values().filter(|row| whose.contains(&row.client)).collect(),
            merges: ties.merges,
            relocations: ties.relocations,
            chat_lines: lines.filter(|row| chats.iter().any(|chat| chat.visitor == row.visitor)).collect(),
            chats,
            replies,
            ..Changes::default()
        };
        History { rows, events }
    }

    fn ties(&self, whose: &BTreeSet<ClientId>) -> Ties {
        let merges = self
            .rows
            .merges
            .values()
            .filter(|row| whose.contains(&row.survivor) || whose.contains(&row.absorbed));
        let moved =
            |row: &&Relocation| whose.contains(&row.to) || row.from.is_some_and(|id| whose.contains(&id));
        let relocations = self.all.relocations.iter().filter(moved).cloned().collect();
        Ties { merges: sorted(merges, |row| row.id), relocations }
    }

    fn clear(&mut self, clients: &[ClientId]) {
        let whose = self.with_merged(clients);
        let stays = |client: Option<ClientId>| client.is_none_or(|id| !whose.contains(&id));
        let (rows, all) = (&mut self.rows, &mut self.all);
        let gone: HashSet<_> =
            rows.chats.values().filter(|row| !stays(row.client)).map(|row| row.visitor.clone()).collect();
        all.lines.retain(|(visitor, _), _| !gone.contains(visitor));
        rows.clients.retain(|id, _| stays(Some(*id)));
        rows.holders.retain(|_, (client, _)| stays(Some(*client)));
        rows.contacts.retain(|_, row| stays(row.client));
        rows.conversations.retain(|_, row| stays(row.client));
        rows.messages.retain(|(_, client), _| stays(Some(*client)));
        rows.chats.retain(|_, row| stays(row.client));
        rows.replies.retain(|_, row| stays(row.client));
        all.entries.retain(|_, row| stays(row.client));
        all.holders.retain(|_, row| stays(Some(row.client)));
        all.claims.retain(|(_, client), _| stays(Some(*client)));
    }

    /// The event at this place of the log, as it is read.
    fn logged(&self, place: usize) -> Logged {
        let arrival = &self.log[place];
        let position = i64::try_from(place).unwrap() + 1;
        Logged { position, recorded_at: arrival.recorded_at, payload: arrival.payload.clone() }
    }
}
