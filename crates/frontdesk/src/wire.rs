//! Where the concrete types meet, in the order of a contact's way: bus, journal, connector, recorder,
//! API, listener. Stopping goes the same way, so that what was accepted is still recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use api::Feed;
use bus::{Bus, Lanes, kv, topology};
use connector::{Clock, Supervisor};
use contact::SourceName;
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use timeline::{HoldBounds, Policy, Store};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::cli::RoleName;
use crate::config::{Config, Wrong};
use crate::desk::HouseDesk;
use crate::doors::Ground;
use crate::keeper::{self, Keeper};
use crate::late::Late;
use crate::live::Signs;
use crate::outgoing::{Couriers, Dispatcher};
use crate::pipe::Pipe;
use crate::recorder::{Recorder, Warden};
use crate::sources::Sources;
use crate::storeroom::{StoreSlot, Tables, blob_store, keep_opening, open_store, opened};
use crate::{board, demo, doors, nats, policy, serve};

/// What this process is for.
pub(crate) type Roles = BTreeSet<RoleName>;

/// How long each part may take to end. The recorder's batch has 5 s of it, and the pulls at the broker 6 s.
const WINDING_UP: Duration = Duration::from_secs(12);
/// Gauges that fade are refreshed this often.
const UPKEEP: Duration = Duration::from_secs(5);

/// Called once, when we listen and the store is open.
pub(crate) type Greeting = Box<dyn FnOnce(Arc<dyn Store>) -> BoxFuture<'static, ()> + Send>;

/// Runs the roles until `stop`. Returns an error only when something that cannot be mended by waiting
/// is wrong.
pub(crate) async fn run(
    config: Config,
    roles: Roles,
    metrics: PrometheusHandle,
    stop: CancellationToken,
    greeting: Option<Greeting>,
) -> anyhow::Result<()> {
    let clock = real_clock();
    let sources = Arc::new(Sources::read(&config)?);
    let policy = Arc::new(policy::read(&config)?);
    let public_url = config.public_url().map_err(|reason| Wrong(vec![reason]))?;
    let listener = serve::bind(&config.http).await?;

    let house = TaskTracker::new();
    let closing = CancellationToken::new();
    let server = nats::local_server(&config).await?;
    let bus = Bus::start(nats::bus_options(&config, server.as_ref())?, house.clone(), closing.clone());
    let blobs = blob_store(&config)?;
    let (store, slot) = watch::channel(None);
    let store_needed =
        [RoleName::Core, RoleName::Api, RoleName::Chat].iter().any(|role| roles.contains(role));
    let first = if store_needed && !config.is_shared_store() {
        Some(open_store(&config, Tables::Migrated).await?)
    } else {
        None
    };

    // The doors.
    let supervisor = Supervisor::default();
    // What writes into the journals ends before they do.
    let (writers, journals) = (TaskTracker::new(), TaskTracker::new());
    let (task_stop, door_stop) = (CancellationToken::new(), CancellationToken::new());
    // Which process this is, among those that share a broker and a store.
    let process = demo::random_hex(8)?;
    let signs = Signs::start(bus.clone(), process.clone(), house.clone());
    let open = doors::open(&Ground {
        config: &config,
        roles: &roles,
        sources: &sources,
        public_url: &public_url,
        bus: &bus,
        blobs: &blobs,
        clock: &clock,
        store: &slot,
        signs: &signs,
        supervisor: &supervisor,
        stop: &task_stop,
        door_stop: &door_stop,
        journals: &journals,
        writers: &writers,
    })?;
    let mut app = open.routes;
    if let Some(hand_in) = open.pipe {
        let pipe = Pipe::open(&config.data)?;
        writers.spawn(pipe.serve(hand_in, task_stop.clone()));
    }
    if let Some(contacts) = &open.contacts {
        for (role, consumer) in
            [(RoleName::Email, &topology::MAIL_COURIER), (RoleName::Chat, &topology::CHAT_COURIER)]
        {
            if roles.contains(&role) {
                let handler = Couriers {
                    couriers: open.couriers.clone(),
                    attempts: bus.kv(&kv::ATTEMPTS),
                    intake: Arc::new(contacts.clone()),
                    clock: clock.clone(),
                    stop: task_stop.clone(),
                };
                let (bus, stop) = (bus.clone(), task_stop.clone());
                writers.spawn(async move {
                    bus.consume(Lanes { live: consumer, behind: None }, Arc::new(handler), stop).await;
                });
            }
        }
    }

    // The store, as soon as it can be had.
    if let Some(open) = first {
        store.send_replace(Some(open));
    } else if store_needed {
        house.spawn(keep_opening(config.clone(), store, closing.clone()));
    }

    // The recorder.
    let feed = Arc::new(OnceLock::<Feed>::new());
    let woken = feed.clone();
    let recorded = Arc::new(Notify::new());
    let noted = recorded.clone();
    let wake: Arc<dyn Fn(i64) + Send + Sync> = Arc::new(move |position| {
        if let Some(feed) = woken.get() {
            feed.wake(position);
        }
        noted.notify_one();
    });
    let core_stop = CancellationToken::new();
    let core = TaskTracker::new();
    let mut alarm = None;
    if roles.contains(&RoleName::Core) {
        let recording = Core {
            store: slot.clone(),
            bus: bus.clone(),
            policy: policy.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
            recorded,
            signs: signs.clone(),
            by_mail: sources.unread_by_mail(),
            bounds: HoldBounds {
                per_source: config.quarantine.per_source,
                bytes_per_source: config.quarantine.bytes_per_source,
            },
        };
        let recording = core.spawn(recording.record(core_stop.clone()));
        alarm = Some(house.spawn(until_told(recording, core_stop.clone(), stop.clone())));
    }

    // The API. Who asks whether we are ready is shown the store only when the routes over it are there.
    let (shown, mut seen) = watch::channel(None);
    if !roles.contains(&RoleName::Api) {
        seen = slot.clone();
    }
    let desk = Arc::new(HouseDesk {
        roles: roles.clone(),
        demo: config.demo,
        sources,
        public_url,
        door: open.contacts,
        wake,
        house: house.clone(),
        bus: bus.clone(),
        store: seen.clone(),
        blobs,
        supervisor,
        metrics: metrics.clone(),
    });
    let operator = api::operator(desk.clone());
    if roles.contains(&RoleName::Api) {
        let late = Late::new(operator);
        app = app.merge(console::routes()).fallback_service(late.service());
        let api =
            Api { late, desk, process, policy, clock, feed, shown, hints: bus.hints(), stop: stop.clone() };
        house.spawn(api.serve(slot.clone(), house.clone(), closing.clone()));
    } else {
        app = app.merge(operator);
    }
    house.spawn(upkeep(metrics, closing.clone()));

    if let Some(greet) = greeting {
        let (mut seen, closing) = (seen, closing.clone());
        house.spawn(async move {
            if let Some(store) = opened(&mut seen, &closing).await {
                greet(store).await;
            }
        });
    }
    info!(http.listen = %config.http.listen, "listening");
    let served = serve::serve(listener, app, &config.http, stop).await;

    // The way of a contact, once more: nothing new comes in, what came in is recorded, then all ends.
    task_stop.cancel();
    ended("connectors", &writers).await;
    door_stop.cancel();
    ended("journals", &journals).await;
    core_stop.cancel();
    ended("the recorder", &core).await;
    closing.cancel();
    ended("the house", &house).await;
    if store_needed && let Err(error) = store::tidy(&config.store_url()).await {
        warn!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "the database keeps a part of itself beside its file"
        );
    }
    if let Some(server) = server {
        server.stop().await;
    }
    info!("stopped");
    if let Some(alarm) = alarm {
        alarm.await.context("could not wait for the recorder")??;
    }
    served
}

