//! From the journal to the broker, until core has it.
//!
//! One loop. Fresh records go first and as fast as 256 in flight allow; what is owed (after a start, a
//! lost link, a broker that lost something) goes behind them at a limited rate. Nothing is ever
//! dropped: what the broker will not have now is tried again, and what it will never have is parked,
//! counted, and tried again slowly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use object_store::ObjectStore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use connector::Clock;

use crate::broker::{Broker, Floor, Link, PublishError};
use crate::flight::{ANSWER_WITHIN, Flying, Outcome, Way};
use crate::journal::Journal;
use crate::ledger::{Answer, Asked, Flight, Landed, Lane, RecordId};

/// How hard the publisher works.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Publishes in flight. More only adds latency.
    pub in_flight: usize,
    /// Records published again, per second, so that a long tail does not drown the new ones.
    pub republish_per_second: u32,
    /// How often core's floor is asked for while something is unretired.
    pub floor_every: Duration,
    /// How long an answer about the floor is held back, so that a lost link is noticed before it is
    /// believed.
    pub settle: Duration,
    /// How long a parked record waits for its next try.
    pub park: Duration,
    /// The first and the longest wait when the broker is away or full.
    pub backoff: (Duration, Duration),
    /// At a stop, how long core may take to confirm what is left.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            in_flight: 256,
            republish_per_second: 2000,
            floor_every: Duration::from_millis(150),
            settle: Duration::from_millis(20),
            park: Duration::from_secs(10),
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
            grace: Duration::from_secs(5),
        }
    }
}

/// The open segment is closed when all in it is retired and it is larger than this, so that it can go.
const SPENT_BYTES: u64 = 256 * 1024;

pub(crate) struct Publisher {
    pub(crate) journal: Journal,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
}

type Asking = BoxFuture<'static, (Asked, Result<Floor, PublishError>)>;

/// The loop's own state.
struct State {
    link: Link,
    flights: FuturesUnordered<Flying>,
    asking: Option<Asking>,
    /// Owed records that may still go before the next tick.
    tokens: u32,
    /// Nothing is sent before.
    paused_until: Option<Instant>,
    backoff: Duration,
    park_until: Instant,
    trouble: Option<PublishError>,
}

impl Publisher {
    /// Works until `stop`, then until everything is retired, the broker is away or the grace is over.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let way = Way::new(self.journal.shared.clone(), self.broker.clone(), self.blobs.clone());
        let mut state = State {
            link: self.broker.link(),
            flights: FuturesUnordered::new(),
            asking: None,
            tokens: 0,
            paused_until: None,
            backoff: self.pace.backoff.0,
            park_until: Instant::now(),
            trouble: None,
        };
        let mut tick = tokio::time::interval(self.pace.floor_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = None;
        loop {
            // Whatever was waited for, the link may have changed meanwhile.
            self.relinked(&mut state);
            if let Some(deadline) = deadline {
                let done = self.journal.shared.book().ledger.counts().unretired == 0;
                if done || !state.link.connected || Instant::now() >= deadline {
                    return;
                }
            }
            self.send(&mut state, &way);
            let paused_until = state.paused_until;
            let known = state.link;
            tokio::select! {
                // The link first: what it says decides what the rest is worth. The flights late: under
                // load one has always landed, and nothing behind them would have its turn.
                biased;
                () = self.broker.link_changed(known) => self.relinked(&mut state),
                (asked, answer) = async { state.asking.as_mut().expect("it is polled only while there is one").await },
                    if state.asking.is_some() =>
                {
                    state.asking = None;
                    // The link may have changed while this branch was chosen.
                    self.relinked(&mut state);
                    self.answered(&mut state, asked, answer);
                }
                _ = tick.tick() => {
                    state.tokens = self.tokens_per_tick();
                    self.keep_house().await;
                    self.ask_floor(&mut state);
                }
                () = tokio::time::sleep_until(paused_until.unwrap_or_else(Instant::now)), if paused_until.is_some() => {
                    state.paused_until = None;
                }
                () = stop.cancelled(), if deadline.is_none() => {
                    self.journal.shared.stopping.store(true, Ordering::Release);
                    deadline = Some(Instant::now() + self.pace.grace);
                }
                Some((flight, outcome)) = state.flights.next(), if !state.flights.is_empty() => {
                    self.landed(&mut state, flight, outcome);
                }
                () = self.journal.shared.fresh.notified() => {}
            }
        }
    }

