//! SQLite and PostgreSQL behind [`timeline::Store`]: one text for both, and what differs side by side.
//!
//! It binds and fetches and decides nothing: whatever wants an `if` about contacts or clients belongs
//! to `timeline`. It never reads the clock, never makes an id, and nothing that was not committed is
//! ever seen. Nobody else in the house knows sqlx.
//!
//! Reading order: the schema in `migrations/`, `rows` (what is in a table), `values` (what the two keep
//! differently), `sqlite` and `postgres` (what is done differently), `portable/` (all the rest: one
//! text, compiled once for each), `error` (which failures pass), `migrate`, `tidy` (at the end). [`testing`]
//! starts throwaway PostgreSQL servers.

#[macro_use]
mod rows;
mod error;
mod migrate;
mod postgres;
mod sqlite;
pub mod testing;
mod tidy;
mod values;

use std::sync::Arc;
use std::time::Duration;

use timeline::Store;

pub use tidy::tidy;

/// How long one waits for a connection. A server that is gone is told within this.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(5);

/// How to open a store. Start from [`Options::default`].
#[derive(Clone, Debug)]
pub struct Options {
    /// SQLite: pages the writer keeps in memory; each reader keeps a quarter of it.
    pub sqlite_cache_mib: u32,
    /// SQLite: how long one waits while another process writes, before the store counts as away.
    pub sqlite_busy_timeout: Duration,
    /// PostgreSQL: connections for reading; one more writes. Who comes when all are in use waits up to
    /// five seconds.
    pub postgres_connections: u32,
    /// Bring the schema up to date. Otherwise an old one is refused.
    pub migrate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sqlite_cache_mib: 64,
            sqlite_busy_timeout: Duration::from_secs(10),
            postgres_connections: 8,
            migrate: true,
        }
    }
}

/// Opens `sqlite://path` (made where there is none) or `postgres://…`. What it gives needs no
/// reopening: lost connections are replaced.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    match place(url)? {
        Place::Sqlite(path) => Ok(Arc::new(sqlite::open(path, &options).await?)),
        Place::Postgres(url) => Ok(Arc::new(postgres::open(url, &options).await?)),
    }
}

/// Brings the schema up to date and does nothing else. Several processes may do it at once.
pub async fn migrate(url: &str) -> Result<(), OpenError> {
    let options = Options::default();
    match place(url)? {
        Place::Sqlite(path) => sqlite::migrate(path, &options).await,
        Place::Postgres(url) => postgres::migrate(url, &options).await,
    }
}

enum Place<'a> {
    Sqlite(&'a str),
    Postgres(&'a str),
}

fn place(url: &str) -> Result<Place<'_>, OpenError> {
    if let Some(path) = sqlite::path_of(url) {
        Ok(Place::Sqlite(path))
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(Place::Postgres(url))
    } else {
        Err(OpenError::Url("it begins with neither sqlite:// nor postgres://".to_owned()))
    }
}

/// Why a store did not open. The texts are for the operator and hold no password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's url cannot be used: {0}")]
    Url(String),
    #[error("could not connect to {what}")]
    Connect {
        what: String,
        #[source]
        cause: sqlx::Error,
    },
    #[error("the server is PostgreSQL {found}; {oldest} or newer is needed")]
    Server { found: i64, oldest: i64 },
    #[error(
        "the database has migration {version}, which this program does not know: a newer one has used it. \
         Run that one, or restore a backup from before"
    )]
    Newer { version: i64 },
    #[error(
        "migration {version} was applied to the database with another text than this program has: one of \
         the two was edited"
    )]
    Edited { version: i64 },
    #[error("the database lacks migration {version}: run `frontdesk migrate` first")]
    Behind { version: i64 },
    #[error("migration {version} was begun and did not end; look at the database before going on")]
    Dirty { version: i64 },
    #[error("could not bring the database's schema up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}
