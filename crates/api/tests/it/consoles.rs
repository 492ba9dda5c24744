//! Who is connected: whoever follows the feed, and for a moment after.

use std::sync::atomic::Ordering;
use std::time::Duration;

use contact::{Act, Actor, Channel, Content, Deed, Direction, Event, EventKey, SourceName, Trust};
use timeline::{Policy, Role, Store};
use tokio::time::advance;

use crate::house::{House, PROCESS, Person, noon};
use crate::live::{Listener, eventually};

const SECOND: Duration = Duration::from_secs(1);

async fn me(person: &Person) -> (bool, i64) {
    let me = person.get("/v1/me").await.json();
    (me["connected"].as_bool().unwrap(), me["rev"].as_i64().unwrap())
}

async fn becomes(person: &Person, connected: bool) {
    eventually("connected or not", async || me(person).await.0 == connected).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_connected_while_a_stream_of_theirs_is_open_and_a_moment_longer() {
    let house = House::new();
    let bo = house.person(Role::Agent).await;
    assert_eq!(me(&bo).await, (false, 0));
    let (first, second) = (Listener::open(&bo, "", &[]).await, Listener::open(&bo, "", &[]).await);
    becomes(&bo, true).await;
    assert_eq!(me(&bo).await, (true, 1), "two consoles are said once");
    drop(first);
    advance(10 * SECOND).await;
    assert_eq!(me(&bo).await, (true, 1), "one is left");
    drop(second);
    advance(2 * SECOND).await;
    // Loaded anew.
    let third = Listener::open(&bo, "", &[]).await;
    advance(20 * SECOND).await;
    assert_eq!(me(&bo).await, (true, 1), "nobody was told of a parting");
    drop(third);
    let began = tokio::time::Instant::now();
    becomes(&bo, false).await;
    assert!(began.elapsed() >= 3 * SECOND, "{:?}", began.elapsed());
    let _again = Listener::open(&bo, "", &[]).await;
    becomes(&bo, true).await;
}

#[tokio::test(start_paused = true)]
async fn who_only_reads_is_never_connected() {
    let house = House::new();
    let (rea, bo) = (house.person(Role::Reader).await, house.person(Role::Supervisor).await);
    let _listeners = (Listener::open(&rea, "", &[]).await, Listener::open(&bo, "", &[]).await);
    becomes(&bo, true).await;
    advance(5 * SECOND).await;
    assert_eq!(me(&rea).await, (false, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_came_while_the_store_was_away_is_connected_when_it_is_back() {
    let house = House::new();
    let bo = house.person(Role::Agent).await;
    let rea = house.person(Role::Reader).await;
    let listener = Listener::open(&bo, "", &[]).await;
    becomes(&bo, true).await;
    house.store.away.store(true, Ordering::Relaxed);
    drop(listener);
    advance(30 * SECOND).await;
    house.store.away.store(false, Ordering::Relaxed);
    becomes(&bo, false).await;
    let _listener = Listener::open(&bo, "", &[]).await;
    becomes(&bo, true).await;
    assert_eq!(
        rea.get("/v1/agents").await.items().iter().filter(|agent| agent["connected"] == true).count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_who_was_taken_for_gone_is_connected_again() {
    let house = House::new();
    let bo = house.person(Role::Agent).await;
    let _listener = Listener::open(&bo, "", &[]).await;
    becomes(&bo, true).await;
    // As a turn does for a process that was silent for too long.
    let agent = bo.get("/v1/me").await.json()["name"].as_str().unwrap().to_owned();
    let deed = Deed::Connect { agent, process: PROCESS.to_owned(), open: false };
    let event = Event {
        key: EventKey { source: SourceName::new(Channel::Desk, "policy").unwrap(), id: "gone".to_owned() },
        contact: timeline::act::subject(&deed),
        occurred_at: noon(0),
        received_at: noon(0),
        traceparent: None,
        direction: Direction::Outbound,
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content: Content::Act(Box::new(Act { by: Actor::Policy("presence/1".to_owned()), deed })),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    let arrival = timeline::Arrival { event, payload, recorded_at: noon(0) };
    let store: &dyn Store = house.store.as_ref();
    timeline::act(store, &Policy::default(), arrival).await.unwrap();
    assert_eq!(me(&bo).await, (false, 2));
    becomes(&bo, true).await;
}
