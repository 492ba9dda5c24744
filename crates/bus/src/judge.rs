//! What becomes of each message of a batch. Asks the handler, knows nothing of NATS.

use std::any::Any;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tracing::{error, warn};

use crate::handler::{Delivery, Failure, Handler};

/// When a message that could neither be recorded nor buried comes again.
const STUCK: Duration = Duration::from_secs(60);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Committed.
    Done,
    /// Kept with its reason.
    Buried,
    /// To be delivered again after this long.
    Later(Duration),
}

/// A verdict per message, and whether the store is away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) away: Option<String>,
}

impl Judgement {
    /// Everything again, later.
    pub(crate) fn none(messages: usize) -> Self {
        Self { verdicts: vec![Verdict::Later(Duration::ZERO); messages], away: None }
    }
}

/// Has the batch recorded, and finds the message at fault by halving when it cannot be.
///
/// Only a message that fails alone, twice, with a healthy store in between, is buried.
pub(crate) async fn judge(batch: &[Delivery], handler: &dyn Handler) -> Judgement {
    let mut judgement = Judgement::none(batch.len());
    // Left halves first, so that messages are recorded in their order.
    let mut parts = Vec::new();
    let mut next = Some(0..batch.len());
    while let Some(part) = next.take().or_else(|| parts.pop()) {
        let step = match handle(&batch[part.clone()], handler).await {
            Ok(()) => Ok(Verdict::Done),
            Err(Failure::Away(reason)) => Err(reason),
            Err(Failure::Poison(_)) if !handler.probe().await => {
                Err("the store proved unhealthy after a failure".to_owned())
            }
            Err(Failure::Poison(reason)) if part.len() > 1 => {
                let middle = part.start + part.len() / 2;
                warn!(batch.messages = part.len(), "splitting a batch that could not be recorded: {reason}");
                parts.push(middle..part.end);
                next = Some(part.start..middle);
                continue;
            }
            Err(Failure::Poison(_)) => alone(&batch[part.start], handler).await,
        };
        match step {
            Ok(verdict) => give(&mut judgement.verdicts, part, verdict),
            Err(reason) => {
                judgement.away = Some(reason);
                break;
            }
        }
    }
    judgement
}

/// The second trial of a message that failed alone.
async fn alone(one: &Delivery, handler: &dyn Handler) -> Result<Verdict, String> {
    let reason = match handle(std::slice::from_ref(one), handler).await {
        Ok(()) => return Ok(Verdict::Done),
        Err(Failure::Away(reason)) => return Err(reason),
        Err(Failure::Poison(reason)) => reason,
    };
    match handler.bury(one, &reason).await {
        Ok(()) => {
            warn!(message.seq = one.stream_seq, message.subject = one.subject, "buried a message: {reason}");
            Ok(Verdict::Buried)
        }
        Err(Failure::Away(reason)) => Err(reason),
        Err(Failure::Poison(why)) => {
            error!(
                message.seq = one.stream_seq,
                message.subject = one.subject,
                "a message can be neither recorded ({reason}) nor buried ({why}); it stays on the bus"
            );
            Ok(Verdict::Later(STUCK))
        }
    }
}

