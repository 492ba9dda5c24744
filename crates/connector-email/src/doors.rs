//! What stands behind the mailboxes, and the connector made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use connector::{Clock, Connector, Courier, Cursors, Intake, Task, TaskError};
use contact::{Channel, SourceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Source;
use crate::courier::{MailCourier, Unfit};
use crate::namesake::Namesakes;
use crate::reader::Reader;

/// The most mail in memory at a time, in MiB, over all mailboxes; what comes then waits where it is.
const ROOM_MIB: u32 = 160;

/// Every configured source by its name.
pub type Sources = BTreeMap<SourceName, Source>;

/// What stands behind the mailboxes.
#[derive(Clone)]
pub struct Doors {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) imports: Arc<dyn Intake>,
    pub(crate) cursors: Arc<dyn Cursors>,
    pub(crate) clock: Clock,
    pub(crate) room: Room,
    pub(crate) namesakes: Arc<Namesakes>,
}

impl Doors {
    /// `imports` takes what was in a mailbox before us, `intake` all the rest.
    pub fn new(
        intake: Arc<dyn Intake>,
        imports: Arc<dyn Intake>,
        cursors: Arc<dyn Cursors>,
        clock: Clock,
    ) -> Self {
        Self { intake, imports, cursors, clock, room: Room::new(ROOM_MIB), namesakes: Arc::default() }
    }
}

/// Asks the server of a source that answers to let us in, as the courier does; `None` where it does not answer.
pub async fn look_out(source: &Source) -> Option<Result<(), String>> {
    let courier = MailCourier::new(source.smtp.clone()?);
    Some(match courier {
        Ok(courier) => courier.look().await,
        Err(unfit) => Err(unfit.to_string()),
    })
}

/// The connector of all mailboxes: a task for each that is polled, a courier for each that answers.
///
/// # Errors
/// When a courier's parts do not fit together; a checked source has none of that.
pub fn connect(sources: &Sources, doors: &Doors) -> Result<Connector, Unfit> {
    let mut tasks = Vec::new();
    let mut couriers: BTreeMap<SourceName, Arc<dyn Courier>> = BTreeMap::new();
    for (name, source) in sources {
        if let Some(reader) = Reader::new(source, doors) {
            let reader = Arc::new(reader);
            tasks.push(Task {
                name: name.to_string(),
                run: Box::new(move || {
                    let reader = Arc::clone(&reader);
                    Box::pin(async move { reader.run().await.map_err(TaskError::from) })
                }),
            });
        }
        if let Some(smtp) = &source.smtp {
            couriers.insert(name.clone(), Arc::new(MailCourier::new(smtp.clone())?));
        }
    }
    Ok(Connector { name: Channel::Email.as_str(), routes: Router::new(), tasks, couriers })
}

/// Memory for mails, counted in KiB.
#[derive(Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

impl Room {
    fn new(mib: u32) -> Self {
        let all = mib * 1024;
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    fn kib(&self, bytes: u64) -> u32 {
        u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.all)
    }

    /// Waits for it. Who holds some already must not, or two would wait for each other.
    pub(crate) async fn wait(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_many_owned(self.kib(bytes)).await.ok()
    }

    /// Takes it if it is there.
    pub(crate) fn now(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(self.kib(bytes)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_mail_is_in_memory_than_there_is_room_for() {
        let room = Room::new(1);
        let held = room.wait(700 * 1024).await;
        assert!(held.is_some() && room.now(400 * 1024).is_none());
        drop(held);
        assert!(room.now(400 * 1024).is_some());
        assert!(room.wait(u64::MAX).await.is_some(), "what is larger than all of it has it alone");
    }
}
