//! The projections made again from the log.

use std::collections::BTreeSet;

use contact::{ClientId, Content};

use crate::attach::{Mode, attach, wanted};
use crate::model::Arrival;
use crate::port::{Digests, Store, StoreError, Tx};
use crate::unmerge::{read_log, take_again, takes_again};

/// How many events are read, decided and written at a time.
const BATCH: usize = 512;

/// What a replay found.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub events: usize,
    pub before: Digests,
    pub after: Digests,
}

impl Replayed {
    /// Every client's projections are what they were.
    pub fn is_equal(&self) -> bool {
        self.before == self.after
    }

    /// Whose are not; `None` stands for what is nobody's.
    pub fn differing(&self) -> Vec<Option<ClientId>> {
        let all: BTreeSet<_> = self.before.keys().chain(self.after.keys()).collect();
        all.into_iter().filter(|id| self.before.get(id) != self.after.get(id)).copied().collect()
    }
}

/// Rebuilds every projection from the log in one transaction, so that readers see either the old or
/// the new ones and nothing is decided meanwhile. With `keep` false it is a check only: nothing is
/// committed.
pub async fn replay(store: &dyn Store, keep: bool) -> Result<Replayed, StoreError> {
    let mut tx = store.begin().await?;
    let replayed = replay_in(tx.as_mut()).await?;
    if keep {
        tx.commit().await?;
    }
    Ok(replayed)
}

/// The same in a transaction that somebody else commits.
pub async fn replay_in(tx: &mut dyn Tx) -> Result<Replayed, StoreError> {
    let before = tx.digests().await?;
    tx.clear_projections().await?;
    let (mut position, mut events) = (0, 0);
    loop {
        let page = tx.log(position, BATCH).await?;
        let Some(last) = page.last() else { break };
        position = last.position;
        events += page.len();
        let positions: Vec<i64> = page.iter().map(|logged| logged.position).collect();
        let mut batch = Vec::new();
        for (position, arrival) in positions.into_iter().zip(read_log(page)?) {
            if stands_alone(&arrival) {
                take(tx, std::mem::take(&mut batch)).await?;
                let known = tx.read(&wanted(std::slice::from_ref(&arrival))).await?;
                take_again(tx, &known, arrival, position, Mode::Replay).await?;
            } else {
                batch.push(arrival);
            }
        }
        take(tx, batch).await?;
    }
    let after = tx.digests().await?;
    Ok(Replayed { events, before, after })
}

async fn take(tx: &mut dyn Tx, events: Vec<Arrival>) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut known = tx.read(&wanted(&events)).await?;
    // They are all in the log; here they are decided about once more.
    known.events.clear();
    tx.write(&attach(known, events, Mode::Replay)).await
}

/// It takes the whole history of some clients again, and so stands alone.
fn stands_alone(arrival: &Arrival) -> bool {
    matches!(&arrival.event.content, Content::Act(act) if takes_again(&act.deed))
}
