//! The door: what connectors see of all this.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use connector::{Clock, Intake, IntakeError};
use contact::{Event, RawBytes};
use object_store::ObjectStore;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::broker::Broker;
use crate::disk::Disk;
use crate::journal::{FULL_RETRY, Journal, Limits, Refusal};
use crate::publisher::{Pace, Publisher};
use crate::recover::OpenError;
use crate::segment::{Record, SpillRef};

/// What a source is asked to wait when the process ends: another one, or another copy, is near.
const STOPPING_RETRY: Duration = Duration::from_secs(5);

/// Where a door keeps its things, and within which bounds.
#[derive(Clone, Debug)]
pub struct DoorOptions {
    /// A folder of its own.
    pub folder: PathBuf,
    /// Its name in metrics: `contacts`, `quarantine`.
    pub lane: &'static str,
    pub limits: Limits,
    pub pace: Pace,
}

/// What a door leans on.
#[derive(Clone)]
pub struct Surroundings {
    pub disk: Arc<dyn Disk>,
    pub broker: Arc<dyn Broker>,
    /// Where large raws end up. A local one must flush (`with_fsync(true)`).
    pub blobs: Arc<dyn ObjectStore>,
    pub clock: Clock,
}

/// Takes contact events and keeps them until core has them. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    journal: Journal,
    clock: Clock,
}

/// The door's own work; see [`DoorTask::run`].
pub struct DoorTask {
    publisher: Publisher,
}

/// How the door is doing, for readiness and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorStatus {
    /// An ordinary event would be taken now.
    pub accepting: bool,
    /// The disk refused, and no new segment could be made since.
    pub broken: bool,
    /// On the disk, spilled raws and damaged segments included.
    pub bytes: u64,
    pub max_bytes: u64,
    /// Records core has not confirmed.
    pub unretired: u64,
    /// Those of them that were refused for a reason of their own.
    pub parked: u64,
    /// Segments kept aside for a person to look at.
    pub damaged: u64,
    /// How long the oldest unretired record has been here.
    pub oldest: Option<Duration>,
}

impl Door {
    /// Opens the folder, with what a former process left in it. Nothing is published before
    /// [`DoorTask::run`]; accepting works at once.
    pub fn open(options: DoorOptions, around: Surroundings) -> Result<(Self, DoorTask), OpenError> {
        let journal = Journal::open(&options.folder, options.limits, around.disk, options.lane)?;
        let door = Self { journal: journal.clone(), clock: around.clock.clone() };
        let publisher = Publisher {
            journal,
            broker: around.broker,
            blobs: around.blobs,
            clock: around.clock,
            pace: options.pace,
        };
        Ok((door, DoorTask { publisher }))
    }

    /// Returns once `body` is durable; it will be published on `subject` as it is. With `spill`, that
    /// raw is durable too, and in the blob store before `body` is published.
    pub async fn put(&self, subject: String, body: Vec<u8>, spill: Option<RawBytes>) -> Result<(), Refusal> {
        if self.journal.shared.stopping.load(Ordering::Acquire) {
            return Err(Refusal::Stopping);
        }
        let accepted_at = (self.clock)().as_microsecond();
        let mut record = Record { accepted_at, subject, spill: None, event: body.into() };
        let Some(raw) = spill else { return self.journal.append(&record).await };

        let shared = self.journal.shared.clone();
        let spilled = tokio::task::spawn_blocking(move || {
            let reference = raw.reference();
            let sha256 = digest(&reference.sha256).ok_or_else(|| broken("its digest is none".to_owned()))?;
            let hold = shared.spill.hold(sha256, reference.size);
            if shared.bytes() > shared.limits.max_bytes {
                return Err(Refusal::Full { retry_after: FULL_RETRY });
            }
            hold.write(&raw.bytes).map_err(|cause| match cause.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Refusal::Full { retry_after: FULL_RETRY }
                }
                _ => {
                    error!(error = %cause, "could not write a large raw beside the journal: its event is refused");
                    broken(format!("could not write a large raw: {cause}"))
                }
            })?;
            Ok((hold, SpillRef { sha256, size: reference.size, media_type: reference.media_type }))
        })
        .await
        .unwrap_or_else(|cause| Err(broken(format!("could not write a large raw: {cause}"))));
        match spilled {
            Ok((hold, reference)) => {
                record.spill = Some(reference);
                self.journal.append_held(&record, Some(hold)).await
            }
            Err(refusal) => {
                self.journal.shared.meters.refused.increment(1);
                Err(refusal)
            }
        }
    }

    /// How the door is doing now.
    pub fn status(&self) -> DoorStatus {
        let shared = &self.journal.shared;
        let broken = shared.broken.load(Ordering::Acquire);
        let stopping = shared.stopping.load(Ordering::Acquire);
        let (counts, oldest) = {
            let book = shared.book();
            (book.ledger.counts(), book.ledger.oldest())
        };
        let age = |since: u32| {
            Duration::from_secs(u64::try_from((self.clock)().as_second() - i64::from(since)).unwrap_or(0))
        };
        DoorStatus {
            accepting: !broken && !stopping && shared.has_room() && self.journal.writes(),
            broken,
            bytes: shared.bytes(),
            max_bytes: shared.limits.max_bytes,
            unretired: counts.unretired,
            parked: counts.parked,
            damaged: shared.damaged,
            oldest: oldest.map(age),
        }
    }

    /// Returns once core has confirmed everything that is in the journal.
    pub async fn drained(&self) {
        let mut unretired = self.journal.shared.unretired.subscribe();
        // The sender lives in the journal, which lives in `self`.
        unretired.wait_for(|unretired| *unretired == 0).await.ok();
    }
}

#[async_trait]
impl Intake for Door {
    async fn accept(&self, mut event: Event, raw: RawBytes) -> Result<(), IntakeError> {
        let source = &event.key.source;
        let subject = format!("contact.v1.{}.{}", source.channel(), source.name());
        let spill = if raw.fits_inline() {
            event.raw = Some(raw.inline());
            None
        } else {
            event.raw = Some(raw.reference());
            Some(raw)
        };
        self.put(subject, event.to_json(), spill).await.map_err(IntakeError::from)
    }
}

impl From<Refusal> for IntakeError {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.to_string();
        match refusal {
            Refusal::Full { retry_after } => IntakeError::Full { retry_after },
            Refusal::Broken { reason, retry_after } => IntakeError::Broken { reason, retry_after },
            Refusal::TooLarge(_) => IntakeError::Broken { reason, retry_after: FULL_RETRY },
            Refusal::Stopping => IntakeError::Broken { reason, retry_after: STOPPING_RETRY },
        }
    }
}

impl DoorTask {
    /// Publishes and retires until `stop`; then takes nothing more, gives core the grace to confirm what
    /// is left, and leaves the folder tidy: empty, if everything was confirmed.
    ///
    /// Without this task records are only collected, up to the bound.
    pub async fn run(self, stop: CancellationToken) {
        self.publisher.run(stop).await;
        self.publisher.journal.close().await;
    }
}

fn broken(reason: String) -> Refusal {
    Refusal::Broken { reason, retry_after: Duration::from_secs(1) }
}

fn digest(hex_text: &str) -> Option<[u8; 32]> {
    hex::decode(hex_text).ok()?.try_into().ok()
}
