//! The event stream: nothing missed, nothing twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::BodyDataStream;
use contact::{CallState, Content};
use futures::StreamExt as _;
use timeline::{Policy, Role, Store};
use tokio_util::sync::CancellationToken;

use crate::house::{House, Person, call, missed, noon};
use crate::written::{ADDRESS, mail};

/// An open event stream.
pub(crate) struct Listener {
    body: BodyDataStream,
    /// Whole messages not yet taken.
    text: String,
}

impl Listener {
    pub(crate) async fn open(person: &Person, query: &str, headers: &[(&str, &str)]) -> Self {
        let response = person.open("GET", &format!("/v1/events{query}"), headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut listener = Self { body: response.into_body().into_data_stream(), text: String::new() };
        assert_eq!(listener.message().await.as_deref(), Some("retry: 2000"));
        listener
    }

    /// The next message; `None` at the end of the stream. Gives up after a while of silence.
    async fn message(&mut self) -> Option<String> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let message = message.to_owned();
                self.text = rest.to_owned();
                return Some(message);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.body.next()).await;
            let chunk = chunk.expect("the stream fell silent")?.unwrap();
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The id of the next change.
    pub(crate) async fn id(&mut self) -> i64 {
        loop {
            let message = self.message().await.expect("the stream goes on");
            if message.starts_with("id: ") {
                return id(&message);
            }
        }
    }

    /// The next change, whatever it is.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            let message = self.message().await.expect("the stream goes on");
            if message.starts_with("id: ") {
                return message;
            }
        }
    }

    /// The next change of this kind.
    pub(crate) async fn next_of(&mut self, kind: &str) -> String {
        loop {
            let message = self.message().await.expect("the stream goes on");
            if message.contains(&format!("\nevent: {kind}\n")) {
                return message;
            }
        }
    }

    /// The ids of so many changes.
    async fn ids(&mut self, count: i64) -> Vec<i64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.id().await);
        }
        ids
    }
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn id(message: &str) -> i64 {
    message.strip_prefix("id: ").unwrap().lines().next().unwrap().parse().unwrap()
}

/// What a message holds.
pub(crate) fn data(message: &str) -> serde_json::Value {
    serde_json::from_str(message.split_once("\ndata: ").unwrap().1).unwrap()
}

fn number(n: usize) -> String {
    format!("+3804412{n:05}")
}

