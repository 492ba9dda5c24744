//! What figures are made of, read once for everybody who asks at about the same time.
//!
//! Two hundred consoles that look every few seconds cost one reading, and a span so long that its reading is
//! slow is read more rarely. Of readings there is never more than one under way, so figures keep at most one of
//! the store's connections from those who work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use timeline::figures::{About, Facts, FiguresQuery};
use timeline::{Store, StoreError};
use tokio::time::Instant;

use crate::problem::Problem;

/// More rows than this are not read: about a hundred megabytes of a store's answer.
pub(super) const MOST: usize = 100_000;
/// For so long a reading is shown again at least, and at most.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
/// A reading is shown for so many times as long as it took: then figures take a tenth of a connection's time.
const TIMES: u32 = 10;
/// Rows remembered over all readings.
const REMEMBERED: usize = 2 * MOST;

pub(super) type Shared = Arc<Facts>;

/// What was asked. An end that was not given moves with the time, and is the same for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) about: About,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

/// Readings that may be shown again.
#[derive(Default)]
pub(crate) struct Memory {
    known: Mutex<HashMap<Key, Reading>>,
    /// Whoever holds it reads.
    turn: tokio::sync::Mutex<()>,
    /// Whoever holds it reckons: figures take one processor of those that answer everybody.
    reckons: tokio::sync::Mutex<()>,
}

struct Reading {
    facts: Shared,
    until: Instant,
}

impl Memory {
    /// The facts of this span, read now or a moment ago.
    pub(super) async fn facts(
        &self,
        store: &dyn Store,
        key: Key,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Shared, StoreError> {
        if let Some(facts) = self.known(&key) {
            return Ok(facts);
        }
        let _turn = self.turn.lock().await;
        // Somebody may have asked the same while this one waited.
        if let Some(facts) = self.known(&key) {
            return Ok(facts);
        }
        let began = Instant::now();
        let query = FiguresQuery { about: key.about, from, to, now, most: MOST };
        let facts = Arc::new(store.figures(&query).await?);
        let shown = began.elapsed().saturating_mul(TIMES).clamp(SHORTEST, LONGEST);
        self.remember(key, Reading { facts: Arc::clone(&facts), until: Instant::now() + shown });
        Ok(facts)
    }

    /// What `reckon` makes of facts; of many it is slow, and done where it holds up nobody.
    pub(super) async fn reckoned<T: Send + 'static>(
        &self,
        facts: Shared,
        reckon: impl FnOnce(&Facts) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _one = self.reckons.lock().await;
        let told = tokio::task::spawn_blocking(move || reckon(&facts)).await;
        told.map_err(|failed| Problem::ours().because(failed))
    }

    fn known(&self, key: &Key) -> Option<Shared> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = known.get(key).filter(|reading| Instant::now() < reading.until)?;
        Some(Arc::clone(&reading.facts))
    }

    fn remember(&self, key: Key, reading: Reading) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.retain(|_, reading| now < reading.until);
        let mut rows: usize = known.values().map(Reading::weight).sum();
        while rows + reading.weight() > REMEMBERED {
            let first = known.iter().min_by_key(|(_, reading)| reading.until).map(|(key, _)| *key);
            let Some(gone) = first.and_then(|key| known.remove(&key)) else { break };
            rows -= gone.weight();
        }
        known.insert(key, reading);
    }
}

impl Reading {
    /// In rows; an empty one is not nothing.
    fn weight(&self) -> usize {
        let Facts { conversations, calls, callbacks, .. } = self.facts.as_ref();
        64 + conversations.len() + calls.len() + callbacks.len()
    }
}
