//! The journal: what was appended is on the disk before the caller hears of it.
//!
//! One thread writes. Everything that queued while its last flush ran goes with the next one, so a slow
//! disk costs time and not throughput. A write or flush that fails closes its segment for good: such a
//! file is never written or flushed again, because after a failed flush nobody knows what the kernel
//! still holds. The door answers [`Refusal::Broken`] until a new segment could be made and flushed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tracing::warn;

use crate::disk::Disk;
use crate::ledger::{Ledger, RecordId};
use crate::meters::Meters;
use crate::recover::{OpenError, recover, segment_name};
use crate::segment::{MAX_RECORD, Record};
use crate::spill::{Hold, Spill};
use crate::writer::{Append, Command, Writer};

/// How long a refused source is asked to wait when the journal is full: room appears when core has
/// caught up, which takes seconds rather than milliseconds.
pub const FULL_RETRY: Duration = Duration::from_secs(10);

/// Appends that may wait for the writer; the next one waits for a place, and so does its source.
const QUEUE: usize = 4096;

/// Bytes of records that may wait for the writer; the next one waits for room.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of records kept in memory until they are published; what is over is read back from the disk.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// The bounds of one journal.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Segments, spilled raws and damaged files together; then the door is full.
    pub max_bytes: u64,
    /// A segment is closed when it would grow over this. At most a quarter of `max_bytes` is used.
    pub segment_bytes: u64,
    /// After a failure, how often at most a new segment is tried.
    pub heal_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024 * 1024,
            segment_bytes: 32 * 1024 * 1024,
            heal_every: Duration::from_secs(1),
        }
    }
}

/// Why a record was not taken. Nothing was promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bound is reached, or the disk itself is full.
    #[error("the journal is full")]
    Full { retry_after: Duration },
    #[error("the journal cannot write: {reason}")]
    Broken { reason: String, retry_after: Duration },
    /// It will never fit.
    #[error("a record of {0} bytes is too large for the journal")]
    TooLarge(usize),
    #[error("the journal is closing")]
    Stopping,
}

/// The durable log of one door. Cheap to clone; the folder is free again when [`Journal::close`]
/// returned or the last clone is gone.
#[derive(Clone)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    writer: Arc<WriterHandle>,
}

/// What the writer, the publisher and the door look at together.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) meters: Meters,
    pub(crate) spill: Arc<Spill>,
    /// Something fresh is in the book.
    pub(crate) fresh: Notify,
    /// How many records are unretired, for those who wait for none.
    pub(crate) unretired: watch::Sender<u64>,
    /// The last write failed and no new segment could be made since.
    pub(crate) broken: AtomicBool,
    pub(crate) stopping: AtomicBool,
    pub(crate) damaged: u64,
    damaged_bytes: u64,
    segment_bytes: AtomicU64,
    book: Mutex<Book>,
}

/// The ledger, and the records it is worth keeping in memory.
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    cache: HashMap<RecordId, Bytes>,
    cached: usize,
}

