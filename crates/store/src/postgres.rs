//! What is PostgreSQL's own: opening, the writer's lock, lists as parameters.
//!
//! Read it beside `sqlite.rs`; the rest is the same text, `portable/`.

use std::str::FromStr;
use std::sync::Arc;

use contact::Identifier;
use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Postgres, QueryBuilder};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::migrate::{apply, current};
use crate::rows::{EntryRow, IdentifierRow};
use crate::{OpenError, Options};

pub(crate) type Db = Postgres;
pub(crate) type Connection = PgConnection;
pub(crate) type ConnectOptions = PgConnectOptions;

/// Takes the lock that makes one decider of all processes ("front" in ASCII). Each later statement
/// has a snapshot of its own (read committed), so it sees what the previous holder committed. All
/// look-ups of the decider are by key; a plan that reads a table because it was small when the plan
/// was made would be kept while it grows.
pub(crate) const BEGIN: &str = "begin isolation level read committed; set local lock_timeout = '25s'; \
     set local enable_seqscan = off; select pg_advisory_xact_lock(439721160308)";
/// What does not decide needs no lock.
pub(crate) const BEGIN_SHELF: &str = "begin isolation level read committed";
/// Before a statement that walks over everything.
pub(crate) const BEGIN_LONG: &str = "set local statement_timeout = 0";
/// A standby answers, and cannot be written.
pub(crate) const IS_READ_ONLY: &str =
    "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean";

/// What a session keeps prepared: all statements of the house, with room.
const PREPARED: usize = 256;

/// The oldest major version this is tested with.
const OLDEST: i64 = 15;

/// Inserts rows by one statement, a list per column, whatever their number; no rows are no statement.
macro_rules! write_rows {
    ($connection:expr, $head:expr, $rows:expr, |$row:ident| [$($value:expr),+ $(,)?], $tail:expr) => {
        if !$rows.is_empty() {
            let mut insert = sqlx::QueryBuilder::<sqlx::Postgres>::new($head);
            insert.push(" select * from unnest(");
            let mut lists = insert.separated(", ");
            $(lists.push_bind($rows.iter().map(|$row| $value).collect::<Vec<_>>());)+
            insert.push(") ").push($tail);
            insert.build().execute(&mut *$connection).await?;
        }
    };
}

/// The right side of `id …` for a list made by [`ids`].
macro_rules! in_ids {
    ($parameter:literal) => {
        concat!("= any(", $parameter, ")")
    };
}

/// Ids as one parameter: an array.
pub(crate) fn ids(ids: impl IntoIterator<Item = Uuid>) -> Vec<Uuid> {
    ids.into_iter().collect()
}

/// The right side of `text …` for a list made by [`texts`].
macro_rules! in_texts {
    ($parameter:literal) => {
        concat!("= any(", $parameter, ")")
    };
}

/// Texts as one parameter: an array.
#[expect(clippy::unnecessary_wraps, reason = "as in SQLite, where the list may fail to be made")]
pub(crate) fn texts(texts: &[&str]) -> sqlx::Result<Vec<String>> {
    Ok(texts.iter().map(|&text| text.to_owned()).collect())
}

/// A table `pair (absorbed_id, survivor_id)` of two lists made by [`ids`].
macro_rules! pairs {
    ($absorbed:literal, $survivors:literal) => {
        concat!("unnest(", $absorbed, ", ", $survivors, ") as pair (absorbed_id, survivor_id)")
    };
}

/// Who holds these identifiers; those that nobody holds are not in the answer.
pub(crate) async fn holders(
    connection: &mut PgConnection,
    identifiers: &[Identifier],
) -> sqlx::Result<Vec<IdentifierRow>> {
    let kinds: Vec<&str> = identifiers.iter().map(|identifier| identifier.kind.as_str()).collect();
    let values: Vec<&str> = identifiers.iter().map(|identifier| identifier.value.as_str()).collect();
    sqlx::query_as(
        "select i.kind as kind, i.value as value, i.client_id as client_id, i.level as level, i.since as since \
         from unnest($1, $2) as wanted (kind, value) \
         join identifier as i on i.kind = wanted.kind and i.value = wanted.value",
    )
    .bind(kinds)
    .bind(values)
    .fetch_all(connection)
    .await
}

