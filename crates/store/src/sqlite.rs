//! What is SQLite's own: opening, the writer's lock, lists as parameters, checkpoints.
//!
//! Read it beside `postgres.rs`; the rest is the same text, `portable/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contact::Identifier;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Sqlite};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::migrate::{MigrateError, apply, current};
use crate::rows::{EntryRow, IdentifierRow};
use crate::values::unreadable;
use crate::{OpenError, Options};

pub(crate) type Db = Sqlite;
pub(crate) type Connection = SqliteConnection;
pub(crate) type ConnectOptions = SqliteConnectOptions;

/// Takes the write lock at once: a reader that upgrades later would meet SQLITE_BUSY.
pub(crate) const BEGIN: &str = "begin immediate";
/// There is one lock for everything that is written.
pub(crate) const BEGIN_SHELF: &str = "begin immediate";
/// Nothing here ends a long statement.
pub(crate) const BEGIN_LONG: &str = "select 1";
/// Whether it can be written is known when it is written; that it can be read is all one may ask at once.
pub(crate) const IS_READ_ONLY: &str = "select false";

/// As many rows as one statement takes, largest first. Powers of two, so that a batch of any size is
/// made of few statements and every one of them is prepared once. More than 64 gains nothing.
const CHUNKS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// All statements of the house times all chunk sizes fit, with room.
const PREPARED: usize = 256;

pub(crate) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

/// Inserts rows by multi-row `values` in chunks; no rows are no statement.
macro_rules! write_rows {
    ($connection:expr, $head:expr, $rows:expr, |$row:ident| [$($value:expr),+ $(,)?], $tail:expr) => {
        for chunk in super::super::chunks($rows) {
            let mut insert = sqlx::QueryBuilder::<sqlx::Sqlite>::new($head);
            insert.push(" ").push_values(chunk, |mut values, $row| {
                $(values.push_bind($value);)+
            });
            insert.push(" ").push($tail);
            insert.build().execute(&mut *$connection).await?;
        }
    };
}

/// The right side of `id …` for a list made by [`ids`].
macro_rules! in_ids {
    ($parameter:literal) => {
        concat!("in (select unhex(value) from json_each(", $parameter, "))")
    };
}

