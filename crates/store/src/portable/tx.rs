//! The one transaction that may decide.

use async_trait::async_trait;
use contact::{ClientId, ContactId, ConversationId};
use jiff::Timestamp;
use timeline::{
    Changes, Digests, FeedItem, History, Known, Logged, StoreError, Ties, Tx, Wanted, Work, WorkOf,
};

use super::super::{Connection, Upkeep};
use super::writer::Turn;
use super::{agents, changes, digest, feed, history, known, nul, ties, work};
use crate::error::{LONG_PATIENCE, PATIENCE, refused, told, within};

pub(super) struct Transaction {
    turn: Turn,
    upkeep: Upkeep,
    /// How much was written so far.
    amount: u64,
    /// A step was begun and did not succeed: what is in the transaction is half of something.
    broken: bool,
}

impl Transaction {
    pub(super) fn new(turn: Turn, upkeep: Upkeep) -> Self {
        Self { turn, upkeep, amount: 0, broken: false }
    }

    /// The connection for one step, which ends with [`Transaction::done`].
    fn step(&mut self, doing: &'static str) -> Result<&mut Connection, StoreError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(refused(doing, "an earlier step of the same transaction did not succeed"));
        }
        self.turn.connection().map_err(|error| told(doing, error))
    }

    fn done<T>(&mut self, answer: T) -> Result<T, StoreError> {
        self.broken = false;
        Ok(answer)
    }
}

#[async_trait]
impl Tx for Transaction {
    async fn read(&mut self, wanted: &Wanted) -> Result<Known, StoreError> {
        const DOING: &str = "read what a batch needs";
        let connection = self.step(DOING)?;
        let known = within(DOING, PATIENCE, known::read(connection, wanted)).await?;
        self.done(known)
    }

    async fn write(&mut self, decided: &Changes) -> Result<(), StoreError> {
        const DOING: &str = "write what was decided";
        let connection = self.step(DOING)?;
        nul::refuse(DOING, decided)?;
        within(DOING, PATIENCE, changes::write(connection, decided)).await?;
        self.amount += changes::amount(decided);
        self.done(())
    }

    async fn log(&mut self, after: i64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        const DOING: &str = "read the log";
        let connection = self.step(DOING)?;
        let page = within(DOING, PATIENCE, known::log(connection, after, limit)).await?;
        self.done(page)
    }

    async fn history(&mut self, clients: &[ClientId], contacts: &[ContactId]) -> Result<History, StoreError> {
        const DOING: &str = "read the history of clients";
        let connection = self.step(DOING)?;
        let history = within(DOING, PATIENCE, history::history(connection, clients, contacts)).await?;
        self.done(history)
    }

    async fn ties(&mut self, clients: &[ClientId]) -> Result<Ties, StoreError> {
        const DOING: &str = "read what ties clients together";
        let connection = self.step(DOING)?;
        let clients = clients.iter().map(|client| client.uuid());
        let ties = within(DOING, PATIENCE, ties::ties(connection, clients)).await?;
        self.done(ties)
    }

    async fn work(&mut self, of: Option<&WorkOf>, now: Timestamp) -> Result<Work, StoreError> {
        const DOING: &str = "read what is to be given to whom";
        let connection = self.step(DOING)?;
        let work = within(DOING, PATIENCE, work::work(connection, of, now)).await?;
        self.done(work)
    }

    async fn to_wake(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Timestamp)>, StoreError> {
        const DOING: &str = "look what to wake for";
        let connection = self.step(DOING)?;
        let woken = within(DOING, PATIENCE, work::to_wake(connection, now, limit)).await?;
        self.done(woken)
    }

    async fn feed_items(&mut self, after: i64, limit: usize) -> Result<Vec<FeedItem>, StoreError> {
        const DOING: &str = "read the feed";
        let connection = self.step(DOING)?;
        let items = within(DOING, PATIENCE, feed::items(connection, after, limit)).await?;
        self.done(items)
    }

    async fn processes(&mut self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        const DOING: &str = "look which processes are there";
        let connection = self.step(DOING)?;
        let there = within(DOING, PATIENCE, agents::processes(connection)).await?;
        self.done(there)
    }

    async fn forget_process(&mut self, process: &str) -> Result<(), StoreError> {
        const DOING: &str = "forget a process";
        let connection = self.step(DOING)?;
        within(DOING, PATIENCE, agents::forget_process(connection, process)).await?;
        self.done(())
    }

    async fn clear_clients(&mut self, clients: &[ClientId]) -> Result<(), StoreError> {
        const DOING: &str = "clear clients";
        let connection = self.step(DOING)?;
        within(DOING, PATIENCE, history::clear(connection, clients)).await?;
        self.done(())
    }

    async fn clear_projections(&mut self) -> Result<(), StoreError> {
        const DOING: &str = "clear the projections";
        let connection = self.step(DOING)?;
        within(DOING, LONG_PATIENCE, changes::clear_projections(connection)).await?;
        self.done(())
    }

    async fn digests(&mut self) -> Result<Digests, StoreError> {
        const DOING: &str = "digest the projections";
        let connection = self.step(DOING)?;
        let digests = within(DOING, LONG_PATIENCE, digest::digests(connection)).await?;
        self.done(digests)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        const DOING: &str = "commit";
        // PostgreSQL would answer such a commit with a quiet rollback, SQLite would keep the half.
        if self.broken {
            return Err(refused(DOING, "a step of the transaction did not succeed"));
        }
        within(DOING, PATIENCE, self.turn.commit()).await?;
        self.upkeep.committed(self.amount);
        Ok(())
    }
}
