//! Load: as fast as a number of connections can (closed loop), or at a rate (open loop, where latency
//! counts from the moment a request was due, so that a server that stalls cannot hide it).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::hooks::Batch;
use crate::http::Connection;
use crate::machine::micros;
use crate::numbers::Random;

/// Connections of every load of hooks.
pub(crate) const CONNECTIONS: usize = 64;

/// What became of a load.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Answered 2xx.
    pub(crate) accepted: usize,
    /// Answered anything else.
    pub(crate) refused: usize,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// When it began, by [`micros`].
    pub(crate) began: u64,
    /// Of accepted requests, in microseconds.
    pub(crate) latencies: Vec<u32>,
}

impl Sent {
    pub(crate) fn per_s(&self) -> f64 {
        self.accepted as f64 / self.seconds
    }

    fn count(&mut self, status: u16, since: u64) {
        if (200..300).contains(&status) {
            self.accepted += 1;
            self.latencies.push(u32::try_from(micros().saturating_sub(since)).unwrap_or(u32::MAX));
        } else {
            self.refused += 1;
        }
    }

    async fn gather(began: u64, mut tasks: JoinSet<anyhow::Result<Sent>>) -> anyhow::Result<Sent> {
        let mut all = Sent { began, ..Sent::default() };
        while let Some(done) = tasks.join_next().await {
            let part = done.context("a connection's task ended badly")??;
            all.accepted += part.accepted;
            all.refused += part.refused;
            all.latencies.extend(part.latencies);
        }
        all.seconds = (micros() - began) as f64 / 1e6;
        Ok(all)
    }
}

/// Posts every hook of the batch once, as fast as 64 connections can.
pub(crate) async fn flood(addr: SocketAddr, path: &'static str, batch: &Arc<Batch>) -> anyhow::Result<Sent> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(addr).await?);
    }
    let began = micros();
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (batch, next) = (batch.clone(), next.clone());
        tasks.spawn(async move {
            let mut sent = Sent::default();
            while let Some(hook) = batch.hooks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let since = micros();
                let status = connection.post(path, hook).await?;
                sent.count(status, since);
            }
            Ok(sent)
        });
    }
    Sent::gather(began, tasks).await
}

/// When each contact was due, by its place; 0 until then.
pub(crate) type Dues = Arc<Vec<AtomicU64>>;

pub(crate) fn dues(count: usize) -> Dues {
    Arc::new((0..count).map(|_| AtomicU64::new(0)).collect())
}

/// Posts every hook of the batch once, `per_s` of them a second, and notes in `dues` when each was due.
pub(crate) async fn steady(
    addr: SocketAddr,
    path: &'static str,
    batch: &Arc<Batch>,
    per_s: u32,
    dues: &Dues,
) -> anyhow::Result<Sent> {
    // What nobody could take in time waits here, and its latency counts.
    let (pace, due) = mpsc::channel::<(usize, u64)>(batch.hooks.len().max(1));
    let due = Arc::new(Mutex::new(due));
    let began = micros() + 20_000;
    let pacer = {
        let (count, dues) = (batch.hooks.len(), dues.clone());
        // A thread, because the runtime's timer counts whole milliseconds.
        std::thread::spawn(move || {
            for (place, slot) in dues.iter().enumerate().take(count) {
                let at = began + place as u64 * 1_000_000 / u64::from(per_s);
                std::thread::sleep(Duration::from_micros(at.saturating_sub(micros())));
                slot.store(at, Ordering::Relaxed);
                if pace.blocking_send((place, at)).is_err() {
                    return;
                }
            }
        })
    };
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(addr).await?;
        let (batch, due) = (batch.clone(), due.clone());
        tasks.spawn(async move {
            let mut sent = Sent::default();
            loop {
                let next = due.lock().await.recv().await;
                let Some((place, at)) = next else { return Ok(sent) };
                let Some(hook) = batch.hooks.get(place) else { return Ok(sent) };
                let status = connection.post(path, hook).await?;
                sent.count(status, at);
            }
        });
    }
    drop(due);
    let sent = Sent::gather(began, tasks).await?;
    pacer.join().map_err(|_| anyhow::anyhow!("the pacer ended badly"))?;
    Ok(sent)
}

/// Gets random pages for so long with so many readers.
pub(crate) async fn read(
    addr: SocketAddr,
    paths: &Arc<Vec<String>>,
    token: &str,
    readers: usize,
    during: Duration,
) -> anyhow::Result<Sent> {
    let began = micros();
    let until = began + u64::try_from(during.as_micros()).unwrap_or(0);
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let (paths, token) = (paths.clone(), token.to_owned());
        tasks.spawn(async move {
            let mut connection = Connection::open(addr).await?;
            let (mut sent, mut random) = (Sent::default(), Random(reader as u64 + 11));
            while micros() < until {
                let since = micros();
                let path = paths.get(random.place(paths.len())).context("there is nothing to read")?;
                let status = connection.get(path, &token).await?;
                sent.count(status, since);
            }
            Ok(sent)
        });
    }
    Sent::gather(began, tasks).await
}
