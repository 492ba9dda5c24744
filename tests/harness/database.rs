//! The stores: a file of the program's own, or a PostgreSQL that can be killed.

use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use store::testing::Postgres;
use tokio::task::block_in_place;

use crate::process::Known;
use crate::setup::Setup;

/// Where a story's timelines are kept.
pub enum Database {
    Sqlite,
    Postgres(Postgres),
}

/// Tells each story over both stores, as `sqlite::story` and `postgres::story`. A story is an
/// `async fn(Database)`.
#[macro_export]
macro_rules! over_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story($crate::Database::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                if let Some(database) = $crate::Database::postgres() {
                    super::$story(database).await;
                }
            })+
        }
    };
}

impl Database {
    /// A PostgreSQL of this test's own; `None`, said aloud, where it is not installed and need not be.
    pub fn postgres() -> Option<Self> {
        block_in_place(Postgres::start_or_skip).map(Self::Postgres)
    }

    /// Where it is, unless the program finds it by itself.
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(server) => Some(server.url()),
        }
    }

    fn server(&self) -> &Postgres {
        match self {
            Self::Sqlite => panic!("SQLite has no server"),
            Self::Postgres(server) => server,
        }
    }

    /// As the power goes, for a server.
    pub fn kill9(&self) {
        block_in_place(|| self.server().kill9()).expect("could not kill PostgreSQL");
    }

    /// The server again, where it was.
    pub fn up(&self) {
        block_in_place(|| self.server().restart()).expect("could not start PostgreSQL again");
    }

    /// The server stands still: its connections stay and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// The server goes on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let Some(main) = Known::of(self.server().pid()) else { return };
        // The main process first, so that it starts no more of them meanwhile.
        main.signal(signal);
        for child in main.children() {
            child.signal(signal);
        }
    }

    /// Runs a statement behind the program's back; gives how many rows it touched.
    ///
    /// # Panics
    /// When it fails.
    pub async fn tamper(&self, setup: &Setup, statement: &str) -> u64 {
        let mut prompt = self.prompt(setup).await;
        let rows = prompt.run(statement).await;
        prompt.close().await;
        rows
    }

    /// Takes the log away from everybody until it is released.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn hold(&self, setup: &Setup) -> Held {
        let mut prompt = self.prompt(setup).await;
        let statements: &[&str] = match self {
            Self::Sqlite => &["pragma busy_timeout = 30000", "begin immediate"],
            Self::Postgres(_) => &["begin", "lock table contact_event in access exclusive mode"],
        };
        for statement in statements {
            prompt.run(statement).await;
        }
        Held(prompt)
    }

    async fn prompt(&self, setup: &Setup) -> Prompt {
        match self {
            Self::Sqlite => {
                let url = format!("sqlite://{}", setup.folder().join("data/frontdesk.db").display());
                Prompt::Sqlite(SqliteConnection::connect(&url).await.expect("could not open SQLite"))
            }
            Self::Postgres(server) => {
                let opened = PgConnection::connect(&server.url()).await;
                Prompt::Postgres(opened.expect("could not reach PostgreSQL"))
            }
        }
    }
}

/// The log, taken away from everybody.
pub struct Held(Prompt);

impl Held {
    /// Gives it back.
    pub async fn release(mut self) {
        self.0.run("rollback").await;
        self.0.close().await;
    }
}

/// A connection beside the program's.
enum Prompt {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Prompt {
    async fn run(&mut self, statement: &str) -> u64 {
        let query = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        let done = match self {
            Self::Sqlite(sqlite) => query.execute(sqlite).await.map(|done| done.rows_affected()),
            Self::Postgres(postgres) => query.execute(postgres).await.map(|done| done.rows_affected()),
        };
        done.unwrap_or_else(|error| panic!("could not run `{statement}`: {error}"))
    }

    async fn close(self) {
        let closed = match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        };
        closed.expect("could not close the database");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that stands still cannot be stopped.
        if let Self::Postgres(_) = self {
            self.thaw();
        }
    }
}
