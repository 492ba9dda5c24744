//! The feed, live: one task reads the changes once, renders each once, and shares the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use timeline::{FeedChange, FeedKind, Store, StoreError};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::join::{Join, Need, Step};
use crate::metrics::Subscribed;
use crate::problem::Problem;
use crate::views::{ClientJson, ClientSummaryJson, ConversationJson, EntryJson};

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
    pub fn start(store: Arc<dyn Store>, stop: CancellationToken, tracker: &TaskTracker) -> Self {
        let shared = Arc::new(Shared {
            store,
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
                render(&mut bytes, change);
                self.send(Frame { after, position, bytes: bytes.into() });
                *at = Some(position);
            }
            if !full {
                self.at.store(position, Ordering::Relaxed);
                return Ok(());
            }
        }
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
        match self.shared.store.feed(self.join.position(), PAGE).await {
            Ok(changes) => {
                let (last, full) = (changes.last().map(|change| change.position), changes.len() >= PAGE);
                let mut chunk = Vec::new();
                changes.into_iter().for_each(|change| render(&mut chunk, change));
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
                Ok(frame) => more.extend(self.taken(frame).unwrap_or_default()),
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

/// Appends `id:`, `event:` and `data:` of one change.
fn render(out: &mut Vec<u8>, change: FeedChange) {
    let client = change.client;
    let data = match change.kind {
        FeedKind::Entry => {
            let data =
                EntryData { entry: change.entry.map(EntryJson::from), client: client.map(ClientJson::from) };
            serde_json::to_vec(&data)
        }
        FeedKind::Conversation => {
            let last = change.entry;
            let conversation = change.conversation.map(|row| {
                let summary = client.as_ref().map(|card| ClientSummaryJson::from(card.client.clone()));
                ConversationJson::new(row, summary, last)
            });
            serde_json::to_vec(&ConversationData { conversation, client: client.map(ClientJson::from) })
        }
        FeedKind::Client => serde_json::to_vec(&ClientData { client: client.map(ClientJson::from) }),
    };
    let data = data.expect("no shape has a map with keys that are not text");
    out.extend_from_slice(format!("id: {}\nevent: {}\ndata: ", change.position, change.kind).as_bytes());
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
}

/// `event: entry`
#[derive(serde::Serialize)]
struct EntryData {
    entry: Option<EntryJson>,
    client: Option<ClientJson>,
}

/// `event: conversation`
#[derive(serde::Serialize)]
struct ConversationData {
    conversation: Option<ConversationJson>,
    client: Option<ClientJson>,
}

/// `event: client`
#[derive(serde::Serialize)]
struct ClientData {
    client: Option<ClientJson>,
}