    /// Everything that may go now, goes.
    fn send(&self, state: &mut State, way: &Arc<Way>) {
        if !state.link.connected || state.paused_until.is_some() {
            return;
        }
        if state.asking.is_none() && state.trouble.is_none() && !self.journal.shared.book().ledger.begun() {
            self.ask_floor(state);
        }
        while state.flights.len() < self.pace.in_flight {
            let (flight, body) = {
                let mut book = self.journal.shared.book();
                let next = match book.ledger.take(Lane::Fresh) {
                    Some(flight) => Some(flight),
                    None if state.tokens > 0 => book.ledger.take(Lane::Owed).inspect(|_| state.tokens -= 1),
                    None => None,
                };
                let next = match next {
                    None if Instant::now() >= state.park_until => book.ledger.take(Lane::Parked),
                    next => next,
                };
                let Some(flight) = next else { return };
                if flight.lane == Lane::Parked {
                    state.park_until = Instant::now() + self.pace.park;
                }
                let body = book.remembered(flight.id);
                (flight, body)
            };
            state.flights.push(way.fly(flight, body.as_ref()));
        }
    }

    fn landed(&self, state: &mut State, flight: Flight, outcome: Outcome) {
        let shared = &self.journal.shared;
        let (id, lane) = (flight.id, flight.lane);
        match outcome {
            Outcome::Published(receipt) => {
                self.recovered(state);
                shared.meters.published.increment(1);
                if lane != Lane::Fresh {
                    shared.meters.republished.increment(1);
                }
                if lane == Lane::Parked {
                    // What held it may hold the others no longer.
                    state.park_until = Instant::now();
                }
                let landed = {
                    let mut book = shared.book();
                    book.drop_remembered(id);
                    book.ledger.published(flight, receipt)
                };
                if landed == Landed::RolledBack {
                    shared.meters.forgotten.increment(1);
                    warn!(
                        journal.seq = receipt.seq,
                        "the broker numbered a record as if it had lost some: all unretired ones are published again"
                    );
                }
            }
            Outcome::Unsent(PublishError::Refused(reason)) => self.park(flight, &reason),
            Outcome::Stuck(reason) => self.park(flight, &reason),
            Outcome::Unsent(why) => {
                shared.book().ledger.failed(flight, false);
                self.pause(state, why);
            }
        }
    }

    fn park(&self, flight: Flight, reason: &str) {
        // Said at its first parking only; the gauge stays.
        if flight.lane != Lane::Parked {
            let RecordId { segment, index } = flight.id;
            error!(
                journal.segment = segment,
                journal.record = index,
                reason,
                "a record could not be published for a reason of its own: it stays in the journal and is tried again slowly"
            );
        }
        self.journal.shared.book().ledger.failed(flight, true);
    }

    fn pause(&self, state: &mut State, why: PublishError) {
        if state.paused_until.is_none() {
            state.paused_until = Some(Instant::now() + state.backoff);
            state.backoff = (state.backoff * 2).min(self.pace.backoff.1);
        }
        if state.trouble.as_ref() != Some(&why) {
            warn!("{why}: the journal in {} keeps what comes", self.journal.shared.folder.display());
            state.trouble = Some(why);
        }
    }

    fn recovered(&self, state: &mut State) {
        state.backoff = self.pace.backoff.0;
        if state.trouble.take().is_some() {
            info!(
                "the broker takes records from the journal in {} again",
                self.journal.shared.folder.display()
            );
        }
    }

