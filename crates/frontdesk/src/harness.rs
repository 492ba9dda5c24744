//! A broker for tests: a real nats-server in a folder of its own.

use std::time::Duration;

use bus::server::{self, Search, Server};
use bus::{Bus, Options};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After this a test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and what runs against it.
pub(crate) struct Nats {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    server: Server,
}

impl Nats {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = server::Options {
            dir: dir.path().join("nats"),
            search: Search::usual(None, dir.path()),
            max_file_store: 1 << 30,
            launcher: None,
        };
        let server = Server::start(options).await.unwrap();
        Self { dir, tracker: TaskTracker::new(), stop: CancellationToken::new(), server }
    }

    /// A connection of its own, as another process has.
    pub(crate) async fn bus(&self) -> Bus {
        let options =
            Options { max_bytes: 64 << 20, ..Options::new(self.server.url(), self.server.credentials()) };
        Bus::connect(options, self.tracker.clone(), self.stop.clone()).await.unwrap()
    }

    /// Ends everything; fails when something does not end.
    pub(crate) async fn leave(self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("a task did not stop");
        self.server.stop().await;
    }
}

/// Waits until `check` says yes.
pub(crate) async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
