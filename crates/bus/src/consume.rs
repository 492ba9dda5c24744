//! Out of the bus: pull what is ready, have it judged, say so to the broker.
//!
//! One loop on a connection of its own, so that acks do not queue behind publishes. It takes what
//! is there and never waits for more; under load batches fill by themselves.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::conn::{Conn, Session};
use crate::handler::{Delivery, Handler};
use crate::judge::{Judgement, Verdict, judge};
use crate::lane::{Behind, Live};
use crate::names;
use crate::publish::Bus;
use crate::topology::{ACK_WAIT, Consumer};

/// Messages in a batch at most: beyond it the store gains little, and agents' acts wait longer.
pub(crate) const MOST: usize = 512;
/// A slow store still gets batches of this size: most of what it takes is then the flush of its commit,
/// which costs the same for any size, and smaller batches would only make it slower.
const LEAST: usize = 256;
/// What a batch may cost; a full one costs about half of it where the disk is quick. Agents' acts go
/// between batches.
const WORK: Duration = Duration::from_millis(100);
/// The broker hears that a batch is still being worked on well within its patience.
const STILL_WORKING: Duration = Duration::from_secs(ACK_WAIT.as_secs() / 3);
/// How long a batch may go on after we are told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// What to consume, by precedence.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// Read whenever it has something.
    pub live: &'static Consumer,
    /// Read only when the live lane is empty.
    pub behind: Option<&'static Consumer>,
}

/// Why a spell of pulling ended.
enum End {
    Stopped,
    /// The store is away.
    Away(String),
    /// The connection or the consumer is lost.
    Lost(String),
}

impl Bus {
    /// Hands deliveries to `handler`, in batches, until `stop`; it returns only then.
    ///
    /// A message is acked after `handle` returned `Ok` for it, or `bury` did. Lost connections,
    /// ended streams and deleted consumers are opened again. With the store away nothing is pulled;
    /// what is in hand is given back and comes again. At `stop` a batch under way may finish.
    pub async fn consume(&self, lanes: Lanes, handler: Arc<dyn Handler>, stop: CancellationToken) {
        let (conn, keeper) =
            Conn::new(self.options.clone(), lanes.live.name(), Arc::clone(&self.healing), stop.clone());
        self.tracker.spawn(keeper);
        let consumer = lanes.live.name();
        let away = metrics::gauge!(names::STORE_AWAY, "consumer" => consumer);
        away.set(0.0);
        let mut puller = Puller { lanes, handler, stop, pace: Pace::default(), store: store_backoff() };
        loop {
            let session = tokio::select! {
                () = puller.stop.cancelled() => return,
                session = conn.wait() => session,
            };
            let Some(session) = session else { return };
            match puller.pull(&session).await {
                End::Stopped => return,
                End::Lost(reason) => {
                    warn!(consumer.name = consumer, "consumer {consumer} is opened again: {reason}");
                    session.condemn();
                    // The keeper takes the session away before it makes the next one.
                    let mut link = conn.link();
                    let gone = link.wait_for(|link| link.generation > session.generation);
                    if gone.await.is_err() {
                        return;
                    }
                }
                End::Away(reason) => {
                    away.set(1.0);
                    warn!(consumer.name = consumer, "consumer {consumer} waits for the store: {reason}");
                    if !puller.wait_for_store().await {
                        return;
                    }
                    away.set(0.0);
                    info!(consumer.name = consumer, "consumer {consumer} goes on: the store is back");
                }
            }
        }
    }
}

fn store_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

struct Puller {
    lanes: Lanes,
    handler: Arc<dyn Handler>,
    stop: CancellationToken,
    pace: Pace,
    /// Reset only by a batch that was recorded, so that a store which only pretends to be healthy
    /// is not asked again and again at full speed.
    store: Backoff,
}

