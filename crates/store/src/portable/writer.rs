//! Whose turn it is to write: one at a time in this process, and by the database's lock over all.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Error, raw_sql};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::{ConnectOptions, Connection};
use crate::error::lost;

/// How long one waits in this process for one's turn. Whoever waits longer is told that the store is
/// away and comes again; so nothing piles up behind a replay.
const QUEUE: Duration = Duration::from_secs(30);

/// The one connection that writes. It is made when there is none, and kept as long as nothing goes
/// wrong: no pool stands between a decision and its commit.
pub(super) struct Writer {
    options: ConnectOptions,
    slot: Arc<Mutex<Option<Connection>>>,
}

impl Writer {
    pub(super) fn new(options: ConnectOptions, slot: Arc<Mutex<Option<Connection>>>) -> Self {
        Self { options, slot }
    }

    /// Waits for the turn, in order of asking, and begins a transaction with `begin`. A connection that
    /// died while nobody used it is replaced.
    pub(super) async fn begin(&self, begin: &'static str) -> Result<Turn, Error> {
        let waiting = tokio::time::timeout(QUEUE, self.slot.clone().lock_owned());
        let mut slot = waiting.await.map_err(|_| Error::PoolTimedOut)?;
        // Out of its slot until it has begun: whoever gives up in between loses the connection, and
        // with it whatever was half begun.
        if let Some(mut connection) = slot.take() {
            match raw_sql(begin).execute(&mut connection).await {
                Ok(_) => return Ok(Turn::new(slot, connection)),
                Err(error) if lost(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let connecting = tokio::time::timeout(crate::ACQUIRE, self.options.connect());
        let mut connection = connecting.await.map_err(|_| Error::PoolTimedOut)??;
        raw_sql(begin).execute(&mut connection).await?;
        Ok(Turn::new(slot, connection))
    }
}

/// The turn, with an open transaction. Dropped before [`Turn::commit`] has succeeded it closes the
/// connection, which undoes everything whatever state the connection was in.
pub(super) struct Turn {
    slot: OwnedMutexGuard<Option<Connection>>,
    committed: bool,
}

impl Turn {
    fn new(mut slot: OwnedMutexGuard<Option<Connection>>, connection: Connection) -> Self {
        *slot = Some(connection);
        Self { slot, committed: false }
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, Error> {
        self.slot.as_mut().ok_or(Error::WorkerCrashed)
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        raw_sql("commit").execute(self.connection()?).await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.committed {
            *self.slot = None;
        }
    }
}

/// Runs one function over the writing connection, in a transaction of its own.
macro_rules! writing {
    ($store:ident, $begin:expr, $doing:literal, |$connection:ident| $work:expr) => {
        within($doing, PATIENCE, async {
            let mut turn = $store.writer.begin($begin).await?;
            let $connection = turn.connection()?;
            let answer = $work.await?;
            turn.commit().await?;
            Ok(answer)
        })
        .await
    };
}
pub(super) use writing;
