//! A real nats-server in a folder of its own, and a small store to consume into.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ::bus::server::{Search, Server};
use ::bus::{Bus, Delivery, Failure, Handler, Lanes, Options, Receipt, topology};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LIVE: Lanes = Lanes { live: &topology::RECORDER, behind: None };

/// A server and what runs against it.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl House {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = server(dir.path()).await;
        Self { dir, server, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    pub(crate) fn options(&self) -> Options {
        Options { max_bytes: 256 << 20, ..Options::new(self.server.url(), self.server.credentials()) }
    }

    pub(crate) async fn bus(&self) -> Bus {
        Bus::connect(self.options(), self.tracker.clone(), self.stop.clone()).await.unwrap()
    }

    /// Consumes in the background until the house is left.
    pub(crate) fn consume(&self, bus: &Bus, lanes: Lanes, store: &std::sync::Arc<Store>) {
        let (bus, stop, store) = (bus.clone(), self.stop.clone(), store.clone());
        self.tracker.spawn(async move { bus.consume(lanes, store, stop).await });
    }

    /// Ends everything; fails when something does not end.
    pub(crate) async fn leave(self) {
        self.rest().await;
        self.server.stop().await;
    }

    /// Ends everything but the server.
    pub(crate) async fn rest(&self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("a task did not stop");
    }
}

pub(crate) async fn server(dir: &Path) -> Server {
    Server::start(::bus::server::Options {
        dir: dir.join("nats"),
        search: Search::usual(None, dir),
        max_file_store: 2 << 30,
        launcher: None,
    })
    .await
    .unwrap()
}

/// A small store: keeps what it is given, can be away, and cannot digest some.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) away: AtomicBool,
    pub(crate) calls: AtomicUsize,
    pub(crate) probes: AtomicUsize,
    pub(crate) kept: Mutex<Vec<Delivery>>,
    pub(crate) buried: Mutex<Vec<(Delivery, String)>>,
    pub(crate) batches: Mutex<Vec<usize>>,
    /// Held for writing, it makes the store hang.
    pub(crate) gate: tokio::sync::RwLock<()>,
}

impl Store {
    /// How often each payload was kept.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for delivery in self.kept.lock().unwrap().iter() {
            *counts.entry(text(&delivery.payload)).or_default() += 1;
        }
        counts
    }
}

#[async_trait]
impl Handler for Store {
    async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.read().await;
        if self.away.load(Ordering::SeqCst) {
            return Err(Failure::Away("the store was switched off".to_owned()));
        }
        if batch.iter().any(|delivery| delivery.payload.starts_with(b"poison")) {
            return Err(Failure::Poison("cannot be digested".to_owned()));
        }
        self.batches.lock().unwrap().push(batch.len());
        self.kept.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }

    async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure> {
        self.buried.lock().unwrap().push((one.clone(), reason.to_owned()));
        Ok(())
    }

    async fn probe(&self) -> bool {
        self.probes.fetch_add(1, Ordering::SeqCst);
        !self.away.load(Ordering::SeqCst)
    }
}

pub(crate) fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

pub(crate) fn subject() -> String {
    topology::contact_subject("phone", "main-line")
}

pub(crate) fn payloads(prefix: &str, n: usize) -> Vec<Bytes> {
    (0..n).map(|i| Bytes::from(format!("{prefix}-{i:05}"))).collect()
}

/// Publishes all with 256 in flight, each again until it is on the bus, as the journal does.
pub(crate) async fn publish_all(bus: &Bus, subject: &str, payloads: Vec<Bytes>) -> Vec<Receipt> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut waiting = payloads.into_iter();
    let mut flight = FuturesUnordered::new();
    let mut receipts = Vec::new();
    let send = |payload: Bytes| {
        let (bus, subject) = (bus.clone(), subject.to_owned());
        async move {
            loop {
                match bus.publish(subject.clone(), payload.clone()).await {
                    Ok(receipt) => return receipt,
                    Err(error) => {
                        assert!(tokio::time::Instant::now() < deadline, "not published in time: {error}");
                        let mut link = bus.link();
                        let back = link.wait_for(|link| link.connected);
                        tokio::time::timeout_at(deadline, back).await.unwrap().unwrap();
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    };
    loop {
        while flight.len() < 256
            && let Some(payload) = waiting.next()
        {
            flight.push(send(payload));
        }
        match flight.next().await {
            Some(receipt) => receipts.push(receipt),
            None => return receipts,
        }
    }
}

/// Waits until `check` is content; fails with what it last saw.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    mut look: impl AsyncFnMut() -> T,
    check: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = look().await;
        if check(&seen) {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time; last seen: {seen:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The process stands still when this returns: its connections stay and nothing is answered.
pub(crate) async fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    eventually(async || stands_still(pid), |still| *still).await;
}

pub(crate) fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A signal stops the threads of a process one by one, each when it next looks.
fn stands_still(pid: u32) -> bool {
    let stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        Ok::<_, std::io::Error>(stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|task| stopped(task).unwrap_or(true))
}