/// Waits for what is to end now, but not for ever: it may wait itself, for a database or a mail server that says
/// nothing. Whatever it has under way, a kill may interrupt at any moment, so leaving it behind loses nothing.
async fn ended(what: &'static str, tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(WINDING_UP, tasks.wait()).await.is_err() {
        warn!(tasks.left = tasks.len(), "{what}: did not end in time, and stop where they are");
    }
}

/// Waits for the recorder. Should it end before it was `told` to, by a panic too, everything stops, with an error:
/// a house that goes on taking contacts and records none of them would seem well.
async fn until_told(
    recording: JoinHandle<()>,
    told: CancellationToken,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ended = tokio::select! {
        biased;
        () = told.cancelled() => return Ok(()),
        ended = recording => ended,
    };
    error!("the recorder ended, though nobody stopped it");
    stop.cancel();
    ended.context("the recorder broke; what was accepted is in the journal")?;
    anyhow::bail!("the recorder ended, though nobody stopped it; what was accepted is in the journal")
}

/// The recorder's half of the house.
struct Core {
    store: StoreSlot,
    bus: Bus,
    policy: Arc<Policy>,
    clock: Clock,
    wake: Arc<dyn Fn(i64) + Send + Sync>,
    /// Told whenever this process recorded something.
    recorded: Arc<Notify>,
    signs: Signs,
    /// By which mailbox unread answers of a chat go.
    by_mail: BTreeMap<SourceName, SourceName>,
    bounds: HoldBounds,
}

