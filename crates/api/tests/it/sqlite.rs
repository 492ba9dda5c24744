//! The same over a real store: what is committed by one task is followed by another, and every list is read.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use api::{Feed, Parts, token_id, token_secret};
use axum::Router;
use contact::Event;
use store::testing::Postgres;
use timeline::turn::{Roster, turn};
use timeline::{HoldBounds, Policy, Role, Store, Token, record};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::house::{PROCESS, Person, TestDesk, letter, missed, noon, suspect, time};
use crate::live::comes_back_all_the_time;

pub(crate) struct Real {
    /// An admin.
    pub(crate) mia: Person,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Arc<TestDesk>,
    /// Seconds after noon.
    pub(crate) clock: Arc<AtomicI64>,
    policy: Arc<Policy>,
    roster: tokio::sync::Mutex<Roster>,
    router: Router,
    feed: Feed,
    tracker: TaskTracker,
    people: AtomicU8,
    /// What the store stands on.
    _ground: Box<dyn Any + Send + Sync>,
}

pub(crate) async fn real() -> Real {
    with(Policy::default()).await
}

/// Where this is configured.
pub(crate) async fn with(policy: Policy) -> Real {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("frontdesk.db").display());
    at(&url, policy, Box::new(folder)).await
}

/// The same on each store there is here: SQLite, and PostgreSQL where it is installed.
pub(crate) async fn each() -> Vec<Real> {
    let mut all = vec![real().await];
    if let Some(server) = tokio::task::spawn_blocking(Postgres::start_or_skip).await.unwrap() {
        all.push(at(&server.url(), Policy::default(), Box::new(server)).await);
    }
    all
}

async fn at(url: &str, policy: Policy, ground: Box<dyn Any + Send + Sync>) -> Real {
    let store = store::open(url, store::Options::default()).await.unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let (desk, clock) = (Arc::new(TestDesk::default()), Arc::new(AtomicI64::new(0)));
    let (time, policy) = (time(&clock), Arc::new(policy));
    let feed = Feed::start(Arc::clone(&store), time.clone(), stop.clone(), &tracker);
    let router = api::router(Parts {
        store: Arc::clone(&store),
        feed: feed.clone(),
        policy: Arc::clone(&policy),
        clock: time,
        process: PROCESS.to_owned(),
        desk: Arc::<TestDesk>::clone(&desk),
        stop,
        tracker: tracker.clone(),
    });
    // For as long as the story lasts.
    store.keep_alive(PROCESS, noon(100_000)).await.unwrap();
    let people = AtomicU8::new(7);
    let mia = hire(store.as_ref(), &router, &people, "Mia", Role::Admin).await;
    let roster = tokio::sync::Mutex::default();
    Real { mia, store, desk, clock, policy, roster, router, feed, tracker, people, _ground: ground }
}

async fn hire(store: &dyn Store, router: &Router, people: &AtomicU8, name: &str, role: Role) -> Person {
    let secret = token_secret([people.fetch_add(1, Ordering::Relaxed); 32]);
    let (id, name) = (token_id(&secret), name.to_owned());
    store.add_token(&Token { id, name, role, created_at: noon(0), revoked_at: None }).await.unwrap();
    Person::new(router.clone(), secret)
}

impl Real {
    /// Somebody with a token of their own.
    pub(crate) async fn person(&self, name: &str, role: Role) -> Person {
        hire(self.store.as_ref(), &self.router, &self.people, name, role).await
    }

    /// Records the events in one batch, and tells the feed.
    pub(crate) async fn records(&self, events: Vec<Event>) {
        self.feed.wake(take_in(self.store.as_ref(), &self.policy, events).await);
    }

    /// What happens by itself happens now.
    pub(crate) async fn turns(&self) {
        let now = noon(self.clock.load(Ordering::Relaxed));
        let mut roster = self.roster.lock().await;
        let turned = turn(self.store.as_ref(), &self.policy, &mut roster, || now).await.unwrap();
        self.feed.wake(turned.feed_position);
    }
}

async fn take_in(store: &dyn Store, policy: &Policy, events: Vec<Event>) -> i64 {
    let arrivals = events.into_iter().map(|event| timeline::Arrival {
        payload: String::from_utf8(event.to_json()).unwrap(),
        recorded_at: event.received_at,
        event,
    });
    record(store, policy, arrivals.collect(), Vec::new()).await.unwrap().feed_position
}

async fn write(store: &dyn Store, n: i64) -> i64 {
    take_in(store, &Policy::default(), missed(&format!("CA{n}"), Some(&format!("+38044123{:04}", n % 20)), n))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_comes_back_all_the_time_misses_nothing_while_others_write() {
    let real = real().await;
    let rea = real.person("Rea", Role::Reader).await;
    let (store, feed, done) = (Arc::clone(&real.store), real.feed.clone(), CancellationToken::new());
    let finished = done.clone().drop_guard();
    real.tracker.spawn(async move {
        let _finished = finished;
        for n in 0..150 {
            feed.wake(write(store.as_ref(), n).await);
        }
    });
    let seen = comes_back_all_the_time(&rea, real.store.as_ref(), &done).await;
    let head = real.store.feed_head().await.unwrap();
    assert!(head > 600, "something was written: {head}");
    assert_eq!(seen, (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_list_pages_and_every_item_is_found() {
    let real = real().await;
    for n in 0..7 {
        write(real.store.as_ref(), n).await;
    }
    real.store.bury(&(0..7).map(letter).collect::<Vec<_>>()).await.unwrap();
    let suspects: Vec<_> = (0..7).map(|n| suspect(&n.to_string())).collect();
    let bounds = HoldBounds { per_source: 100, bytes_per_source: 1 << 20 };
    real.store.hold(&suspects, bounds).await.unwrap();
    for list in ["clients", "contacts", "conversations", "dead-letters", "quarantine"] {
        let whole = real.mia.get(&format!("/v1/{list}")).await.items();
        assert_eq!(whole.len(), 7, "{list}");
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = real.mia.get(&format!("/v1/{list}?limit=2&cursor={cursor}")).await;
            seen.extend(page.items());
            match page.json()["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{list}");
        for item in &whole {
            let path = format!("/v1/{list}/{}", item["id"].as_str().unwrap());
            assert_eq!(real.mia.get(&path).await.status, 200, "{path}");
        }
    }
    let client = real.mia.get("/v1/clients?phone=%2B380441230003").await.items()[0].clone();
    let id = client["id"].as_str().unwrap();
    assert_eq!(real.mia.get(&format!("/v1/clients/{id}/timeline?channel=phone")).await.items().len(), 1);
    assert_eq!(real.mia.get(&format!("/v1/conversations?client={id}&status=open")).await.items().len(), 1);
    let contact = real.mia.get("/v1/contacts").await.items()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        real.mia.get(&format!("/v1/contacts/{contact}/raw?event=14")).await.text(),
        "CallSid=CA6&State=Ended"
    );
}

#[tokio::test]
async fn a_remembered_answer_comes_back_from_the_disk() {
    let real = real().await;
    let (key, body) = ([("Idempotency-Key", "k")], r#"{"name":"Bo","role":"reader"}"#);
    let first = real.mia.send("POST", "/v1/tokens", &key, body).await;
    let again = real.mia.send("POST", "/v1/tokens", &key, body).await;
    assert_eq!((first.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(first.body, again.body);
    let made = first.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(real.mia.with_secret(&made).get("/v1/clients").await.status, 200);
}
