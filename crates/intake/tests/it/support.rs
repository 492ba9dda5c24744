//! A desk with a door: what most tests need.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use contact::RawBytes;
use intake::segment::Record;
use intake::{Door, DoorOptions, Limits, Pace, Refusal, Surroundings};
use jiff::Timestamp;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sim_broker::SimBroker;
use crate::sim_disk::SimDisk;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn folder() -> &'static Path {
    Path::new("/journal")
}

pub(crate) fn record(event: impl Into<String>) -> Record {
    Record {
        accepted_at: 1_800_000_000_000_000,
        subject: "contact.v1.phone.main".into(),
        spill: None,
        event: event.into().into(),
    }
}

pub(crate) fn small() -> Limits {
    Limits { max_bytes: 1 << 20, segment_bytes: 400, heal_every: Duration::ZERO }
}

pub(crate) fn quick() -> Pace {
    Pace {
        floor_every: Duration::from_millis(4),
        settle: Duration::from_millis(1),
        park: Duration::from_millis(10),
        backoff: (Duration::from_millis(2), Duration::from_millis(10)),
        republish_per_second: 100_000,
        grace: Duration::from_secs(10),
        ..Pace::default()
    }
}

/// Waits for the state, never for the clock.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "it did not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A door with its task running.
pub(crate) struct Desk {
    pub(crate) door: Door,
    pub(crate) disk: SimDisk,
    pub(crate) broker: Arc<SimBroker>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    /// Seconds since 1970, by the door's clock.
    pub(crate) now: Arc<AtomicI64>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

pub(crate) struct Setting {
    pub(crate) disk: SimDisk,
    pub(crate) broker: Arc<SimBroker>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) limits: Limits,
    pub(crate) pace: Pace,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            disk: SimDisk::default(),
            broker: Arc::default(),
            blobs: Arc::new(InMemory::new()),
            limits: small(),
            pace: quick(),
        }
    }
}

impl Setting {
    pub(crate) fn open(self) -> Desk {
        let options = DoorOptions {
            folder: PathBuf::from(folder()),
            lane: "contacts",
            limits: self.limits,
            pace: self.pace,
        };
        let now = Arc::new(AtomicI64::new(1_800_000_100));
        let clock = now.clone();
        let around = Surroundings {
            disk: Arc::new(self.disk.clone()),
            broker: self.broker.clone(),
            blobs: self.blobs.clone(),
            clock: Arc::new(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()),
        };
        let (door, task) = Door::open(options, around).unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(task.run(stop.clone()));
        Desk { door, disk: self.disk, broker: self.broker, blobs: self.blobs, now, stop, tasks }
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Setting::default().open()
    }

    pub(crate) async fn put(&self, event: impl Into<String>) -> Result<(), Refusal> {
        self.door.put("contact.v1.phone.main".into(), event.into().into_bytes(), None).await
    }

    pub(crate) async fn put_with_raw(&self, event: &str, raw: &[u8]) -> Result<(), Refusal> {
        let raw = RawBytes::new("message/rfc822", raw);
        self.door.put("contact.v1.email.support".into(), event.as_bytes().to_vec(), Some(raw)).await
    }

    pub(crate) async fn drained(&self) {
        tokio::time::timeout(DEADLINE, self.door.drained()).await.expect("the journal was not drained");
    }

    /// Waits until the publisher has acted on so many more answers about the floor.
    pub(crate) async fn floors(&self, more: usize) {
        // An answer is acted on before the next question is asked, hence one more.
        let wanted = self.broker.asked() + more + 1;
        eventually("the floor is asked for", || self.broker.asked() >= wanted).await;
    }

    /// A clean stop.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(DEADLINE, self.tasks.wait()).await.expect("the door did not stop");
    }

    /// The power goes, strictly; the next start finds what it finds. The broker lives on.
    pub(crate) fn after_power_loss(&self, loss: crate::sim_disk::Loss) -> Setting {
        Setting {
            disk: self.disk.state().after(loss),
            broker: self.broker.clone(),
            blobs: self.blobs.clone(),
            ..Setting::default()
        }
    }
}
