//! The bus as the journal's publisher sees it.

use async_trait::async_trait;
use bus::Bus;
use bus::topology::{self, Consumer, IMPORTER, QUARANTINED, RECORDER};
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

    /// What may wait: its door writes contacts, and they go out as imports.
    pub(crate) fn imports(bus: Bus) -> Self {
        Self { bus, reader: &IMPORTER }
    }

    pub(crate) fn quarantine(bus: Bus) -> Self {
        Self { bus, reader: &QUARANTINED }
    }
}

impl Lane {
    /// The subject on which this lane sends what its journal holds.
    fn subject(&self, kept: &str) -> String {
        let contact = kept.strip_prefix("contact.v1.").and_then(|rest| rest.split_once('.'));
        match contact {
            Some((channel, name)) if self.reader == &IMPORTER => topology::import_subject(channel, name),
            _ => kept.to_owned(),
        }
    }
}

#[async_trait]
impl Broker for Lane {
    fn publish(&self, subject: &str, body: Bytes) -> BoxFuture<'static, Result<Receipt, PublishError>> {
        let sent = self.bus.publish(self.subject(subject), body);
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bus::{Delivery, Failure, Handler, Lanes, topology};
    use connector::Intake as _;
    use contact::{Event, RawBytes};
    use intake::{Door, DoorOptions, Limits, Pace, RealDisk, Surroundings};

    use super::*;
    use crate::harness::{Nats, PATIENCE, eventually};

    /// Keeps the subjects.
    #[derive(Default)]
    struct Subjects(Mutex<Vec<String>>);

    #[async_trait]
    impl Handler for Subjects {
        async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
            self.0.lock().unwrap().extend(batch.iter().map(|one| one.subject.clone()));
            Ok(())
        }

        async fn bury(&self, _: &Delivery, _: &str) -> Result<(), Failure> {
            Ok(())
        }

        async fn probe(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn what_is_imported_goes_its_own_way_and_leaves_its_journal_when_the_importer_has_it() {
        let nats = Nats::start().await;
        let bus = nats.bus().await;
        let around = Surroundings {
            disk: Arc::new(RealDisk),
            broker: Arc::new(Lane::imports(bus.clone())),
            blobs: Arc::new(object_store::memory::InMemory::new()),
            clock: crate::wire::real_clock(),
        };
        let options = DoorOptions {
            folder: nats.dir.path().join("journal"),
            lane: "imports",
            limits: Limits::default(),
            pace: Pace::default(),
        };
        let (door, task) = Door::open(options, around).unwrap();
        nats.tracker.spawn(task.run(nats.stop.clone()));
        let specimen = include_str!("../../contact/history/frontdesk.email.v1.json");
        let event = Event::from_json(specimen.as_bytes()).unwrap();
        door.accept(event, RawBytes::new("message/rfc822", "Subject: x\r\n\r\nx")).await.unwrap();

        // It is on the bus, and the journal still has it.
        eventually(async || Lane::imports(bus.clone()).floor().await.unwrap().last == 1).await;
        assert_eq!(Lane::contacts(bus.clone()).floor().await.unwrap().last, 0, "it went among the live ones");
        assert_eq!(door.status().unretired, 1);

        let importer = Arc::new(Subjects::default());
        let (reading, reader, stop) = (bus.clone(), importer.clone(), nats.stop.clone());
        let lanes = Lanes { live: &topology::IMPORTER, behind: None };
        nats.tracker.spawn(async move { reading.consume(lanes, reader, stop).await });
        tokio::time::timeout(PATIENCE, door.drained()).await.unwrap();
        let subjects = importer.0.lock().unwrap().clone();
        assert!(subjects.iter().all(|subject| subject.starts_with("import.v1.")), "{subjects:?}");
        nats.leave().await;
    }
}
