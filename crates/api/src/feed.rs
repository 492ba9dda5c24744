//! The feed, live: who follows it is given every change as it happens, or as much as a screen can show.
//!
//! One task reads what is new and says how far the feed goes now. Everybody else stands at a position of their
//! own and takes what follows out of the pages all share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use timeline::{Store, StoreError};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Clock;
use crate::metrics::Subscribed;
use crate::pages::{Page, Pages};
use crate::problem::Problem;
use crate::screen::{Found, Hurry, Screen, Screens};

/// Streams open at once; the next one is told 503.
const SUBSCRIBERS: usize = 2_048;
/// Hints may be lost; this finds what they told of.
const SAFETY_POLL: Duration = Duration::from_secs(1);
/// How long to leave a store alone that was away.
const AWAY: Duration = Duration::from_secs(1);
/// Changes that follow one another faster are told together to a screen: there are many screens, and a hundred small
/// writes cost more than one large one, for us and for who reads them. What happens first after a silence is told at
/// once, and so is what concerns its agent before all others.
const PACE: Duration = Duration::from_millis(50);
/// In bytes: what a subscriber is given at once.
const CHUNK: usize = 64 * 1024;
/// In changes: whoever comes back to a screen from farther behind reads everything anew.
const FAR: i64 = 4_096;

