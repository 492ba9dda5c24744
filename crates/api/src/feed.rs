//! The feed, live: one task reads the changes once, renders each once, and shares the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use timeline::{FeedChange, Store, StoreError};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Clock;
use crate::join::{Join, Need, Step};
use crate::metrics::Subscribed;
use crate::problem::Problem;
use crate::render::render;

/// Changes read at once.
const PAGE: usize = 256;
/// Live frames kept for the slowest subscriber. One who falls further behind reads from the store
/// until they are up again; nothing is lost.
const RING: usize = 4_096;
/// Streams open at once; the next one is told 503.
const SUBSCRIBERS: usize = 2_048;
/// Subscribers that read from the store at once; the others wait their turn, so that a thousand
/// consoles that come back together do not take the readers from everybody else.
const READERS: usize = 4;
/// Hints may be lost; this finds what they told of.
const SAFETY_POLL: Duration = Duration::from_secs(1);
/// How long to leave a store alone that was away.
const AWAY: Duration = Duration::from_secs(1);
/// In bytes: what a subscriber is given at once.
const CHUNK: usize = 64 * 1024;

/// The feed of one process. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    ring: broadcast::Sender<Frame>,
    wake: Notify,
    /// The last position that was read for the ring.
    at: AtomicI64,
    places: Arc<Semaphore>,
    readers: Semaphore,
}

/// One change as every subscriber is sent it.
#[derive(Clone)]
struct Frame {
    /// The change before it. A frame that is its own predecessor has no bytes: it marks where the ring
    /// begins.
    after: i64,
    position: i64,
    bytes: Bytes,
}

impl Feed {
    /// Starts the one task that reads the feed; it ends at `stop`. While nobody listens it reads nothing.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        stop: CancellationToken,
        tracker: &TaskTracker,
    ) -> Self {
        let shared = Arc::new(Shared {
            store,
            clock,
            ring: broadcast::Sender::new(RING),
            wake: Notify::new(),
            at: AtomicI64::new(-1),
            places: Arc::new(Semaphore::new(SUBSCRIBERS)),
            readers: Semaphore::new(READERS),
        });
        tracker.spawn(tail(Arc::clone(&shared), stop));
        Feed(shared)
    }

    /// A hint that the feed has reached `position`. Costs nothing, may come late, twice or never: without
    /// hints changes are found within a second.
    pub fn wake(&self, position: i64) {
        if position > self.0.at.load(Ordering::Relaxed) {
            self.0.wake.notify_one();
        }
    }

    /// Follows the feed after a position, or from its present head.
    pub(crate) async fn subscribe(&self, after: Option<i64>) -> Result<Subscription, Problem> {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let place =
            place.map_err(|_| Problem::away(format!("{SUBSCRIBERS} event streams are open already")))?;
        // Listening first: what is added between the two steps is in the ring.
        let ring = self.0.ring.subscribe();
        let head = self.0.store.feed_head().await?;
        if let Some(after) = after.filter(|after| *after > head) {
            let sentence = format!("the feed ends at {head}, so nobody can have seen {after}");
            return Err(Problem::field("after", sentence));
        }
        self.0.wake.notify_one();
        let join = Join::at(after.unwrap_or(head));
        Ok(Subscription {
            shared: Arc::clone(&self.0),
            ring,
            join,
            _place: place,
            _counted: Subscribed::new(),
        })
    }
}

/// Reads the feed whenever there is something and somebody to read it for.
async fn tail(shared: Arc<Shared>, stop: CancellationToken) {
    let mut at = None;
    let mut away = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(SAFETY_POLL) => {}
        }
        if shared.ring.receiver_count() == 0 {
            at = None;
            shared.at.store(-1, Ordering::Relaxed);
            continue;
        }
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            read = shared.read_on(&mut at) => read,
        };
        match read {
            Ok(()) if away => {
                away = false;
                tracing::info!("the feed goes on");
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(error = %error, cause, "the feed stands still until the store is back");
                }
                // A hint every millisecond is no reason to ask every millisecond.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(AWAY) => shared.wake.notify_one(),
                }
            }
        }
    }
}

