//! Read, decide, write: once per batch, in the one transaction that may.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::attach::{Mode, attach, wanted};
use crate::model::{Arrival, DeadLetter};
use crate::policy::Policy;
use crate::port::{Store, StoreError};

/// What a batch became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Events that were not in the log before.
    pub fresh: usize,
    /// Events that were.
    pub repeated: usize,
    /// The feed's last position after the batch.
    pub feed_position: i64,
}

/// Records a batch: all of it or nothing. When it returns `Ok` the batch is committed and may be
/// acknowledged. Doing it twice is doing it once.
pub async fn record(
    store: &dyn Store,
    policy: &Policy,
    events: Vec<Arrival>,
    letters: Vec<DeadLetter>,
) -> Result<Recorded, StoreError> {
    let keys: HashSet<[u8; 16]> = events.iter().map(|arrival| arrival.event.key.digest()).collect();
    let count = events.len();
    let wanted = wanted(&events);
    let mut tx = store.begin().await?;
    let known = tx.read(&wanted).await?;
    let head = known.feed_position;
    let mut changes = attach(known, events, Mode::Live(policy));
    let unreadable = changes.letters.len();
    changes.letters.extend(letters);
    let fresh = changes.log.len();
    let feed_position = changes.feed.last().map_or(head, |item| item.position);
    tx.write(&changes).await?;
    tx.commit().await?;
    // What was decided about them stands in the log beside them.
    let arrived =
        changes.log.iter().filter(|(_, arrival)| keys.contains(&arrival.event.key.digest())).count();
    Ok(Recorded { fresh, repeated: count - arrived - unreadable, feed_position })
}

/// A letter for a bus message that is no event at all.
pub fn letter_for(payload: &[u8], reason: String, received_at: Timestamp) -> DeadLetter {
    DeadLetter {
        id: crate::attach::letter_id(payload, &[]),
        source: None,
        received_at,
        reason,
        field: None,
        payload: payload.to_vec(),
        state: crate::model::LetterState::Open,
    }
}