/// The feed of one process. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    pages: Pages,
    /// As far as it was read.
    head: watch::Sender<i64>,
    wake: Notify,
    screens: Arc<Screens>,
    places: Arc<Semaphore>,
    /// Whoever holds it reads for those who come from behind. One of them at a time: beside who reads what is new they
    /// take at most two of the store's connections, of which SQLite has as few, and neither for longer than a page.
    turn: Mutex<()>,
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
            pages: Pages::new(Arc::clone(&store), clock),
            store,
            head: watch::Sender::new(0),
            wake: Notify::new(),
            screens: Arc::default(),
            places: Arc::new(Semaphore::new(SUBSCRIBERS)),
            turn: Mutex::default(),
        });
        tracker.spawn(tail(Arc::clone(&shared), stop));
        Feed(shared)
    }

    /// A hint that the feed has reached `position`. Costs nothing, may come late, twice or never: without
    /// hints changes are found within a second.
    pub fn wake(&self, position: i64) {
        if position > *self.0.head.borrow() {
            self.0.wake.notify_one();
        }
    }

    /// Follows the feed after a position, or from its present head: every change, or what the screen of an agent
    /// can show.
    pub(crate) async fn subscribe(
        &self,
        after: Option<i64>,
        screen: Option<String>,
    ) -> Result<Subscription, Problem> {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let place =
            place.map_err(|_| Problem::away(format!("{SUBSCRIBERS} event streams are open already")))?;
        // Listening first: what is added between the two steps is told of.
        let head = self.0.head.subscribe();
        let now = self.0.store.feed_head().await?;
        if let Some(after) = after.filter(|after| *after > now) {
            let sentence = format!("the feed ends at {now}, so nobody can have seen {after}");
            return Err(Problem::field("after", sentence));
        }
        self.0.wake.notify_one();
        Ok(Subscription {
            shared: Arc::clone(&self.0),
            head,
            position: after.unwrap_or(now),
            hurry: screen.as_ref().map(|agent| self.0.screens.open(agent)),
            screen: screen.map(|agent| Screen::of(agent, Instant::now())),
            rests_until: Instant::now(),
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
        if shared.head.receiver_count() == 0 {
            at = None;
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
    /// Reads everything that is new, and says how far it goes.
    async fn read_on(&self, at: &mut Option<i64>) -> Result<(), StoreError> {
        let mut position = match *at {
            Some(position) => position,
            None => {
                let head = self.store.feed_head().await?;
                self.tell(head);
                head
            }
        };
        loop {
            *at = Some(position);
            let page = self.pages.read(position).await?;
            let mut to = BTreeSet::new();
            let end = page.show(position, |frame| {
                to.extend(frame.to.iter().cloned());
                true
            });
            if end == position {
                return Ok(());
            }
            position = end;
            self.tell(position);
            self.screens.hurry(&to);
        }
    }
}

impl Shared {
    /// The feed goes as far as this.
    fn tell(&self, position: i64) {
        self.head.send_if_modified(|head| position > std::mem::replace(head, position.max(*head)));
    }
}

/// One who follows the feed.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    head: watch::Receiver<i64>,
    /// Everything up to here was told, or is left out.
    position: i64,
    screen: Option<Screen>,
    hurry: Option<Hurry>,
    rests_until: Instant,
    _place: OwnedSemaphorePermit,
    _counted: Subscribed,
}

impl Subscription {
    /// The next changes, rendered, as soon as there are any. May be dropped and asked again: nothing is
    /// taken before it is given.
    pub(crate) async fn next(&mut self) -> Bytes {
        // What was read last is kept until it was looked at.
        let mut _page = None;
        loop {
            self.rest().await;
            let head = *self.head.borrow_and_update();
            if self.position >= head && !self.silence().await {
                continue;
            }
            let taken = match &mut self.screen {
                None => everything(&self.shared.pages, &mut self.position),
                Some(screen) => for_screen(&self.shared.pages, screen, &mut self.position, head),
            };
            match taken {
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => return self.give(chunk),
                Err(missing) => _page = self.read(missing).await,
            }
        }
    }

    /// Until it is time to look again.
    async fn rest(&self) {
        if Instant::now() >= self.rests_until {
            return;
        }
        let hurried = async {
            match &self.hurry {
                Some(hurry) => hurry.heard().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(self.rests_until) => {}
            () = hurried => {}
        }
    }

    /// Until something is new, or until what was left out is to be told, which gives true.
    async fn silence(&mut self) -> bool {
        let due = self.screen.as_ref().and_then(Screen::due);
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // We hold the sender ourselves.
            _ = self.head.changed() => false,
            () = due => true,
        }
    }

    fn give(&mut self, chunk: Vec<u8>) -> Bytes {
        if self.screen.is_some() {
            self.rests_until = Instant::now() + PACE;
        }
        chunk.into()
    }

    /// What to send after a long silence. It says where the feed is: else who was told nothing because nothing
    /// was theirs would come back to a place far behind.
    pub(crate) fn still_here(&self) -> Bytes {
        match self.screen.as_ref().map(Screen::due) {
            Some(None) => format!(": still here\nid: {}\n\n", self.position).into(),
            _ => Bytes::from_static(b": still here\n\n"),
        }
    }

    async fn read(&self, position: i64) -> Option<Arc<Page>> {
        let turn = self.shared.turn.lock().await;
        let read = self.shared.pages.read(position).await;
        drop(turn);
        if read.is_err() {
            // The tailer has said so in the log; the stream stays open and goes on where it was.
            tokio::time::sleep(AWAY).await;
        }
        read.ok()
    }
}

/// What follows a position, as much as goes at once; `Err` is a position to read after.
fn everything(pages: &Pages, position: &mut i64) -> Result<Vec<u8>, i64> {
    let mut chunk = Vec::new();
    let end = pages.show(*position, |frame| {
        chunk.extend_from_slice(&frame.bytes);
        chunk.len() < CHUNK
    });
    if std::mem::replace(position, end) == end { Err(end) } else { Ok(chunk) }
}

/// What a screen is told of what lies between a position and the head, as far as it is known; `Err` is a position to
/// read after. Every page that was looked through is done with: they need not all fit into memory at once.
fn for_screen(pages: &Pages, screen: &mut Screen, position: &mut i64, head: i64) -> Result<Vec<u8>, i64> {
    let now = Instant::now();
    let (mut found, mut end) = (Found::default(), *position);
    if head - end > FAR {
        screen.leave_out(end, now);
        end = head;
    }
    while end < head {
        let next = pages.show(end, |frame| {
            screen.look(frame, &mut found);
            true
        });
        if next == end {
            break;
        }
        end = next;
    }
    if end == *position && end < head {
        return Err(end);
    }
    let after = std::mem::replace(position, end);
    Ok(screen.settle(found, after, end, now))
}
