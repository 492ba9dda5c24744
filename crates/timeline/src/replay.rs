//! The projections made again from the log.

use contact::Event;

use crate::attach::{Mode, attach, wanted};
use crate::model::Arrival;
use crate::port::{Digests, Store, StoreError};

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
}

/// Rebuilds every projection from the log in one transaction, so that readers see either the old or
/// the new ones and nothing is decided meanwhile. With `keep` false it is a check only: nothing is
/// committed.
pub async fn replay(store: &dyn Store, keep: bool) -> Result<Replayed, StoreError> {
    let mut tx = store.begin().await?;
    let before = tx.digests().await?;
    tx.clear_projections().await?;
    let (mut position, mut events) = (0, 0);
    loop {
        let page = tx.log(position, BATCH).await?;
        let Some(last) = page.last() else { break };
        position = last.position;
        events += page.len();
        let arrivals = page
            .into_iter()
            .map(|logged| {
                let event =
                    Event::from_json(logged.payload.as_bytes()).map_err(|error| StoreError::Refused {
                        doing: "read an event of its own log",
                        cause: format!("at position {}: {error}", logged.position).into(),
                    })?;
                Ok(Arrival { event, payload: logged.payload, recorded_at: logged.recorded_at })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mut known = tx.read(&wanted(&arrivals)).await?;
        // They are all in the log; here they are decided about once more.
        known.events.clear();
        let changes = attach(known, arrivals, Mode::Replay);
        tx.write(&changes).await?;
    }
    let after = tx.digests().await?;
    if keep {
        tx.commit().await?;
    }
    Ok(Replayed { events, before, after })
}