#[tokio::test]
async fn a_ringing_call_pops_up_with_its_client() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    house.records(missed("CA1", Some("+15550100"), 0)).await;
    let head = house.store.feed_head().await.unwrap();
    let mut listener = Listener::open(&mia, "", &[]).await;
    house.records(vec![call("CA2", Some("+380441234567"), CallState::Ringing, 60)]).await;
    let mut messages = Vec::new();
    while messages.len() < 3 {
        messages.push(listener.message().await.unwrap());
    }
    assert!(
        messages[0].starts_with(&format!("id: {}\nevent: client\ndata: ", head + 1)),
        "from the present on"
    );
    insta::assert_snapshot!(messages.join("\n\n"));
    house.records(vec![call("CA3", None, CallState::Ringing, 90)]).await;
    let nobodys = listener.message().await.unwrap();
    assert!(nobodys.ends_with(r#""client":null}"#), "{nobodys}");
}

#[tokio::test]
async fn a_conversation_shows_its_last_entry_though_that_changed_long_before_or_after() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    for n in 0..200 {
        house.records(missed(&format!("CA{n}"), Some(&number(n % 2)), i64::try_from(n).unwrap())).await;
    }
    let head = house.store.feed_head().await.unwrap();
    let mut listener = Listener::open(&mia, "?after=0", &[]).await;
    let mut conversations = 0;
    for id in 1..=head {
        let message = listener.message().await.unwrap();
        assert!(message.starts_with(&format!("id: {id}\n")));
        if message.contains("\nevent: conversation\n") {
            assert!(message.contains(r#""last_entry":{"id":"ent_"#), "{message}");
            conversations += 1;
        }
    }
    assert!(conversations > 100);
}

/// Everything seen by a listener who stays for a few changes and comes back where they were, until all that was
/// written is seen.
pub(crate) async fn comes_back_all_the_time(
    person: &Person,
    store: &dyn Store,
    done: &CancellationToken,
) -> Vec<i64> {
    let (mut seen, mut last, mut patience) = (Vec::new(), 0, 1);
    let at_the_end = async |last| done.is_cancelled() && last == store.feed_head().await.unwrap();
    while !at_the_end(last).await {
        let id = last.to_string();
        // A stale `after`, as a browser would send it, gives way to the header.
        let mut listener = Listener::open(person, "?after=0", &[("Last-Event-ID", &id)]).await;
        for _ in 0..patience {
            if at_the_end(last).await {
                break;
            }
            tokio::select! {
                id = listener.id() => {
                    last = id;
                    seen.push(id);
                }
                () = done.cancelled(), if !done.is_cancelled() => {}
            }
        }
        patience = patience % 29 + 1;
    }
    seen
}

#[tokio::test]
async fn a_listener_that_comes_back_all_the_time_misses_nothing_while_others_write() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let store = house.store.clone();
    let feed = house.feed.clone();
    let done = CancellationToken::new();
    let finished = done.clone().drop_guard();
    house.tracker.spawn(async move {
        let _finished = finished;
        for n in 0..200 {
            let events = missed(&format!("CA{n}"), Some(&number(n % 50)), i64::try_from(n).unwrap());
            let arrivals = events.into_iter().map(|event| timeline::Arrival {
                payload: String::from_utf8(event.to_json()).unwrap(),
                recorded_at: event.received_at,
                event,
            });
            let recorded =
                timeline::record(store.as_ref(), &Policy::default(), arrivals.collect(), Vec::new())
                    .await
                    .unwrap();
            // Every third hint is lost.
            if n % 3 != 0 {
                feed.wake(recorded.feed_position);
            }
            tokio::task::yield_now().await;
        }
    });
    let seen = comes_back_all_the_time(&mia, house.store.as_ref(), &done).await;
    let head = house.store.feed_head().await.unwrap();
    assert!(head > 800, "something was written: {head}");
    assert_eq!(seen, (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_listener_who_sleeps_while_much_happens_misses_nothing() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut sleeper = Listener::open(&mia, "?after=0", &[]).await;
    let mut awake = Listener::open(&mia, "?after=0", &[]).await;
    let mut head = 0;
    for n in 0..1_500usize {
        house.records(missed(&format!("CA{n}"), Some(&number(n)), i64::try_from(n).unwrap())).await;
        let now = house.store.feed_head().await.unwrap();
        assert_eq!(awake.ids(now - head).await, (head + 1..=now).collect::<Vec<_>>());
        head = now;
    }
    assert!(head > 5_000, "much happened: {head}");
    assert_eq!(sleeper.ids(head).await, (1..=head).collect::<Vec<_>>());
    house.records(missed("CZ", None, 9_999)).await;
    assert_eq!(sleeper.id().await, head + 1, "and goes on live");
}

#[tokio::test]
async fn two_hundred_listeners_see_the_same() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut listeners = Vec::new();
    for _ in 0..200 {
        listeners.push(Listener::open(&mia, "", &[]).await);
    }
    for n in 0..20 {
        house.records(missed(&format!("CA{n}"), Some(&number(n)), i64::try_from(n).unwrap())).await;
    }
    let head = house.store.feed_head().await.unwrap();
    for listener in &mut listeners {
        assert_eq!(listener.ids(head).await, (1..=head).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn two_hundred_listeners_who_come_from_behind_read_the_store_once() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    for n in 0..200 {
        house.records(missed(&format!("CA{n}"), Some(&number(n)), i64::try_from(n).unwrap())).await;
    }
    let head = house.store.feed_head().await.unwrap();
    assert!(head > 512, "pages: {head}");
    let before = house.store.feed_reads.load(Ordering::Relaxed);
    let mut listeners = Vec::new();
    for _ in 0..200 {
        listeners.push(Listener::open(&mia, "?after=0", &[]).await);
    }
    for listener in &mut listeners {
        assert_eq!(listener.ids(head).await, (1..=head).collect::<Vec<_>>());
    }
    // The pages, and now and then a look whether there is more.
    let read = house.store.feed_reads.load(Ordering::Relaxed) - before;
    assert!(read < 100, "{read} times");
}

#[tokio::test(start_paused = true)]
async fn a_screen_is_told_what_was_too_much_for_it_and_goes_on() {
    let house = House::new();
    let mia = house.person(Role::Agent).await;
    // More than it can be told at once, and far behind.
    for count in [150, 1_200] {
        let mut last = house.store.feed_head().await.unwrap();
        let mut screen = Listener::open(&mia, "?screen=true", &[]).await;
        for n in 0..count {
            house
                .records(missed(&format!("CA{count}-{n}"), Some(&number(n)), i64::try_from(n).unwrap()))
                .await;
        }
        house.records(vec![call(&format!("CZ{count}"), None, CallState::Ringing, 9_999)]).await;
        let head = house.store.feed_head().await.unwrap();
        let mut skipped = 0;
        while last < head {
            let message = screen.next().await;
            let id = id(&message);
            if message.contains("\nevent: skipped\n") {
                assert_eq!(data(&message), serde_json::json!({ "after": last, "position": id }));
                skipped += id - last;
            } else {
                assert_eq!(id, last + 1, "nothing is left out in silence");
            }
            last = id;
        }
        assert!(skipped >= i64::try_from(count).unwrap(), "{skipped} of {count} contacts");
        house.records(vec![call(&format!("CY{count}"), None, CallState::Ringing, 9_999)]).await;
        assert_eq!(screen.id().await, head + 1, "and goes on");
    }
}

#[tokio::test]
async fn a_screen_that_comes_back_to_more_than_is_kept_at_once_is_told_and_goes_on() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    // Sixty megabytes in fewer changes than are too many to look at.
    for n in 0..600 {
        let mut event = mail(&format!("m{n}"), ADDRESS, n, Vec::new());
        if let Content::Email(email) = &mut event.content {
            email.text = "x".repeat(100_000);
        }
        house.records(vec![event]).await;
    }
    let head = house.store.feed_head().await.unwrap();
    assert!((1_200..4_096).contains(&head), "{head}");
    let mut screen = Listener::open(&mia, "?screen=true&after=0", &[]).await;
    let told = async {
        while screen.id().await < head {}
        house.records(missed("CA1", None, 9_999)).await;
        assert_eq!(screen.id().await, head + 1, "and goes on");
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("it is told");
    // Each page once, and now and then a look whether there is more.
    let read = house.store.feed_reads.load(Ordering::Relaxed);
    assert!(read < 600 + 100, "{read} times");
}

#[tokio::test(start_paused = true)]
async fn a_call_rings_at_once_on_the_screen_of_its_agent_and_a_moment_later_on_others() {
    let house = House::new();
    house.store.rings.lock().unwrap().push("mia".to_owned());
    let mut screens = Vec::new();
    for name in ["mia", "bo"] {
        let person = house.named(name, Role::Reader).await;
        screens.push(Listener::open(&person, "?screen=true", &[]).await);
    }
    house.records(vec![call("CA1", None, CallState::Ringing, 0)]).await;
    for screen in &mut screens {
        while screen.id().await < house.store.feed_head().await.unwrap() {}
    }
    let began = tokio::time::Instant::now();
    house.records(vec![call("CA2", None, CallState::Ringing, 1)]).await;
    let mut heard_after = Vec::new();
    for screen in &mut screens {
        screen.id().await;
        heard_after.push(began.elapsed().as_millis());
    }
    assert!(heard_after[0] < 40 && heard_after[1] >= 40, "{heard_after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_screen_is_told_where_the_feed_is() {
    let house = House::new();
    let mia = house.person(Role::Agent).await;
    house.records(missed("CA1", None, 0)).await;
    let mut screen = Listener::open(&mia, "?screen=true", &[]).await;
    // Its own coming is the first thing it hears.
    let head = screen.id().await;
    assert_eq!(screen.message().await.unwrap(), format!(": still here\nid: {head}"));
    let odd = mia.get("/v1/events?screen=yes").await;
    assert_eq!(odd.problem(), "400 [screen] `yes` is neither true nor false");
}

#[tokio::test(start_paused = true)]
async fn a_change_nobody_told_of_is_found_within_a_second_or_so() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut listener = Listener::open(&mia, "", &[]).await;
    let began = tokio::time::Instant::now();
    let event = call("CA1", None, CallState::Ringing, 0);
    let payload = String::from_utf8(event.to_json()).unwrap();
    let arrival = timeline::Arrival { recorded_at: event.received_at, payload, event };
    timeline::record(house.store.as_ref(), &Policy::default(), vec![arrival], Vec::new()).await.unwrap();
    assert_eq!(listener.id().await, 1);
    assert!(began.elapsed() < Duration::from_millis(2_100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_is_there() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut listener = Listener::open(&mia, "", &[]).await;
    let began = tokio::time::Instant::now();
    assert_eq!(listener.message().await.unwrap(), ": still here");
    assert_eq!(listener.message().await.unwrap(), ": still here");
    assert!((29..=31).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_a_store_that_was_away() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut listener = Listener::open(&mia, "", &[]).await;
    house.store.away.store(true, Ordering::Relaxed);
    house.records(missed("CA1", None, 0)).await;
    assert_eq!(listener.message().await.unwrap(), ": still here", "nothing is told while it is away");
    house.store.away.store(false, Ordering::Relaxed);
    let head = house.store.feed_head().await.unwrap();
    assert_eq!(listener.ids(head).await, (1..=head).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_token_is_revoked() {
    let house = House::new();
    let (mia, bo) = (house.person(Role::Reader).await, house.person(Role::Reader).await);
    let (mut hers, mut his) = (Listener::open(&mia, "", &[]).await, Listener::open(&bo, "", &[]).await);
    house.store.revoke_token(&mia.id(), noon(0)).await.unwrap();
    let began = tokio::time::Instant::now();
    while hers.message().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    assert_eq!(his.message().await.unwrap(), ": still here", "others stay");
}

#[tokio::test]
async fn every_stream_ends_at_the_stop() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let mut listener = Listener::open(&mia, "", &[]).await;
    house.stop.cancel();
    assert_eq!(listener.message().await, None);
    house.tracker.close();
    tokio::time::timeout(Duration::from_secs(60), house.tracker.wait())
        .await
        .expect("the feed's task ends too");
}

#[tokio::test]
async fn nobody_has_seen_more_than_there_is() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    house.records(missed("CA1", None, 0)).await;
    let head = house.store.feed_head().await.unwrap();
    let beyond = (head + 1).to_string();
    let answer = mia.send("GET", "/v1/events", &[("Last-Event-ID", &beyond)], "").await;
    assert_eq!(
        answer.problem(),
        format!("400 [after] the feed ends at {head}, so nobody can have seen {beyond}")
    );
    Listener::open(&mia, &format!("?after={head}"), &[]).await;
    let odd = mia.send("GET", "/v1/events", &[("Last-Event-ID", "x")], "").await;
    assert_eq!(odd.problem(), "400 [Last-Event-ID] `x` is no position in the feed; it is 0 or more");
}
