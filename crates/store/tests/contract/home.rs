//! A database of one's own for each scenario.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sqlx::{Connection as _, PgConnection, QueryBuilder, SqliteConnection};
use store::Options;
use store::testing::Postgres;
use tempfile::TempDir;
use timeline::Store;

pub(crate) struct Home {
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("deep/frontdesk.db").display());
        Self { url, _folder: Some(folder) }
    }

    /// `None` where there is no PostgreSQL and none is required.
    pub(crate) fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        if let Some(base) = given_server() {
            let (server, _) = base.rsplit_once('/').expect("a url with a database");
            let url = format!("{server}/{name}");
            run(async {
                let mut connection = PgConnection::connect(&base).await.unwrap();
                let mut create = QueryBuilder::<sqlx::Postgres>::new(format!("create database {name}"));
                create.build().execute(&mut connection).await.unwrap();
            });
            return Some(Self { url, _folder: None });
        }
        let url = shared()?.create(&name).unwrap();
        Some(Self { url, _folder: None })
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        store::open(&self.url, Options::default()).await.unwrap()
    }

    /// Behind the store's back.
    pub(crate) async fn execute(&self, sql: &'static str) {
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }
}

/// One server for all tests of this process.
fn shared() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start_or_skip).as_ref()
}

#[expect(clippy::disallowed_methods, reason = "how tests are run is told by the environment alone")]
fn given_server() -> Option<String> {
    std::env::var("FRONTDESK_TEST_POSTGRES").ok()
}

pub(crate) fn run<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(scenario)
}