/// A handler that panics has failed, perhaps by one message's fault: it must not end the consumer for all the
/// others. What it had begun it drops, so nothing of it is committed.
async fn handle(batch: &[Delivery], handler: &dyn Handler) -> Result<(), Failure> {
    match AssertUnwindSafe(handler.handle(batch)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Failure::Poison(format!("it panicked: {}", words(panic.as_ref())))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

fn give(verdicts: &mut [Verdict], part: Range<usize>, verdict: Verdict) {
    verdicts[part].fill(verdict);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;

    /// A small store: refuses some, goes away after a number of calls.
    #[derive(Default)]
    struct Store {
        poisonous: BTreeSet<u64>,
        panics_at: BTreeSet<u64>,
        unburiable: bool,
        unhealthy: bool,
        away_after: Option<usize>,
        calls: Mutex<usize>,
        kept: Mutex<Vec<u64>>,
        buried: Mutex<Vec<u64>>,
    }

    #[async_trait]
    impl Handler for Store {
        async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            if self.away_after.is_some_and(|most| *calls > most) {
                return Err(Failure::Away("gone".to_owned()));
            }
            drop(calls);
            if let Some(one) = batch.iter().find(|one| self.panics_at.contains(&one.stream_seq)) {
                panic!("message {}", one.stream_seq);
            }
            if batch.iter().any(|one| self.poisonous.contains(&one.stream_seq)) {
                return Err(Failure::Poison("bad".to_owned()));
            }
            self.kept.lock().unwrap().extend(batch.iter().map(|one| one.stream_seq));
            Ok(())
        }

        async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure> {
            match self.panics_at.contains(&one.stream_seq) {
                true => assert_eq!(reason, format!("it panicked: message {}", one.stream_seq)),
                false => assert_eq!(reason, "bad"),
            }
            if self.unburiable {
                return Err(Failure::Poison("no grave".to_owned()));
            }
            self.buried.lock().unwrap().push(one.stream_seq);
            Ok(())
        }

        async fn probe(&self) -> bool {
            !self.unhealthy
        }
    }

    fn batch(n: u64) -> Vec<Delivery> {
        (0..n)
            .map(|stream_seq| Delivery {
                subject: "contact.v1.phone.x".to_owned(),
                payload: Bytes::new(),
                stream_seq,
                delivered: 1,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_good_batch_is_one_call() {
        let store = Store::default();
        let judgement = judge(&batch(512), &store).await;
        assert_eq!(judgement, Judgement { verdicts: vec![Verdict::Done; 512], away: None });
        assert_eq!(*store.calls.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn the_poisonous_ones_are_found_and_the_rest_recorded_in_order() {
        let store = Store { poisonous: [0, 7, 300, 511].into(), ..Store::default() };
        let judgement = judge(&batch(512), &store).await;
        assert_eq!(judgement.away, None);
        for (seq, verdict) in judgement.verdicts.iter().enumerate() {
            let bad = store.poisonous.contains(&(seq as u64));
            assert_eq!(*verdict, if bad { Verdict::Buried } else { Verdict::Done }, "message {seq}");
        }
        assert_eq!(*store.buried.lock().unwrap(), [0, 7, 300, 511]);
        let kept = store.kept.lock().unwrap();
        assert_eq!(kept.len(), 508);
        assert!(kept.is_sorted());
        // About two calls a level and message, not one a message.
        assert!(*store.calls.lock().unwrap() < 4 * 2 * 10, "{}", store.calls.lock().unwrap());
    }

    #[tokio::test]
    async fn a_message_at_which_the_handler_panics_is_buried_with_its_words_and_the_rest_recorded() {
        let store = Store { panics_at: [2, 3].into(), ..Store::default() };
        let judgement = judge(&batch(5), &store).await;
        assert_eq!(judgement.away, None);
        assert_eq!(*store.buried.lock().unwrap(), [2, 3]);
        assert_eq!(*store.kept.lock().unwrap(), [0, 1, 4]);
    }

    #[tokio::test]
    async fn nothing_is_buried_while_the_store_is_unhealthy() {
        let store = Store { poisonous: [1].into(), unhealthy: true, ..Store::default() };
        let judgement = judge(&batch(4), &store).await;
        assert!(judgement.away.is_some());
        assert_eq!(judgement.verdicts, [Verdict::Later(Duration::ZERO); 4]);
        assert!(store.buried.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_store_lost_midway_keeps_what_was_committed_and_gives_back_the_rest() {
        let store = Store { poisonous: [5].into(), away_after: Some(2), ..Store::default() };
        let judgement = judge(&batch(8), &store).await;
        assert_eq!(judgement.away.as_deref(), Some("gone"));
        let (first, second) = judgement.verdicts.split_at(4);
        assert_eq!(first, [Verdict::Done; 4]);
        assert_eq!(second, [Verdict::Later(Duration::ZERO); 4]);
    }

    #[tokio::test]
    async fn what_cannot_be_buried_comes_again() {
        let store = Store { poisonous: [1].into(), unburiable: true, ..Store::default() };
        let judgement = judge(&batch(3), &store).await;
        assert_eq!(judgement.verdicts, [Verdict::Done, Verdict::Later(STUCK), Verdict::Done]);
        assert_eq!(judgement.away, None);
    }
}
