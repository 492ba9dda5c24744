//! How people reach us: the journals, and the connectors that write into them.
//!
//! A process has one journal of contacts, whatever its connectors, one of imports if it reads mailboxes,
//! and one of what is not believed if it takes webhooks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bus::Bus;
use connector::{Clock, Connector, Courier, Cursors, Intake, Supervisor};
use connector_email::NotTaken;
use contact::{Channel, SourceName};
use intake::{Door, DoorOptions, DoorTask, Limits, Pace, QuarantineDoor, RealDisk, Surroundings};
use object_store::ObjectStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::broker::Lane;
use crate::cli::RoleName;
use crate::config::Config;
use crate::cursors::{FileCursors, KvCursors};
use crate::demo;
use crate::live::{RecordedChats, Signs};
use crate::nobodys::{Careful, Nobodys};
use crate::pipe::{HandIn, Refused};
use crate::sources::Sources;
use crate::storeroom::StoreSlot;
use crate::wire::Roles;

/// The quarantine's journal: it holds what the broker has not taken yet, so it is small.
const QUARANTINE_LIMITS: Limits =
    Limits { max_bytes: 64 << 20, segment_bytes: 8 << 20, heal_every: Duration::from_secs(1) };

/// What the doors stand on.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) roles: &'a Roles,
    pub(crate) sources: &'a Arc<Sources>,
    pub(crate) public_url: &'a Url,
    pub(crate) bus: &'a Bus,
    pub(crate) blobs: &'a Arc<dyn ObjectStore>,
    pub(crate) clock: &'a Clock,
    pub(crate) store: &'a StoreSlot,
    pub(crate) signs: &'a Signs,
    pub(crate) supervisor: &'a Supervisor,
    /// Ends what connectors do by themselves, and lets go of their visitors.
    pub(crate) stop: &'a CancellationToken,
    /// Ends the journals, after everything that writes into them.
    pub(crate) door_stop: &'a CancellationToken,
    pub(crate) journals: &'a TaskTracker,
    /// Holds what writes into the journals, which is waited for first.
    pub(crate) writers: &'a TaskTracker,
}

/// The doors of this process.
pub(crate) struct Doors {
    pub(crate) routes: Router,
    /// `None` where no role of this process reaches people.
    pub(crate) contacts: Option<Door>,
    pub(crate) couriers: BTreeMap<SourceName, Arc<dyn Courier>>,
    /// Where this process takes mails that are handed in.
    pub(crate) pipe: Option<HandIn>,
}

/// Opens the journals and starts the connectors of the roles.
pub(crate) fn open(ground: &Ground<'_>) -> anyhow::Result<Doors> {
    let Ground { config, roles, bus, clock, .. } = *ground;
    let mut opened = Doors { routes: Router::new(), contacts: None, couriers: BTreeMap::new(), pipe: None };
    if ![RoleName::Phone, RoleName::Email, RoleName::Chat].iter().any(|role| roles.contains(role)) {
        return Ok(opened);
    }
    let journal = |lane: &'static str, broker: Lane| {
        let folder = config.data.join("journal").join(lane);
        let (door, task) = open_door(&folder, config, lane, broker, ground.blobs, clock, Pace::default())?;
        ground.journals.spawn(task.run(ground.door_stop.clone()));
        anyhow::Ok(door)
    };
    let nobodys = Arc::new(Nobodys::read(&config.identity, ground.sources));
    let careful = |intake: Door| -> Arc<dyn Intake> {
        Arc::new(Careful { intake: Arc::new(intake), nobodys: nobodys.clone() })
    };
    let contacts = journal("contacts", Lane::contacts(bus.clone()))?;
    opened.contacts = Some(contacts.clone());
    let contacts = careful(contacts);
    if roles.contains(&RoleName::Phone) {
        let suspects = journal("quarantine", Lane::quarantine(bus.clone()))?;
        opened.add(
            connector_phone::connect(
                ground.sources.lines.clone(),
                connector_phone::Doors {
                    body_limit: config.http.body_limit_bytes,
                    body_timeout: Duration::from_secs(config.http.body_timeout_s),
                    ..connector_phone::Doors::new(
                        contacts.clone(),
                        Arc::new(QuarantineDoor::new(suspects, clock.clone())),
                        clock.clone(),
                        ground.public_url.clone(),
                    )
                },
            ),
            ground,
        );
    }
    if roles.contains(&RoleName::Email) {
        let imports = journal("imports", Lane::imports(bus.clone()))?;
        let cursors: Arc<dyn Cursors> = if config.nats.url.is_empty() {
            Arc::new(FileCursors::open(&config.data)?)
        } else {
            Arc::new(KvCursors::open(bus, &config.data)?)
        };
        let mailboxes =
            connector_email::Doors::new(contacts.clone(), careful(imports), cursors, clock.clone());
        opened.add(connector_email::connect(&ground.sources.mailboxes, &mailboxes)?, ground);
        opened.pipe = Some(pipe(ground.sources.clone(), mailboxes));
    }
    if roles.contains(&RoleName::Chat) {
        let doors = connector_chat::Doors {
            sockets: ground.writers.clone(),
            ..connector_chat::Doors::new(
                contacts,
                Arc::new(RecordedChats(ground.store.clone())),
                Arc::new(ground.signs.clone()),
                clock.clone(),
                Arc::new(demo::random_key),
                ground.stop.clone(),
            )
        };
        opened.add(connector_chat::connect(ground.sources.widgets.clone(), doors), ground);
    }
    Ok(opened)
}

impl Doors {
    fn add(&mut self, connector: Connector, ground: &Ground<'_>) {
        for task in connector.tasks {
            ground.supervisor.watch(task, ground.writers, ground.stop.clone());
        }
        self.routes = std::mem::take(&mut self.routes).merge(connector.routes);
        self.couriers.extend(connector.couriers);
    }
}

/// Opens a journal in `folder`.
pub(crate) fn open_door(
    folder: &Path,
    config: &Config,
    lane: &'static str,
    broker: Lane,
    blobs: &Arc<dyn ObjectStore>,
    clock: &Clock,
    pace: Pace,
) -> anyhow::Result<(Door, DoorTask)> {
    let limits = match lane {
        "quarantine" => QUARANTINE_LIMITS,
        _ => Limits {
            max_bytes: config.journal.max_bytes,
            segment_bytes: config.journal.segment_bytes,
            ..Limits::default()
        },
    };
    let options = DoorOptions { folder: folder.to_owned(), lane, limits, pace };
    let around = Surroundings {
        disk: Arc::new(RealDisk),
        broker: Arc::new(broker),
        blobs: blobs.clone(),
        clock: clock.clone(),
    };
    Ok(Door::open(options, around)?)
}

/// Mails handed in through the socket, by the name of their source.
fn pipe(sources: Arc<Sources>, doors: connector_email::Doors) -> HandIn {
    Arc::new(move |name, mail| {
        let (sources, doors) = (Arc::clone(&sources), doors.clone());
        let name = SourceName::new(Channel::Email, name);
        Box::pin(async move {
            let name = name.map_err(|error| Refused::Later(error.to_string()))?;
            // It may be configured tomorrow; until then the mail system keeps the mail.
            let source = sources.mailboxes.get(&name);
            let source = source.ok_or_else(|| Refused::Later(format!("no source {name} is configured")))?;
            match connector_email::hand_in(source, mail, &doors).await {
                Ok(_) => Ok(()),
                Err(error @ NotTaken::NotNow(_)) => Err(Refused::Later(error.to_string())),
                Err(error) => Err(Refused::Never(error.to_string())),
            }
        })
    })
}