/// Ids as one parameter: JSON of hex.
pub(crate) fn ids(ids: impl IntoIterator<Item = Uuid>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

/// The right side of `text …` for a list made by [`texts`].
macro_rules! in_texts {
    ($parameter:literal) => {
        concat!("in (select value from json_each(", $parameter, "))")
    };
}

/// Texts as one parameter: JSON.
pub(crate) fn texts(texts: &[&str]) -> sqlx::Result<String> {
    serde_json::to_string(texts).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A table `pair (absorbed_id, survivor_id)` of two lists made by [`ids`].
macro_rules! pairs {
    ($absorbed:literal, $survivors:literal) => {
        concat!(
            "(select unhex(a.value) as absorbed_id, unhex(s.value) as survivor_id from json_each(",
            $absorbed,
            ") as a join json_each(",
            $survivors,
            ") as s on s.key = a.key) as pair"
        )
    };
}

/// Who holds these identifiers; those that nobody holds are not in the answer.
pub(crate) async fn holders(
    connection: &mut SqliteConnection,
    identifiers: &[Identifier],
) -> sqlx::Result<Vec<IdentifierRow>> {
    let list: Vec<[&str; 2]> = identifiers.iter().map(|i| [i.kind.as_str(), i.value.as_str()]).collect();
    let list = serde_json::to_string(&list).map_err(|error| sqlx::Error::Encode(error.into()))?;
    // A cross join keeps its order: for each wanted one, a look into the primary key.
    sqlx::query_as(
        "select i.kind as kind, i.value as value, i.client_id as client_id, i.level as level, i.since as since \
         from json_each($1) as wanted cross join identifier as i \
         where i.kind = wanted.value ->> 0 and i.value = wanted.value ->> 1",
    )
    .bind(list)
    .fetch_all(connection)
    .await
}

/// Entries as one JSON text of lists in the order of [`EntryRow`]: of rows each would cross from the connection's
/// thread to ours by itself, which costs more than the text.
macro_rules! entries_with {
    ($content:literal) => {
        concat!(
            "select json_group_array(json_array(hex(id), kind, channel, direction, source, trust, rev, \
             occurred_at, recorded_at, nullif(hex(client_id), ''), nullif(hex(contact_id), ''), \
             nullif(hex(conversation_id), ''), agent, summary, ",
            $content,
            ")) from (select ",
            columns!(entry),
            " "
        )
    };
}

/// How a statement that reads entries begins; what follows says from where and in which order, and
/// [`entries`] ends it.
pub(crate) const ENTRIES: &str = entries_with!("content");

/// The same of entries in brief ([`timeline::in_brief`]); what is short anyway is left as it is, and so is what holds
/// the character NUL, where SQLite's texts end. As a text, since JSON within JSON would be no string.
pub(crate) const IN_BRIEF: &str = entries_with!(
    "case when octet_length(content) <= 4096 or instr(content, '\\u0000') > 0 or not json_valid(content) then content \
     else '' || json_replace(json_remove(content, '$.html', '$.quoted', '$.signature'), \
     '$.text', substr(content ->> '$.text', 1, 1000)) end"
);

pub(crate) use self::entries as entries_in_brief;

/// Ends a statement begun with [`ENTRIES`] or [`IN_BRIEF`] and gives its rows.
pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
) -> sqlx::Result<Vec<EntryRow>> {
    let page: String = query.push(")").build_query_scalar().fetch_one(connection).await?;
    serde_json::from_str(&page).map_err(unreadable)
}

/// Opens the file, making it and its folder where there is none, and brings its schema up to date.
pub(crate) async fn open(path: &str, options: &Options) -> Result<portable::Database, OpenError> {
    let path = Path::new(path);
    let writing = connect_options(path, options)?;
    let failed = |cause| OpenError::Connect { what: path.display().to_string(), cause };
    let mut connection = connect(&writing, options).await.map_err(failed)?;
    if options.migrate {
        migrated(&mut connection).await?;
    } else {
        current(&mut connection, &MIGRATIONS).await?;
    }
    let readers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let reading = writing
        .clone()
        .read_only(true)
        .create_if_missing(false)
        .pragma("cache_size", format!("-{}", options.sqlite_cache_mib.div_ceil(4) * 1024));
    let readers = SqlitePoolOptions::new()
        .max_connections(u32::try_from(readers).unwrap_or(2))
        .acquire_timeout(crate::ACQUIRE)
        .connect_lazy_with(reading);
    let slot = Arc::new(Mutex::new(Some(connection)));
    let upkeep = Upkeep::new(writing.clone(), slot.clone());
    Ok(portable::Database::new(writing, slot, readers, upkeep))
}

/// The first connection to a new file makes it a WAL one, for which SQLite asks nobody to wait: who comes at
/// the same moment is refused at once, and comes again.
async fn connect(to: &SqliteConnectOptions, options: &Options) -> sqlx::Result<SqliteConnection> {
    let deadline = tokio::time::Instant::now() + options.sqlite_busy_timeout;
    loop {
        match to.connect().await {
            Err(sqlx::Error::Database(refusal))
                if refusal.code().as_deref() == Some(BUSY) && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
}

/// `SQLITE_BUSY`.
const BUSY: &str = "5";

/// Brings the schema up to date and does nothing else.
pub(crate) async fn migrate(path: &str, options: &Options) -> Result<(), OpenError> {
    let path = Path::new(path);
    let failed = |cause| OpenError::Connect { what: path.display().to_string(), cause };
    let mut connection = connect(&connect_options(path, options)?, options).await.map_err(failed)?;
    migrated(&mut connection).await?;
    connection.close().await.map_err(failed)
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");

/// Under the write lock, so that two processes do not do it at once.
async fn migrated(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |cause| OpenError::from(MigrateError::Execute(cause));
    let mut lock = connection.begin_with(BEGIN).await.map_err(failed)?;
    apply(&mut *lock, &MIGRATIONS).await?;
    lock.commit().await.map_err(failed)
}

fn connect_options(path: &Path, options: &Options) -> Result<SqliteConnectOptions, OpenError> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(OpenError::Url("it names no file; it reads sqlite://path/to/file.db".to_owned()));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|cause| OpenError::Connect {
            what: path.display().to_string(),
            cause: sqlx::Error::Io(cause),
        })?;
    }
    Ok(SqliteConnectOptions::new()
        .filename(PathBuf::from(path))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is flushed before anyone hears of it.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.sqlite_busy_timeout)
        // No table refers to another: projections are cleared and rebuilt in any order.
        .foreign_keys(false)
        .pragma("cache_size", format!("-{}", u64::from(options.sqlite_cache_mib) * 1024))
        .pragma("temp_store", "memory")
        // The upkeep checkpoints long before; this is for when it cannot.
        .pragma("wal_autocheckpoint", "60000")
        .statement_cache_capacity(PREPARED)
        .disable_statement_logging())
}

