//! From the bus onto the timeline: decode, record, wake whoever follows the feed.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Bus, Delivery, Failure, Handler};
use connector::{Clock, Live as _, Sign, Signal};
use contact::{ChatFact, Content, Event, Suspect, micros};
use timeline::{Arrival, HoldBounds, Policy, Store, StoreError, letter_for, record};
use tracing::warn;

use crate::live::Signs;

/// Records contact events. `wake` is called with the feed's position after each commit.
pub(crate) struct Recorder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Bus,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Clock,
    pub(crate) wake: Arc<dyn Fn(i64) + Send + Sync>,
    /// Tells visitors' connections that there are lines to read.
    pub(crate) signs: Signs,
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
        let now = micros((self.clock)());
        let (mut events, mut letters) = (Vec::with_capacity(batch.len()), Vec::new());
        for delivery in batch {
            match arrival(delivery, now) {
                Ok(arrival) => events.push(arrival),
                Err(reason) => {
                    warn!(subject = %delivery.subject, %reason, "kept a message that is no event as a dead letter");
                    letters.push(letter_for(&delivery.payload, reason, now));
                }
            }
        }
        let received: Vec<_> = events.iter().map(|arrival| arrival.event.received_at).collect();
        let visitors: BTreeSet<String> = events.iter().filter_map(visitor).collect();
        let recorded = record(self.store.as_ref(), &self.policy, events, letters).await.map_err(failure)?;
        (self.wake)(recorded.feed_position);
        if recorded.fresh > 0 {
            self.bus.hint(u64::try_from(recorded.feed_position).unwrap_or(0)).await;
        }
        for visitor in visitors {
            self.signs.tell(Signal { visitor, what: Sign::Lines });
        }
        metrics::counter!("frontdesk_recorded_total").increment(recorded.fresh as u64);
        metrics::counter!("frontdesk_recorded_repeated_total").increment(recorded.repeated as u64);
        metrics::histogram!("frontdesk_record_batch_events").record(batch.len() as f64);
        let done = (self.clock)();
        for at in received {
            metrics::histogram!("frontdesk_record_delay_seconds")
                .record((done - at).total(jiff::Unit::Second).unwrap_or(0.0));
        }
        Ok(())
    }

    async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure> {
        let mut letter = letter_for(&one.payload, reason.to_owned(), (self.clock)());
        letter.source = Event::from_json(&one.payload).ok().map(|event| event.key.source);
        self.store.bury(&[letter]).await.map_err(failure)
    }

    async fn probe(&self) -> bool {
        self.store.ping().await.is_ok()
    }
}

/// Puts suspects on their shelf.
pub(crate) struct Warden {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bounds: HoldBounds,
    pub(crate) clock: Clock,
}

#[async_trait]
impl Handler for Warden {
    async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
        let suspects = batch
            .iter()
            .map(|delivery| Suspect::from_json(&delivery.payload))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::Poison(format!("it is no held request: {error}")))?;
        let dropped = self.store.hold(&suspects, self.bounds).await.map_err(failure)?;
        if dropped > 0 {
            warn!(
                suspect.count = dropped,
                "the quarantine of a source is full: its newest requests were dropped"
            );
            metrics::counter!("frontdesk_quarantine_dropped_total").increment(dropped);
        }
        Ok(())
    }

    async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure> {
        let letter = letter_for(&one.payload, reason.to_owned(), (self.clock)());
        self.store.bury(&[letter]).await.map_err(failure)
    }

    async fn probe(&self) -> bool {
        self.store.ping().await.is_ok()
    }
}

/// The visitor whose chat has a new line.
fn visitor(arrival: &Arrival) -> Option<String> {
    match &arrival.event.content {
        Content::Chat(change) if matches!(change.fact, ChatFact::Line { .. }) => {
            arrival.event.from.as_ref()?.value.clone()
        }
        _ => None,
    }
}

fn arrival(delivery: &Delivery, now: jiff::Timestamp) -> Result<Arrival, String> {
    let event = Event::from_json(&delivery.payload).map_err(|error| error.to_string())?;
    let payload = String::from_utf8(delivery.payload.to_vec()).map_err(|error| error.to_string())?;
    Ok(Arrival { event, payload, recorded_at: now })
}

fn failure(error: StoreError) -> Failure {
    let transient = error.is_transient();
    let text = format!("{:#}", anyhow::Error::new(error));
    if transient { Failure::Away(text) } else { Failure::Poison(text) }
}
