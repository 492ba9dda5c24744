//! Connections that only read.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Error, Pool};
use timeline::StoreError;

use super::super::{Connection, Db, IS_READ_ONLY};
use crate::error::within;

/// A reading connection on loan. Not given back it is closed: who gave up in the middle of an answer
/// must not leave the rest of it to the next one.
pub(super) struct Lent {
    connection: PoolConnection<Db>,
    whole: bool,
}

impl Lent {
    pub(super) async fn from(pool: &Pool<Db>) -> Result<Self, Error> {
        Ok(Self { connection: pool.acquire().await?, whole: false })
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) fn give_back(mut self) {
        self.whole = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.whole {
            self.connection.close_on_drop();
        }
    }
}

/// Runs one function over a reading connection.
macro_rules! reading {
    ($store:ident, $doing:literal, |$connection:ident| $work:expr) => {
        within($doing, PATIENCE, async {
            let mut lent = Lent::from(&$store.readers).await?;
            let $connection = lent.connection();
            let answer = $work.await?;
            lent.give_back();
            Ok(answer)
        })
        .await
    };
}
pub(super) use reading;

/// Who asks whether the store is there does not want to wait for it.
const AT_ONCE: Duration = Duration::from_secs(2);

pub(super) async fn ping(pool: &Pool<Db>) -> Result<(), StoreError> {
    const DOING: &str = "answer";
    let read_only: bool = within(DOING, AT_ONCE, async {
        let mut lent = Lent::from(pool).await?;
        let answer = sqlx::query_scalar(IS_READ_ONLY).fetch_one(lent.connection()).await?;
        lent.give_back();
        Ok(answer)
    })
    .await?;
    if read_only {
        return Err(StoreError::Away {
            doing: DOING,
            cause: "the server can be read but not written".into(),
        });
    }
    Ok(())
}
