//! The bus as the journal's publisher sees it.

use async_trait::async_trait;
use bus::Bus;
use bus::topology::{Consumer, QUARANTINED, RECORDER};
use bytes::Bytes;
use futures::future::BoxFuture;
use intake::{Broker, Floor, Link, PublishError, Receipt};

/// A lane of the bus: what is published, and the consumer whose floor says that core has it.
pub(crate) struct Lane {
    bus: Bus,
    reader: &'static Consumer,
}

impl Lane {
    pub(crate) fn contacts(bus: Bus) -> Self {
        Self { bus, reader: &RECORDER }
    }

    pub(crate) fn quarantine(bus: Bus) -> Self {
        Self { bus, reader: &QUARANTINED }
    }
}

#[async_trait]
impl Broker for Lane {
    fn publish(&self, subject: &str, body: Bytes) -> BoxFuture<'static, Result<Receipt, PublishError>> {
        let sent = self.bus.publish(subject, body);
        Box::pin(async move {
            let receipt = sent.await.map_err(refusal)?;
            Ok(Receipt { seq: receipt.stream_seq, stream_created: receipt.stream_created })
        })
    }

    async fn floor(&self) -> Result<Floor, PublishError> {
        let progress = self.bus.progress(self.reader).await.map_err(refusal)?;
        Ok(Floor {
            acked: progress.ack_floor,
            last: progress.last_seq,
            stream_created: progress.stream_created,
        })
    }

    fn link(&self) -> Link {
        let link = *self.bus.link().borrow();
        Link { connected: link.connected, generation: link.generation }
    }

    async fn link_changed(&self, known: Link) {
        let mut link = self.bus.link();
        let moved = link
            .wait_for(|now| Link { connected: now.connected, generation: now.generation } != known)
            .await
            .is_ok();
        if !moved {
            // The bus is gone, and with it every change there could be.
            std::future::pending::<()>().await;
        }
    }
}

fn refusal(error: bus::PublishError) -> PublishError {
    match error {
        bus::PublishError::Away(_) => PublishError::Away,
        bus::PublishError::Full => PublishError::Full,
        bus::PublishError::TooLarge | bus::PublishError::Refused(_) => {
            PublishError::Refused(error.to_string())
        }
    }
}