impl Puller {
    async fn pull(&mut self, session: &Session) -> End {
        let lanes = self.lanes;
        let mut live = match Live::open(session, lanes.live).await {
            Ok(live) => live,
            Err(reason) => return End::Lost(reason),
        };
        let mut behind = match lanes.behind {
            None => None,
            Some(consumer) => match Behind::open(session, consumer).await {
                Ok(behind) => Some(behind),
                Err(reason) => return End::Lost(reason),
            },
        };
        loop {
            if self.stop.is_cancelled() {
                give_back(live.everything().await).await;
                flush(session).await;
                return End::Stopped;
            }
            let mut consumer = lanes.live;
            let mut batch = live.ready(self.pace.cap());
            // Before the work, so that the next batch travels meanwhile; and never waiting without.
            live.ask().await;
            if batch.is_empty()
                && live.is_empty()
                && live.lost().is_none()
                && let Some(behind) = behind.as_mut().filter(|behind| behind.due() <= Instant::now())
            {
                consumer = behind.consumer;
                batch = match behind.fetch(self.pace.cap()).await {
                    Ok(batch) => batch,
                    Err(reason) => {
                        live.lose(&reason);
                        continue;
                    }
                };
            }
            if !batch.is_empty() {
                if let Some(reason) = self.work(consumer, batch).await {
                    give_back(live.everything().await).await;
                    flush(session).await;
                    return End::Away(reason);
                }
            } else if let Some(reason) = live.lost() {
                return End::Lost(reason.to_owned());
            } else {
                let due = behind.as_ref().filter(|_| live.is_empty()).map(Behind::due);
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => {}
                    () = live.happens() => {}
                    () = session.gone.cancelled() => live.lose("the connection was lost"),
                    () = until(due) => {}
                }
            }
        }
    }

    /// Has one batch judged and settles it. `Some` means that the store is away.
    async fn work(&mut self, consumer: &'static Consumer, batch: Vec<Message>) -> Option<String> {
        let name = consumer.name();
        let deliveries: Vec<Delivery> = batch.iter().map(delivery).collect();
        let again = deliveries.iter().filter(|delivery| delivery.delivered > 1).count();
        metrics::counter!(names::REDELIVERED, "consumer" => name).increment(again as u64);
        metrics::histogram!(names::BATCH_MESSAGES, "consumer" => name).record(batch.len() as f64);
        let since = Instant::now();
        let judgement = self.judged(&batch, &deliveries).await;
        let took = since.elapsed();
        metrics::histogram!(names::BATCH_SECONDS, "consumer" => name).record(took.as_secs_f64());
        if judgement.away.is_none() {
            self.pace.learn(batch.len(), took);
            self.store.reset();
        }
        settle(name, &batch, &judgement).await;
        judgement.away
    }

    /// The judgement, with the broker kept patient meanwhile, and within the grace after a stop.
    async fn judged(&self, batch: &[Message], deliveries: &[Delivery]) -> Judgement {
        let judging = judge(deliveries, self.handler.as_ref());
        let mut judging = std::pin::pin!(judging);
        let overdue = async {
            self.stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let mut overdue = std::pin::pin!(overdue);
        let mut patience = tokio::time::interval_at(Instant::now() + STILL_WORKING, STILL_WORKING);
        loop {
            tokio::select! {
                biased;
                judgement = &mut judging => return judgement,
                () = &mut overdue => {
                    warn!(batch.messages = batch.len(), "gave up a batch that did not end in time at a stop");
                    return Judgement::none(batch.len());
                }
                _ = patience.tick() => {
                    for message in batch {
                        say(message, AckKind::Progress).await;
                    }
                }
            }
        }
    }

    /// Asks until the store is healthy. `false` means stopped.
    async fn wait_for_store(&mut self) -> bool {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(self.store.wait()) => {}
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                healthy = self.handler.probe() => if healthy { return true },
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn delivery(message: &Message) -> Delivery {
    let (stream_seq, delivered) = match message.info() {
        Ok(info) => (info.stream_sequence, u64::try_from(info.delivered).unwrap_or(1)),
        // Every message of a consumer has it; one without is at least not lost.
        Err(_) => (0, 1),
    };
    Delivery { subject: message.subject.to_string(), payload: message.payload.clone(), stream_seq, delivered }
}

async fn settle(consumer: &'static str, batch: &[Message], judgement: &Judgement) {
    let (mut done, mut buried, mut later) = (0, 0, 0);
    for (message, verdict) in batch.iter().zip(&judgement.verdicts) {
        let kind = match verdict {
            Verdict::Done => {
                done += 1;
                AckKind::Ack
            }
            Verdict::Buried => {
                buried += 1;
                AckKind::Ack
            }
            Verdict::Later(wait) => {
                later += 1;
                AckKind::Nak((!wait.is_zero()).then_some(*wait))
            }
        };
        say(message, kind).await;
    }
    for (verdict, count) in [("done", done), ("buried", buried), ("later", later)] {
        metrics::counter!(names::SETTLED, "consumer" => consumer, "verdict" => verdict).increment(count);
    }
}

async fn give_back(messages: Vec<Message>) {
    for message in messages {
        say(&message, AckKind::Nak(None)).await;
    }
}

/// Tells the broker. When it cannot be told, the connection is lost and the message comes again,
/// which is harmless.
async fn say(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        debug!("could not settle a message: {error}");
    }
}

/// So that what was said arrives before the connection is dropped; never waits for long.
async fn flush(session: &Session) {
    match tokio::time::timeout(Duration::from_secs(1), session.client.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("could not flush: {error}"),
        Err(_) => debug!("could not flush in time"),
    }
}

/// Learns how many messages fit into [`WORK`].
#[derive(Debug)]
struct Pace {
    cap: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { cap: MOST }
    }
}

impl Pace {
    fn cap(&self) -> usize {
        self.cap
    }

    /// A batch of `messages` took this long.
    fn learn(&mut self, messages: usize, took: Duration) {
        if took > WORK {
            let fits = messages as f64 * WORK.as_secs_f64() / took.as_secs_f64();
            // Halved at most: one slow commit (a checkpoint) is no trend.
            self.cap = (fits as usize).max(self.cap / 2).clamp(LEAST, MOST);
        } else if messages >= self.cap {
            self.cap = (self.cap * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_store_gets_smaller_batches_and_a_quick_one_larger() {
        let mut pace = Pace::default();
        assert_eq!(pace.cap(), MOST);
        pace.learn(512, Duration::from_millis(120));
        assert_eq!(pace.cap(), 426);
        for _ in 0..20 {
            pace.learn(pace.cap(), Duration::from_secs(10));
        }
        assert_eq!(pace.cap(), LEAST);
        pace.learn(3, Duration::from_millis(1));
        assert_eq!(pace.cap(), LEAST, "a batch that was not full tells nothing");
        for _ in 0..20 {
            pace.learn(pace.cap(), Duration::from_millis(10));
        }
        assert_eq!(pace.cap(), MOST);
    }

    #[test]
    fn the_broker_is_told_in_time_that_we_still_work() {
        assert!(STILL_WORKING * 2 < ACK_WAIT);
    }
}