    fn relinked(&self, state: &mut State) {
        let now = self.broker.link();
        if now == state.link {
            return;
        }
        if now.generation != state.link.generation {
            self.journal.shared.book().ledger.forget();
            self.journal.shared.meters.forgotten.increment(1);
            state.asking = None;
        }
        if now.connected {
            // A new connection deserves a try at once.
            state.paused_until = None;
            state.backoff = self.pace.backoff.0;
            state.trouble = None;
        }
        state.link = now;
    }

    fn ask_floor(&self, state: &mut State) {
        let ledger = &self.journal.shared.book().ledger;
        let wanted = !ledger.begun() || ledger.counts().published > 0;
        if !wanted || !state.link.connected || state.asking.is_some() {
            return;
        }
        let (asked, broker, settle) = (ledger.ask_floor(), self.broker.clone(), self.pace.settle);
        state.asking = Some(Box::pin(async move {
            let answer = tokio::time::timeout(ANSWER_WITHIN, broker.floor()).await;
            let answer = answer.unwrap_or(Err(PublishError::Away));
            if answer.is_ok() {
                tokio::time::sleep(settle).await;
            }
            (asked, answer)
        }));
    }

    fn answered(&self, state: &mut State, asked: Asked, answer: Result<Floor, PublishError>) {
        let floor = match answer {
            Ok(floor) => floor,
            Err(why) => {
                if !self.journal.shared.book().ledger.begun() {
                    self.pause(state, why);
                }
                return;
            }
        };
        let shared = &self.journal.shared;
        let mut retired = Vec::new();
        let answer = {
            let mut book = shared.book();
            if !book.ledger.begun() {
                state.paused_until = None;
            }
            let answer = book.ledger.floor(asked, floor, |id| retired.push(id));
            shared.note(&book);
            answer
        };
        for id in retired {
            shared.spill.retired(id);
        }
        match answer {
            Answer::Retired(count) => shared.meters.retired.increment(count),
            Answer::Stale => {}
            Answer::Ahead => {
                warn!(
                    consumer.floor = floor.acked,
                    stream.last = floor.last,
                    "core's consumer is ahead of its stream, which must have lost its tail: nothing is published until that is healed"
                );
                state.paused_until = Some(Instant::now() + self.pace.floor_every);
            }
            Answer::RolledBack => {
                shared.meters.forgotten.increment(1);
                warn!(
                    stream.last = floor.last,
                    "the stream lost records or was created anew: all unretired ones are published again"
                );
            }
        }
    }

    /// Removes what is done with, wakes a broken writer, shows the figures.
    async fn keep_house(&self) {
        let shared = &self.journal.shared;
        let (deletable, spent, counts, oldest) = {
            let book = shared.book();
            let spent = book.ledger.spent(SPENT_BYTES.min(shared.limits.segment_bytes / 4));
            (!book.ledger.deletable().is_empty(), spent, book.ledger.counts(), book.ledger.oldest())
        };
        if let Some(number) = spent {
            self.journal.roll(number);
        }
        if shared.broken.load(Ordering::Acquire) && !shared.stopping.load(Ordering::Acquire) {
            self.journal.heal();
        }
        if deletable {
            let sweeping = shared.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || sweeping.sweep()).await {
                warn!(%error, "could not sweep the journal");
            }
        }
        let bytes = shared.bytes();
        let age = oldest.map_or(0, |oldest| (self.clock)().as_second() - i64::from(oldest));
        shared.meters.bytes.set(bytes as f64);
        shared.meters.unretired.set(counts.unretired as f64);
        shared.meters.parked.set(counts.parked as f64);
        shared.meters.oldest_seconds.set(age.max(0) as f64);
        shared.meters.damaged.set(shared.damaged as f64);
        if shared.has_room() {
            shared.meters.full.set(if bytes > shared.limits.max_bytes / 5 * 4 { 0.8 } else { 0.0 });
        }
    }

    fn tokens_per_tick(&self) -> u32 {
        let share = f64::from(self.pace.republish_per_second) * self.pace.floor_every.as_secs_f64();
        // Truncation is meant; a rate over four thousand million a second is not.
        (share as u32).max(1)
    }
}
