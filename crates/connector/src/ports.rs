//! Where a connector puts things.

use std::time::Duration;

use async_trait::async_trait;
use contact::{Event, RawBytes, Suspect};

/// Where a connector puts a contact event.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Returns once the event and its raw are durable on this machine. Only then may the source be
    /// told "got it". Safe to repeat: the event's key makes the second time harmless.
    ///
    /// `event.raw` is filled in here: the raw rides inside while it is small and beside it when large.
    async fn accept(&self, event: Event, raw: RawBytes) -> Result<(), IntakeError>;
}

/// Why an event was not taken. The source must not be told "got it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The journal has reached its bound on disk; nothing is lost if the source tries again.
    #[error("the journal is full")]
    Full { retry_after: Duration },
    /// The disk refused. Nothing was promised.
    #[error("the journal cannot write: {reason}")]
    Broken { reason: String, retry_after: Duration },
}

impl IntakeError {
    pub fn retry_after(&self) -> Duration {
        match self {
            IntakeError::Full { retry_after } | IntakeError::Broken { retry_after, .. } => *retry_after,
        }
    }
}

/// Where a connector puts a request to a known source that did not prove itself.
///
/// A place of its own with bounds of its own, so that no forger can fill the journal.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Never fails the caller: what cannot be held is counted and dropped.
    async fn hold(&self, suspect: Suspect) -> Held;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Kept,
    /// A bound was reached (per address, per source, or on disk); the newest is dropped and counted.
    Dropped,
}