/// The path of a `sqlite://` url.
pub(crate) fn path_of(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))
}

/// Moves the write-ahead log into the database from a connection of its own, so that no commit waits
/// for it. It runs when about [`Upkeep::PAGES`] pages have been written since the last time.
#[derive(Clone)]
pub(crate) struct Upkeep(Arc<Checkpoints>);

struct Checkpoints {
    pool: SqlitePool,
    /// Whoever has it may write.
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    tasks: TaskTracker,
    /// What was written since the last run, and how much makes a run due: learned from the last run.
    written: AtomicU64,
    due: AtomicU64,
    /// One run at a time; what is written meanwhile counts for the next.
    running: AtomicBool,
}

impl Upkeep {
    const PAGES: u64 = 16_000;

    fn new(options: SqliteConnectOptions, writer: Arc<Mutex<Option<SqliteConnection>>>) -> Self {
        let options = options.pragma("cache_size", "-2000");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options);
        Self(Arc::new(Checkpoints {
            pool,
            writer,
            tasks: TaskTracker::new(),
            written: AtomicU64::new(0),
            due: AtomicU64::new(Self::PAGES),
            running: AtomicBool::new(false),
        }))
    }

    /// So much was committed, in rows and pages' worth of text.
    pub(crate) fn committed(&self, amount: u64) {
        let all = &self.0;
        let written = all.written.fetch_add(amount, Ordering::Relaxed) + amount;
        if written >= all.due.load(Ordering::Relaxed) && !all.running.swap(true, Ordering::AcqRel) {
            let this = all.clone();
            drop(all.tasks.spawn(async move {
                let amount = this.written.swap(0, Ordering::Relaxed);
                if let Err(error) = this.run(amount).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "could not checkpoint the database"
                    );
                }
                this.running.store(false, Ordering::Release);
            }));
        }
    }
}

impl Checkpoints {
    async fn run(&self, amount: u64) -> sqlx::Result<()> {
        // Nearly all of it is moved beside the writer; for what came meanwhile it waits for a turn,
        // because only a log that is moved to its end begins anew.
        let pages = self.checkpoint().await?;
        metrics::gauge!("frontdesk_store_wal_pages").set(pages as f64);
        let due = amount.saturating_mul(Upkeep::PAGES) / pages.max(1);
        self.due.store(due.clamp(500, 1_000_000), Ordering::Relaxed);
        let turn = self.writer.lock().await;
        self.checkpoint().await?;
        drop(turn);
        Ok(())
    }

    /// Moves what is in the log now, and gives its pages.
    async fn checkpoint(&self) -> sqlx::Result<u64> {
        let (_, pages, _): (i64, i64, i64) =
            sqlx::query_as("pragma wal_checkpoint(passive)").fetch_one(&self.pool).await?;
        Ok(u64::try_from(pages).unwrap_or_default())
    }
}

#[expect(clippy::duplicate_mod, reason = "one text, compiled once for each database")]
#[path = "portable/mod.rs"]
pub(crate) mod portable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_all_rows_in_order() {
        for count in [0, 1, 2, 3, 63, 64, 65, 127, 512, 511] {
            let rows: Vec<usize> = (0..count).collect();
            let cut: Vec<&[usize]> = chunks(&rows).collect();
            assert_eq!(cut.concat(), rows);
            assert!(cut.iter().all(|chunk| CHUNKS.contains(&chunk.len())));
        }
    }
}
