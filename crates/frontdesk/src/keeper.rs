//! What happens by itself happens in time: deadlines, offers, work that returns.
//!
//! A task of the role `core` sleeps until the next stored deadline, or until something is recorded, and then
//! takes one [`turn`]. Nothing is lost with it: what is due stands in the store, and any process may do it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::Bus;
use connector::Clock;
use contact::micros;
use jiff::{SignedDuration, Timestamp};
use timeline::turn::{Roster, Turned, turn};
use timeline::{Policy, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// After a turn others have the store for at least so long, and for twice as long as the turn took, if that is not
/// too long to wait for an offer: in a flood what comes in is recorded first.
const BREATH: Duration = Duration::from_millis(20);
const LONGEST_BREATH: Duration = Duration::from_millis(200);
/// Without a deadline, a look now and then: a hint may have been lost.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to leave a store alone that was away.
const AWAY: Duration = Duration::from_secs(1);
/// A process that has not said so for this long is not there.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often it says so.
const SAY_SO: Duration = Duration::from_secs(5);

pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Bus,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Clock,
    pub(crate) wake: Arc<dyn Fn(i64) + Send + Sync>,
    /// Something was recorded by this process.
    pub(crate) recorded: Arc<Notify>,
}

impl Keeper {
    /// Until `stop`; `hints` says that something was recorded anywhere.
    pub(crate) async fn run(self, mut hints: watch::Receiver<u64>, stop: CancellationToken) {
        let mut roster = Roster::default();
        // When the last turn said that something would happen by itself.
        let (mut due, mut away) = (None, false);
        loop {
            let began = Instant::now();
            let pause = match self.keep(&mut roster, &mut due).await {
                Ok(pause) => {
                    if std::mem::take(&mut away) {
                        info!("offers and deadlines go on");
                    }
                    pause
                }
                Err(error) => {
                    due = None;
                    if !std::mem::replace(&mut away, true) {
                        let error = anyhow::Error::new(error);
                        warn!(error = format!("{error:#}"), "offers and deadlines wait for the store");
                    }
                    AWAY
                }
            };
            let breath = (began.elapsed() * 2).clamp(BREATH, LONGEST_BREATH);
            let rest = async {
                tokio::time::sleep(if away { AWAY } else { breath }).await;
                tokio::select! {
                    () = self.recorded.notified() => {}
                    changed = hints.changed() => if changed.is_err() { std::future::pending().await },
                    () = tokio::time::sleep(pause.saturating_sub(breath)) => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = rest => {}
            }
        }
    }

    /// Does what is due; gives how long nothing will be.
    async fn keep(&self, roster: &mut Roster, due: &mut Option<Timestamp>) -> Result<Duration, StoreError> {
        let clock = || micros((self.clock)());
        let (wakes, now) = (self.store.next_wake().await?, clock());
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if !is_due(wakes) && !is_due(*due) && !self.store.anybody_here().await? {
            // Nobody could be offered anything: what waits is read when somebody comes.
            return Ok(until([wakes, *due], now));
        }
        let Turned { feed_position, decisions, more, next } =
            turn(self.store.as_ref(), &self.policy, roster, clock).await?;
        *due = next;
        if decisions > 0 {
            metrics::counter!("frontdesk_routing_decisions_total").increment(decisions as u64);
            (self.wake)(feed_position);
            self.bus.hint(u64::try_from(feed_position).unwrap_or(0)).await;
        }
        Ok(if more { Duration::ZERO } else { until([next, None], clock()) })
    }
}

fn until(deadlines: [Option<Timestamp>; 2], now: Timestamp) -> Duration {
    let next = deadlines.into_iter().flatten().min();
    next.map_or(LONGEST, |at| at.duration_since(now).unsigned_abs().min(LONGEST))
}

/// Says that this process is there, so that the consoles connected through it count. `first` is told once it
/// stands in the store.
pub(crate) async fn say_so(
    store: Arc<dyn Store>,
    process: String,
    clock: Clock,
    first: impl FnOnce(),
    stop: CancellationToken,
) {
    let (mut first, mut away) = (Some(first), false);
    while !stop.is_cancelled() {
        match store.keep_alive(&process, (clock)() + LEASE).await {
            Ok(()) => {
                away = false;
                if let Some(first) = first.take() {
                    first();
                }
            }
            Err(error) if !std::mem::replace(&mut away, true) => {
                let error = anyhow::Error::new(error);
                warn!(error = format!("{error:#}"), "cannot say that we are here; agents may count as gone");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SAY_SO) => {}
        }
    }
}