impl Core {
    /// Records until `stop`: contacts before imports, and suspects on their own.
    async fn record(mut self, stop: CancellationToken) {
        let Some(store) = opened(&mut self.store, &stop).await else { return };
        let recorder = Recorder {
            store: store.clone(),
            bus: self.bus.clone(),
            policy: self.policy.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            signs: self.signs,
        };
        let dispatcher = Dispatcher {
            store: store.clone(),
            bus: self.bus.clone(),
            policy: self.policy.clone(),
            clock: self.clock.clone(),
            by_mail: self.by_mail,
            handed: HashMap::new(),
            wake: self.wake.clone(),
        };
        let keeper = Keeper {
            store: store.clone(),
            bus: self.bus.clone(),
            policy: self.policy,
            clock: self.clock.clone(),
            wake: self.wake,
            recorded: self.recorded,
        };
        let board = board::watch(store.clone(), self.clock.clone(), stop.clone());
        let warden = Warden { store, bounds: self.bounds, clock: self.clock.clone() };
        let contacts = Lanes { live: &topology::RECORDER, behind: Some(&topology::IMPORTER) };
        let suspects = Lanes { live: &topology::QUARANTINED, behind: None };
        tokio::join!(
            self.bus.consume(contacts, Arc::new(recorder), stop.clone()),
            self.bus.consume(suspects, Arc::new(warden), stop.clone()),
            dispatcher.run(self.bus.hints(), stop.clone()),
            keeper.run(self.bus.hints(), stop.clone()),
            board,
        );
    }
}

/// The agents' half of the house.
struct Api {
    late: Late,
    desk: Arc<HouseDesk>,
    process: String,
    policy: Arc<Policy>,
    clock: Clock,
    /// Filled when there is one, for the recorder of this process to wake.
    feed: Arc<OnceLock<Feed>>,
    /// Told when the API is open.
    shown: watch::Sender<Option<Arc<dyn Store>>>,
    hints: watch::Receiver<u64>,
    stop: CancellationToken,
}

impl Api {
    /// Opens the API when the store comes, and passes on what other processes recorded.
    async fn serve(mut self, mut slot: StoreSlot, tracker: TaskTracker, closing: CancellationToken) {
        let Some(store) = opened(&mut slot, &closing).await else { return };
        let feed = Feed::start(store.clone(), self.clock.clone(), closing.clone(), &tracker);
        let (there, is_there) = oneshot::channel();
        let there = move || {
            // Nobody listens any more when we are stopped meanwhile.
            there.send(()).ok();
        };
        tracker.spawn(keeper::say_so(
            store.clone(),
            self.process.clone(),
            self.clock.clone(),
            there,
            closing.clone(),
        ));
        if is_there.await.is_err() {
            return;
        }
        let feed = self.feed.get_or_init(|| feed);
        self.late.arrive(api::router(api::Parts {
            store: store.clone(),
            feed: feed.clone(),
            policy: self.policy,
            clock: self.clock,
            process: self.process,
            desk: self.desk,
            stop: self.stop,
            tracker,
        }));
        self.shown.send_replace(Some(store));
        loop {
            let position = *self.hints.borrow_and_update();
            feed.wake(i64::try_from(position).unwrap_or(i64::MAX));
            tokio::select! {
                () = closing.cancelled() => return,
                changed = self.hints.changed() => if changed.is_err() { return },
            }
        }
    }
}

async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    while !stop.is_cancelled() {
        metrics.run_upkeep();
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tick.tick() => {}
        }
    }
}

/// The clock of this machine: the only place where it is read.
pub(crate) fn real_clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "everybody else takes the time as an argument")]
    let now = jiff::Timestamp::now;
    Arc::new(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_ever_is_not_waited_for() {
        let tracker = TaskTracker::new();
        tracker.spawn(std::future::pending::<()>());
        ended("a connector", &tracker).await;
        assert_eq!(tracker.len(), 1);
    }

    #[tokio::test]
    async fn a_recorder_that_ends_by_itself_ends_the_house_with_an_error() {
        let tracker = TaskTracker::new();
        let (told, stop) = (CancellationToken::new(), CancellationToken::new());
        let broken = tracker.spawn(async { panic!("a decision") });
        let ended = until_told(broken, told.clone(), stop.clone()).await;
        assert!(ended.unwrap_err().to_string().contains("the recorder broke"));
        assert!(stop.is_cancelled());

        let stop = CancellationToken::new();
        let early = tracker.spawn(async {});
        until_told(early, told.clone(), stop.clone()).await.unwrap_err();
        assert!(stop.is_cancelled());

        let stop = CancellationToken::new();
        told.cancel();
        let on_time = tracker.spawn(async {});
        until_told(on_time, told, stop.clone()).await.unwrap();
        assert!(!stop.is_cancelled());
    }
}
