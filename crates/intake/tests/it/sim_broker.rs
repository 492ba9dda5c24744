//! A broker in memory, with core behind it, that goes away, fills up, loses its tail and starts anew.

use std::collections::HashSet;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use intake::{Broker, Floor, Link, PublishError, Receipt};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::sim_disk::SimDisk;

pub(crate) struct SimBroker {
    state: Mutex<State>,
    link: watch::Sender<Link>,
    /// Where commits are marked, if anywhere.
    disk: Option<SimDisk>,
}

#[derive(Default)]
struct State {
    /// Number and body; `None` is somebody else's.
    stream: Vec<(u64, Option<Bytes>)>,
    last: u64,
    created: i64,
    acked: u64,
    committed: Vec<Bytes>,
    /// Every publish that arrived, in order.
    arrived: Vec<(String, Bytes)>,
    tried: usize,
    asked: usize,
    core_sleeps: bool,
    room: Option<usize>,
    /// What is lost and written by others at the next look at the floor.
    unnoticed: Option<(u64, u64)>,
    refused: HashSet<Bytes>,
}

impl Default for SimBroker {
    fn default() -> Self {
        let state = State { created: 1, ..State::default() };
        Self {
            state: Mutex::new(state),
            link: watch::Sender::new(Link { connected: true, generation: 1 }),
            disk: None,
        }
    }
}

impl SimBroker {
    pub(crate) fn marking(disk: SimDisk) -> Self {
        Self { disk: Some(disk), ..Self::default() }
    }

    /// Core commits nothing until it wakes.
    pub(crate) fn core_sleeps(&self, sleeps: bool) {
        self.with(|state| state.core_sleeps = sleeps);
    }

    pub(crate) fn set_room(&self, room: Option<usize>) {
        self.with(|state| state.room = room);
    }

    pub(crate) fn refuse(&self, body: &[u8], refuse: bool) {
        let body = Bytes::copy_from_slice(body);
        self.with(|state| if refuse { state.refused.insert(body) } else { state.refused.remove(&body) });
    }

    pub(crate) fn disconnect(&self) {
        self.link.send_modify(|link| *link = Link { connected: false, generation: link.generation + 1 });
    }

    pub(crate) fn connect(&self) {
        self.link.send_modify(|link| link.connected = true);
    }

    /// Loses the last numbers; others then write as many or more.
    pub(crate) fn lose_tail(&self, lost: u64, others: u64) {
        self.with(|state| {
            state.last -= lost;
            let last = state.last;
            state.stream.retain(|(seq, _)| *seq <= last);
            state.acked = state.acked.min(last);
            for _ in 0..others {
                state.last += 1;
                state.stream.push((state.last, None));
            }
        });
    }

    /// At the next look at the floor the broker has come back without its tail, others have written
    /// since, core has committed theirs, and the news of the lost link comes after the answer.
    pub(crate) fn lose_tail_unnoticed(&self, lost: u64, others: u64) {
        self.with(|state| state.unnoticed = Some((lost, others)));
    }

    /// Core's consumer keeps a floor that its stream no longer has.
    pub(crate) fn set_acked(&self, acked: u64) {
        self.with(|state| state.acked = acked);
    }

    pub(crate) fn recreate(&self) {
        self.with(|state| {
            state.created += 1;
            state.stream.clear();
            state.last = 0;
            state.acked = 0;
        });
    }

    pub(crate) fn committed(&self) -> Vec<Bytes> {
        self.with(|state| state.committed.clone())
    }

    pub(crate) fn has_committed(&self, body: &[u8]) -> bool {
        self.with(|state| state.committed.iter().any(|other| other == body))
    }

    pub(crate) fn arrived(&self) -> Vec<(String, Bytes)> {
        self.with(|state| state.arrived.clone())
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.with(|state| state.arrived.iter().map(|(_, body)| body.clone()).collect())
    }

    /// Publishes tried, also those that failed.
    pub(crate) fn tried(&self) -> usize {
        self.with(|state| state.tried)
    }

    /// Questions about the floor that were answered.
    pub(crate) fn asked(&self) -> usize {
        self.with(|state| state.asked)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }
}

impl State {
    /// Core takes what is there.
    fn commit(&mut self, disk: Option<&SimDisk>) {
        if self.core_sleeps || self.acked > self.last {
            return;
        }
        let fresh: Vec<_> = self.stream.iter().filter(|(seq, _)| *seq > self.acked).cloned().collect();
        for (_, body) in fresh {
            let Some(body) = body else { continue };
            if let Some(disk) = disk {
                disk.mark(format!("committed {}", String::from_utf8_lossy(&body)));
            }
            self.committed.push(body);
        }
        self.acked = self.last;
    }
}

#[async_trait]
impl Broker for SimBroker {
    fn publish(&self, subject: &str, body: Bytes) -> BoxFuture<'static, Result<Receipt, PublishError>> {
        let connected = self.link.borrow().connected;
        let answer = self.with(|state| {
            state.tried += 1;
            if !connected {
                return Err(PublishError::Away);
            }
            if state.room.is_some_and(|room| state.stream.len() >= room) {
                return Err(PublishError::Full);
            }
            if state.refused.contains(&body) {
                return Err(PublishError::Refused("too large".to_owned()));
            }
            state.last += 1;
            state.stream.push((state.last, Some(body.clone())));
            state.arrived.push((subject.to_owned(), body));
            Ok(Receipt { seq: state.last, stream_created: state.created })
        });
        async move { answer }.boxed()
    }

    async fn floor(&self) -> Result<Floor, PublishError> {
        if !self.link.borrow().connected {
            return Err(PublishError::Away);
        }
        if let Some((lost, others)) = self.with(|state| state.unnoticed.take()) {
            self.lose_tail(lost, others);
            self.core_sleeps(false);
            let link = self.link.clone();
            TaskTracker::new().spawn(async move {
                link.send_modify(|link| link.generation += 1);
            });
        }
        Ok(self.with(|state| {
            state.commit(self.disk.as_ref());
            state.asked += 1;
            Floor { acked: state.acked, last: state.last, stream_created: state.created }
        }))
    }

    fn link(&self) -> Link {
        *self.link.borrow()
    }

    async fn link_changed(&self, known: Link) {
        self.link.subscribe().wait_for(|link| *link != known).await.unwrap();
    }
}
