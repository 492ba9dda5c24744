//! From JetStream to rows by hand: take what is there, write it in one transaction, ack.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::broadcast;

use super::ACK_WAIT;
use super::store::{Row, Store};
use crate::machine::micros;
use crate::numbers::number_of;

/// The number of each contact that came to its end (of a call, its row's commit), and when.
pub(super) type Commits = Vec<(u32, u64)>;

/// Rows of a transaction at most.
const BATCH: usize = 512;

pub(super) async fn record(
    broker: jetstream::Context,
    stream: &'static str,
    store: Store,
    commits: Arc<Mutex<Commits>>,
    followers: broadcast::Sender<Bytes>,
) -> anyhow::Result<()> {
    let stream = broker.get_stream(stream).await.context("could not open the stream")?;
    let config = consumer::pull::Config {
        durable_name: Some("recorder".to_owned()),
        max_ack_pending: 65_536,
        ack_wait: ACK_WAIT,
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.context("could not make the consumer")?;
    let messages =
        consumer.stream().max_messages_per_batch(BATCH * 2).messages().await.context("could not pull")?;
    let mut batches = messages.ready_chunks(BATCH);
    // The runtime's budget would otherwise end every batch at 64 messages.
    while let Some(batch) = tokio::task::unconstrained(batches.next()).await {
        let batch = batch.into_iter().collect::<Result<Vec<_>, _>>().context("could not pull")?;
        let rows: Vec<Row<'_>> = batch.iter().filter_map(|message| row(&message.payload)).collect();
        store.write(&rows).await?;
        let now = micros();
        if let Ok(mut commits) = commits.lock() {
            commits.extend(rows.iter().filter_map(|row| Some((number_of(row.key.as_bytes())?, now))));
        }
        if followers.receiver_count() > 0 {
            for message in &batch {
                // Whoever followed may have gone meanwhile.
                followers.send(message.payload.clone()).ok();
            }
        }
        for message in &batch {
            message.ack().await.map_err(|error| anyhow::anyhow!("could not ack: {error}"))?;
        }
    }
    anyhow::bail!("the stream ended")
}

/// What is read of a contact in a form's shape: whose it is, and which.
fn row(payload: &[u8]) -> Option<Row<'_>> {
    let payload = std::str::from_utf8(payload).ok()?;
    let field = |name: &str| payload.split('&').filter_map(|p| p.split_once('=')).find(|(n, _)| *n == name);
    Some(Row { key: field("CallSid")?.1, caller: field("From")?.1, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_becomes_a_row() {
        let row = row(b"A=1&CallSid=CA7&From=%2B38050").unwrap();
        assert_eq!((row.key, row.caller), ("CA7", "%2B38050"));
        assert!(super::row(b"A=1").is_none());
    }
}
