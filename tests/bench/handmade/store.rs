//! A timeline by hand: who holds an address, and what happened, with the settings of the product's store.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::machine::micros;

/// One row to be.
pub(crate) struct Row<'a> {
    pub(crate) key: &'a str,
    pub(crate) caller: &'a str,
    pub(crate) payload: &'a str,
}

pub(crate) enum Store {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

const SQLITE: &str = "
create table if not exists identity(kind text not null, value text not null, client_id integer not null,
  primary key(kind, value)) without rowid;
create table if not exists event(
  id integer primary key, event_key text not null unique, client_id integer not null, channel text not null,
  direction text not null, source text not null, external_id text not null, thread_id text not null,
  occurred_at integer not null, received_at integer not null, status text not null, payload text not null);
create index if not exists event_timeline on event(client_id, occurred_at, id);";

const POSTGRES: &str = "
create table if not exists identity(kind text not null, value text not null, client_id bigint not null,
  primary key(kind, value));
create table if not exists event(
  id bigint generated always as identity primary key, event_key text not null unique, client_id bigint not null,
  channel text not null, direction text not null, source text not null, external_id text not null,
  thread_id text not null, occurred_at bigint not null, received_at bigint not null, status text not null,
  payload text not null);
create index if not exists event_timeline on event(client_id, occurred_at, id);";

const SQLITE_IDENTITY: &str = "insert into identity(kind, value, client_id) \
     select 'phone', value ->> 0, value ->> 1 from json_each(?1) where true on conflict do nothing";
const SQLITE_EVENT: &str = "insert into event(event_key, client_id, channel, direction, source, external_id, \
     thread_id, occurred_at, received_at, status, payload) ";
const POSTGRES_IDENTITY: &str = "insert into identity(kind, value, client_id) \
     select 'phone', * from unnest($1::text[], $2::bigint[]) on conflict do nothing";
const POSTGRES_EVENT: &str = "insert into event(event_key, client_id, channel, direction, source, external_id, \
     thread_id, occurred_at, received_at, status, payload) \
     select u.k, i.client_id, 'phone', 'in', 'phone/bench', u.k, 't-1', $4, $4, 'new', u.p \
     from unnest($1::text[], $2::text[], $3::text[]) as u(k, c, p) \
     join identity i on i.kind = 'phone' and i.value = u.c on conflict (event_key) do nothing";

/// All columns of the latest rows of a client. SQLite reads `$1` too.
const PAGE: &str = "select id, event_key, client_id, channel, direction, source, external_id, thread_id, occurred_at, \
     received_at, status, payload from event where client_id = $1 and (occurred_at, id) < ($2, $2) \
     order by occurred_at desc, id desc limit $3";

impl Store {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("postgres") {
            let options = PgConnectOptions::from_str(url).context("could not read the store's URL")?;
            let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.context(OPEN)?;
            sqlx::raw_sql(POSTGRES).execute(&pool).await.context(OPEN)?;
            return Ok(Self::Postgres(pool));
        }
        let options = SqliteConnectOptions::from_str(url)
            .context("could not read the store's URL")?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", "16000");
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.context(OPEN)?;
        sqlx::raw_sql(SQLITE).execute(&pool).await.context(OPEN)?;
        Ok(Self::Sqlite(pool))
    }

    /// All rows in one transaction; those that are there already are left alone.
    pub(crate) async fn write(&self, rows: &[Row<'_>]) -> anyhow::Result<()> {
        let mut callers: BTreeMap<&str, i64> = BTreeMap::new();
        for row in rows {
            callers.entry(row.caller).or_insert_with(new_client);
        }
        let now = i64::try_from(micros()).unwrap_or(0);
        match self {
            Self::Sqlite(pool) => write_sqlite(pool, rows, &callers, now).await,
            Self::Postgres(pool) => write_postgres(pool, rows, &callers, now).await,
        }
        .context("could not write a batch by hand")
    }

    /// Reads a page of 50 with all its columns; how many rows it has.
    pub(crate) async fn page(&self, client: i64) -> anyhow::Result<usize> {
        const CONTEXT: &str = "could not read a page by hand";
        macro_rules! page {
            ($pool:expr) => {{
                let rows = sqlx::query(PAGE)
                    .bind(client)
                    .bind(i64::MAX)
                    .bind(50_i64)
                    .fetch_all($pool)
                    .await
                    .context(CONTEXT)?;
                let mut bytes = 0;
                for row in &rows {
                    let (payload, key): (&str, &str) = (row.get(11), row.get(1));
                    bytes += payload.len() + key.len();
                }
                std::hint::black_box(bytes);
                Ok(rows.len())
            }};
        }
        match self {
            Self::Sqlite(pool) => page!(pool),
            Self::Postgres(pool) => page!(pool),
        }
    }

    /// The client who holds this (encoded) number, if it has called.
    pub(crate) async fn client(&self, caller: &str) -> anyhow::Result<Option<i64>> {
        const SQL: &str = "select client_id from identity where kind = 'phone' and value = $1";
        match self {
            Self::Sqlite(pool) => sqlx::query_scalar(SQL).bind(caller).fetch_optional(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(SQL).bind(caller).fetch_optional(pool).await,
        }
        .context("could not find a client by hand")
    }

    pub(crate) async fn count(&self) -> anyhow::Result<i64> {
        const SQL: &str = "select count(*) from event";
        match self {
            Self::Sqlite(pool) => sqlx::query_scalar(SQL).fetch_one(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(SQL).fetch_one(pool).await,
        }
        .context("could not count rows by hand")
    }
}

const OPEN: &str = "could not open the hand-made store";

/// Rows of one statement; more gains nothing.
const CHUNK: usize = 64;

async fn write_sqlite(
    pool: &SqlitePool,
    rows: &[Row<'_>],
    callers: &BTreeMap<&str, i64>,
    now: i64,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin_with("begin immediate").await?;
    let mut list = String::from("[");
    for (caller, id) in callers {
        let comma = if list.len() > 1 { "," } else { "" };
        // A caller in a form's encoding needs no escape.
        list.push_str(&format!("{comma}[\"{caller}\",{id}]"));
    }
    list.push(']');
    sqlx::query(SQLITE_IDENTITY).bind(list).execute(&mut *transaction).await?;
    for chunk in rows.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Sqlite>::new(SQLITE_EVENT);
        insert.push_values(chunk, |mut values, row| {
            values.push_bind(row.key);
            values.push("(select client_id from identity where kind = 'phone' and value = ");
            values.push_bind_unseparated(row.caller).push_unseparated(")");
            values.push("'phone', 'in', 'phone/bench'").push_bind(row.key).push("'t-1'");
            values.push_bind(now).push_bind(now).push("'new'").push_bind(row.payload);
        });
        insert.push(" on conflict (event_key) do nothing");
        insert.build().execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn write_postgres(
    pool: &PgPool,
    rows: &[Row<'_>],
    callers: &BTreeMap<&str, i64>,
    now: i64,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let (names, ids): (Vec<&str>, Vec<i64>) = callers.iter().map(|(name, id)| (*name, *id)).unzip();
    sqlx::query(POSTGRES_IDENTITY).bind(names).bind(ids).execute(&mut *transaction).await?;
    sqlx::query(POSTGRES_EVENT)
        .bind(rows.iter().map(|row| row.key).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.caller).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.payload).collect::<Vec<_>>())
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Ids that rise with time, as derived ones do.
fn new_client() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    (i64::try_from(micros() / 1000).unwrap_or(0) << 20) + (NEXT.fetch_add(1, Ordering::Relaxed) & 0xf_ffff)
}