struct WriterHandle {
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Takes the folder for this process, reads back what it holds and starts the writer. `lane` names
    /// it in metrics.
    pub fn open(
        folder: &Path,
        limits: Limits,
        disk: Arc<dyn Disk>,
        lane: &'static str,
    ) -> Result<Self, OpenError> {
        let io = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |cause| OpenError::Io { doing, path, cause }
        };
        disk.ensure_folder(folder).map_err(io("make the folder", folder))?;
        let lock = disk
            .lock(&folder.join("journal.lock"))
            .map_err(|cause| OpenError::Lock { folder: folder.to_path_buf(), cause })?;
        let found = recover(&*disk, folder)?;
        let spills = folder.join("spill");
        let spill = Spill::open(disk.clone(), spills.clone(), found.spilled).map_err(io("sweep", &spills))?;
        let limits = Limits { segment_bytes: limits.segment_bytes.min(limits.max_bytes / 4), ..limits };
        let shared = Arc::new(Shared {
            segment_bytes: AtomicU64::new(found.ledger.bytes()),
            unretired: watch::Sender::new(found.ledger.counts().unretired),
            disk,
            folder: folder.to_path_buf(),
            limits,
            meters: Meters::new(lane),
            spill,
            fresh: Notify::new(),
            broken: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            damaged: found.damaged,
            damaged_bytes: found.damaged_bytes,
            book: Mutex::new(Book { ledger: found.ledger, cache: HashMap::new(), cached: 0 }),
        });
        let (queue, commands) = mpsc::channel(QUEUE);
        let writer = Writer::new(shared.clone(), found.next_number);
        let thread = std::thread::Builder::new()
            .name(format!("journal-{lane}"))
            .spawn(move || {
                writer.run(commands);
                drop(lock);
            })
            .map_err(io("start the writer of", folder))?;
        let writer = WriterHandle {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// Returns once the record is on the disk, its segment's name included. A caller that stops
    /// waiting loses the answer, not the record.
    pub async fn append(&self, record: &Record) -> Result<(), Refusal> {
        self.append_held(record, None).await
    }

    pub(crate) async fn append_held(&self, record: &Record, hold: Option<Hold>) -> Result<(), Refusal> {
        let answer = self.queue(record, hold).await;
        if answer.is_err() {
            self.shared.meters.refused.increment(1);
        }
        answer
    }

    async fn queue(&self, record: &Record, hold: Option<Hold>) -> Result<(), Refusal> {
        let framed = record.encode().map_err(|too_large| Refusal::TooLarge(too_large.0))?;
        let Some(queue) = self.writer.sender() else { return Err(Refusal::Stopping) };
        // The frame adds less than the smallest permit is worth; MAX_RECORD fits many times.
        let weight = u32::try_from(framed.len().min(MAX_RECORD)).unwrap_or(u32::MAX);
        let room =
            self.writer.room.clone().acquire_many_owned(weight).await.map_err(|_| Refusal::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let append = Append { framed, accepted_at: record.accepted_at, hold, reply, _room: room };
        queue.send(Command::Append(append)).await.map_err(|_| Refusal::Stopping)?;
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// What core has not confirmed, in the order it came, read back from the disk. Blocks on it; meant
    /// for a person who looks at a folder.
    pub fn unretired(&self) -> std::io::Result<Vec<Record>> {
        let ids = self.shared.book().ledger.unretired();
        let damaged = || std::io::Error::new(std::io::ErrorKind::InvalidData, "a record changed on the disk");
        ids.into_iter().map(|id| self.shared.read(id)?.ok_or_else(damaged)).collect()
    }

    /// Whether there is still a writer to take records.
    pub(crate) fn writes(&self) -> bool {
        self.writer.sender().is_some_and(|queue| !queue.is_closed())
    }

    /// Asks the writer to close segment `number` so that it can go.
    pub(crate) fn roll(&self, number: u32) {
        self.ask(Command::Roll(number));
    }

    /// Asks the writer to try a new segment, if it is time.
    pub(crate) fn heal(&self) {
        self.ask(Command::Heal);
    }

    /// A full queue means the writer is busy with better things; it will be asked again.
    fn ask(&self, command: Command) {
        if let Some(queue) = self.writer.sender() {
            queue.try_send(command).ok();
        }
    }

    /// Ends it: what is queued is written, segments that are done with are removed, the unretired
    /// records of half-retired segments are moved together so that the next start repeats only them,
    /// and the folder is given back.
    pub async fn close(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let Some(queue) = self.writer.take() else { return };
        // The writer ends by itself when the queue is gone; `Stop` makes it tidy up.
        queue.send(Command::Stop).await.ok();
        drop(queue);
        let writer = self.writer.clone();
        if tokio::task::spawn_blocking(move || writer.join()).await.is_err() {
            warn!("could not wait for the journal's writer");
        }
    }
}

impl WriterHandle {
    fn sender(&self) -> Option<mpsc::Sender<Command>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> Option<mpsc::Sender<Command>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!("the journal's writer had panicked");
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        drop(self.take());
        self.join();
    }
}

impl Shared {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that counts against the bound.
    pub(crate) fn bytes(&self) -> u64 {
        self.segment_bytes.load(Ordering::Acquire) + self.spill.bytes() + self.damaged_bytes
    }

    /// To be called after each change of the ledger's bytes or counts, with the book still in hand.
    pub(crate) fn note(&self, book: &Book) {
        self.segment_bytes.store(book.ledger.bytes(), Ordering::Release);
        let unretired = book.ledger.counts().unretired;
        self.unretired.send_if_modified(|seen| std::mem::replace(seen, unretired) != unretired);
    }

    /// Whether a record of ordinary size would still be taken.
    pub(crate) fn has_room(&self) -> bool {
        let ordinary = (self.limits.max_bytes / 16).min(64 * 1024);
        self.bytes() + ordinary <= self.limits.max_bytes
    }

    /// Removes the files of segments that are done with. Blocks on the disk. A removal that power takes
    /// back only repeats records, so no folder flush is needed.
    pub(crate) fn sweep(&self) {
        let deletable = self.book().ledger.deletable();
        for number in deletable {
            let path = self.folder.join(segment_name(number));
            match self.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(%error, journal.file = %path.display(), "could not remove a segment that is done with");
                }
                _ => {
                    let mut book = self.book();
                    book.ledger.removed(number);
                    self.note(&book);
                }
            }
        }
    }

    /// The record as it lies in its file. Blocks on the disk, if it is not in memory.
    pub(crate) fn read(&self, id: RecordId) -> std::io::Result<Option<Record>> {
        let place = self.book().ledger.place(id);
        let Some(place) = place else { return Ok(None) };
        let path = self.folder.join(segment_name(id.segment));
        let framed = self.disk.read_at(&path, place.offset, place.len as usize)?;
        Ok(Record::decode(&framed.into()))
    }
}

impl Book {
    /// Keeps a record in memory until it is published, while there is room.
    pub(crate) fn remember(&mut self, id: RecordId, framed: &Bytes) {
        if self.cached + framed.len() <= CACHE_BYTES {
            self.cached += framed.len();
            self.cache.insert(id, framed.clone());
        }
    }

    pub(crate) fn remembered(&self, id: RecordId) -> Option<Bytes> {
        self.cache.get(&id).cloned()
    }

    pub(crate) fn drop_remembered(&mut self, id: RecordId) {
        if let Some(framed) = self.cache.remove(&id) {
            self.cached -= framed.len();
        }
    }
}