/// How a statement that reads entries begins; what follows says from where and in which order, and
/// [`entries`] ends it. The answer is rows: as one JSON text they would take more than twice as long.
pub(crate) const ENTRIES: &str = concat!("select ", columns!(entry), " ");

/// Runs a statement begun with [`ENTRIES`] and gives its rows.
pub(crate) async fn entries(
    connection: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
) -> sqlx::Result<Vec<EntryRow>> {
    query.build_query_as().fetch_all(connection).await
}

/// The same of entries in brief: each is shortened as it comes.
pub(crate) const IN_BRIEF: &str = ENTRIES;

/// Runs a statement begun with [`IN_BRIEF`] and gives its rows.
pub(crate) async fn entries_in_brief(
    connection: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
) -> sqlx::Result<Vec<EntryRow>> {
    query.build_query_as().fetch(connection).map_ok(EntryRow::in_brief).try_collect().await
}

/// Connects, looks at the server's version and brings the schema up to date.
pub(crate) async fn open(url: &str, options: &Options) -> Result<portable::Database, OpenError> {
    let (connecting, mut connection) = connected(url).await?;
    if options.migrate {
        apply(&mut connection, &MIGRATIONS).await?;
    } else {
        current(&mut connection, &MIGRATIONS).await?;
    }
    let readers = PgPoolOptions::new()
        .max_connections(options.postgres_connections.max(1))
        .acquire_timeout(crate::ACQUIRE)
        .connect_lazy_with(connecting.clone());
    Ok(portable::Database::new(connecting, Arc::new(Mutex::new(Some(connection))), readers, Upkeep))
}

/// Brings the schema up to date and does nothing else.
pub(crate) async fn migrate(url: &str, _options: &Options) -> Result<(), OpenError> {
    let (options, mut connection) = connected(url).await?;
    apply(&mut connection, &MIGRATIONS).await?;
    connection.close().await.map_err(|cause| failed(&options, cause))
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/postgres");

async fn connected(url: &str) -> Result<(PgConnectOptions, PgConnection), OpenError> {
    let options = connect_options(url)?;
    let connecting = tokio::time::timeout(crate::ACQUIRE, options.connect());
    let mut connection = match connecting.await {
        Ok(connected) => connected.map_err(|cause| failed(&options, cause))?,
        Err(_) => return Err(failed(&options, sqlx::Error::PoolTimedOut)),
    };
    let version: i64 = sqlx::query_scalar("select current_setting('server_version_num')::bigint / 10000")
        .fetch_one(&mut connection)
        .await
        .map_err(|cause| failed(&options, cause))?;
    if version < OLDEST {
        return Err(OpenError::Server { found: version, oldest: OLDEST });
    }
    Ok((options, connection))
}

/// The server without the password.
fn failed(options: &PgConnectOptions, cause: sqlx::Error) -> OpenError {
    let (host, port) = (options.get_host(), options.get_port());
    let database = options.get_database().unwrap_or_default();
    OpenError::Connect { what: format!("PostgreSQL at {host}:{port}, database `{database}`"), cause }
}

fn connect_options(url: &str) -> Result<PgConnectOptions, OpenError> {
    // The driver's error may quote the url, and with it the password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        OpenError::Url("it is no url; it reads postgres://user:password@host:5432/database".to_owned())
    })?;
    Ok(options
        .application_name("frontdesk")
        .statement_cache_capacity(PREPARED)
        .disable_statement_logging()
        .options([
            // A commit is flushed before anyone hears of it.
            ("synchronous_commit", "on"),
            ("statement_timeout", "30s"),
            // A decider that stopped in the middle, or whose machine is gone, gives the lock back.
            ("idle_in_transaction_session_timeout", "60s"),
            ("client_connection_check_interval", "2s"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "4"),
        ]))
}

/// The server does its own.
#[derive(Clone)]
pub(crate) struct Upkeep;

impl Upkeep {
    pub(crate) fn committed(&self, _amount: u64) {}
}

#[expect(clippy::duplicate_mod, reason = "one text, compiled once for each database")]
#[path = "portable/mod.rs"]
pub(crate) mod portable;
