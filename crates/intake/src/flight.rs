//! One record's way out: read it, put its raw in the blob store, publish it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use crate::broker::{Broker, PublishError, Receipt};
use crate::journal::Shared;
use crate::ledger::{Flight, RecordId};
use crate::segment::Record;

/// Large raws on their way to the blob store at once; each is in memory while it goes.
const UPLOADS: usize = 2;

/// Records read back from the disk at once; each takes a thread.
const READS: usize = 4;

/// A broker that has not answered by then counts as away. Longer than its own patience, so that this
/// is only a last resort against an answer that never comes.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What came of one flight.
pub(crate) enum Outcome {
    Published(Receipt),
    Unsent(PublishError),
    /// Its raw is not in the blob store, or its bytes cannot be read.
    Stuck(String),
}

pub(crate) type Flying = BoxFuture<'static, (Flight, Outcome)>;

/// The way, and what those on it share.
pub(crate) struct Way {
    shared: Arc<Shared>,
    broker: Arc<dyn Broker>,
    blobs: Arc<dyn ObjectStore>,
    uploads: Semaphore,
    reads: Semaphore,
}

impl Way {
    pub(crate) fn new(
        shared: Arc<Shared>,
        broker: Arc<dyn Broker>,
        blobs: Arc<dyn ObjectStore>,
    ) -> Arc<Self> {
        let (uploads, reads) = (Semaphore::new(UPLOADS), Semaphore::new(READS));
        Arc::new(Self { shared, broker, blobs, uploads, reads })
    }

    /// Sends the record off. What is in memory and has nothing beside it takes the short way: no thread,
    /// no lock.
    pub(crate) fn fly(self: &Arc<Self>, flight: Flight, framed: Option<&Bytes>) -> Flying {
        let upload = self.shared.spill.awaits_upload(flight.id);
        if let (Some(record), None) = (framed.and_then(Record::decode), upload) {
            let answer = self.broker.publish(&record.subject, record.event);
            return Box::pin(async move { (flight, judge(answer).await) });
        }
        let way = self.clone();
        Box::pin(async move {
            let outcome = match way.prepare(flight.id, upload).await {
                Ok(record) => judge(way.broker.publish(&record.subject, record.event)).await,
                Err(reason) => Outcome::Stuck(reason),
            };
            (flight, outcome)
        })
    }

    /// The record, once its raw is in the blob store.
    async fn prepare(&self, id: RecordId, upload: Option<[u8; 32]>) -> Result<Record, String> {
        let record = {
            let _permit = self.reads.acquire().await;
            let shared = self.shared.clone();
            blocking(move || shared.read(id))
                .await
                .map_err(|error| format!("could not read it back: {error}"))?
        };
        let record = record.ok_or("its bytes are not as they were written")?;
        if let (Some(sha256), Some(spill)) = (upload, &record.spill) {
            let raw = contact::Raw {
                sha256: hex::encode(sha256),
                size: spill.size,
                media_type: spill.media_type.clone(),
                text: None,
                base64: None,
            };
            let _permit = self.uploads.acquire().await;
            let shared = self.shared.clone();
            let bytes = blocking(move || shared.spill.read(sha256))
                .await
                .map_err(|error| format!("could not read its raw: {error}"))?;
            self.blobs
                .put(&raw.blob_path().into(), bytes.into())
                .await
                .map_err(|error| format!("could not put its raw in the blob store: {error}"))?;
            self.shared.spill.uploaded(sha256);
        }
        Ok(record)
    }
}

async fn judge(answer: BoxFuture<'static, Result<Receipt, PublishError>>) -> Outcome {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(receipt)) => Outcome::Published(receipt),
        Ok(Err(error)) => Outcome::Unsent(error),
        Err(_) => Outcome::Unsent(PublishError::Away),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