impl Shared {
    /// Puts everything that is new into the ring.
    async fn read_on(&self, at: &mut Option<i64>) -> Result<(), StoreError> {
        let mut position = match *at {
            Some(position) => position,
            None => {
                let head = self.store.feed_head().await?;
                self.send(Frame { after: head, position: head, bytes: Bytes::new() });
                head
            }
        };
        loop {
            *at = Some(position);
            self.at.store(position, Ordering::Relaxed);
            let changes = self.store.feed(position, PAGE).await?;
            let full = changes.len() >= PAGE;
            for change in changes {
                let after = std::mem::replace(&mut position, change.position);
                let mut bytes = Vec::with_capacity(2_048);
                self.render(&mut bytes, change).await?;
                self.send(Frame { after, position, bytes: bytes.into() });
                *at = Some(position);
            }
            if !full {
                self.at.store(position, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// A call that rings is shown with everything one must know to answer it.
    async fn render(&self, out: &mut Vec<u8>, change: FeedChange) -> Result<(), StoreError> {
        let caller = change.client.as_ref().filter(|_| !change.rings.is_empty()).map(|card| card.client.id);
        let dossier = match caller {
            Some(client) => self.store.dossier(client).await?,
            None => None,
        };
        render(out, change, dossier, (self.clock)());
        Ok(())
    }

    async fn page(&self, after: i64) -> Result<(Vec<u8>, Option<i64>, bool), StoreError> {
        let changes = self.store.feed(after, PAGE).await?;
        let (last, full) = (changes.last().map(|change| change.position), changes.len() >= PAGE);
        let mut chunk = Vec::new();
        for change in changes {
            self.render(&mut chunk, change).await?;
        }
        Ok((chunk, last, full))
    }

    fn send(&self, frame: Frame) {
        // Nobody listening is no error.
        self.ring.send(frame).ok();
    }
}

/// One who follows the feed.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    ring: broadcast::Receiver<Frame>,
    join: Join,
    _place: OwnedSemaphorePermit,
    _counted: Subscribed,
}

impl Subscription {
    /// The next changes, rendered, as soon as there are any. May be dropped and asked again: nothing is
    /// taken before it is given.
    pub(crate) async fn next(&mut self) -> Bytes {
        loop {
            let chunk = match self.join.need() {
                Need::Page => self.page().await,
                Need::Ring => self.live().await,
            };
            if !chunk.is_empty() {
                return chunk;
            }
        }
    }

    async fn page(&mut self) -> Bytes {
        let _turn = self.shared.readers.acquire().await;
        match self.shared.page(self.join.position()).await {
            Ok((chunk, last, full)) => {
                self.join.page(last, full);
                chunk.into()
            }
            Err(_) => {
                // The tailer has said so in the log; the stream stays open and goes on where it was.
                drop(_turn);
                tokio::time::sleep(AWAY).await;
                Bytes::new()
            }
        }
    }

    /// What the ring has, in one piece.
    async fn live(&mut self) -> Bytes {
        let first = match self.ring.recv().await {
            Ok(frame) => self.taken(frame),
            Err(RecvError::Lagged(_)) => {
                self.join.lagged();
                None
            }
            // We hold the sender ourselves.
            Err(RecvError::Closed) => std::future::pending().await,
        };
        let mut more = Vec::new();
        while self.join.need() == Need::Ring && more.len() < CHUNK {
            match self.ring.try_recv() {
                // As a slice: `Bytes` as an iterator gives one byte after the other, to every console.
                Ok(frame) => more.extend_from_slice(&self.taken(frame).unwrap_or_default()),
                Err(TryRecvError::Lagged(_)) => self.join.lagged(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let first = first.unwrap_or_default();
        if more.is_empty() { first } else { [first, more.into()].concat().into() }
    }

    fn taken(&mut self, frame: Frame) -> Option<Bytes> {
        (self.join.offer(frame.after, frame.position) == Step::Take).then_some(frame.bytes)
    }
}
