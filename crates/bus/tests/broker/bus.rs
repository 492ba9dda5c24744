//! The bus against a real nats-server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{
    House, LIVE, PATIENCE, Store, eventually, freeze, kill, payloads, publish_all, subject, text, thaw,
};
use ::bus::{Auth, Bus, BusError, Lanes, Link, Options, PublishError, topology};
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::test]
async fn what_is_published_is_delivered_acked_and_seen_in_the_progress() {
    let house = House::start().await;
    let bus = house.bus().await;
    let before = bus.progress(&topology::RECORDER).await.unwrap();
    assert_eq!((before.ack_floor, before.last_seq, before.waiting), (0, 0, 0));

    let receipt = bus.publish(subject(), Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!((receipt.stream.as_str(), receipt.stream_seq), ("CONTACTS", 1));
    assert_eq!(receipt.stream_created, before.stream_created);
    let waiting = bus.progress(&topology::RECORDER).await.unwrap();
    assert_eq!((waiting.ack_floor, waiting.last_seq, waiting.waiting), (0, 1, 1));

    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 1)
        .await;
    let kept = store.kept.lock().unwrap().clone();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].subject.as_str(), text(&kept[0].payload).as_str()), (subject().as_str(), "hello"));
    assert_eq!((kept[0].stream_seq, kept[0].delivered), (1, 1));
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_batches_come_under_load_and_nothing_is_lost_or_repeated() {
    const N: usize = 20_000;
    let house = House::start().await;
    let bus = house.bus().await;
    let receipts = publish_all(&bus, &subject(), payloads("m", N)).await;
    let mut seqs: Vec<u64> = receipts.iter().map(|receipt| receipt.stream_seq).collect();
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(1..=N as u64));

    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    let floor = async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor;
    eventually(floor, |floor| *floor == N as u64).await;
    let counts = store.counts();
    assert_eq!(counts.len(), N);
    assert!(counts.values().all(|count| *count == 1));
    let batches = store.batches.lock().unwrap().clone();
    let full = batches.iter().filter(|size| **size == 512).count();
    assert!(full * 512 > N / 2, "too few full batches: {batches:?}");
    house.leave().await;
}

#[tokio::test]
async fn large_messages_flow_within_the_memory_bound() {
    let house = House::start().await;
    let bus = house.bus().await;
    let large: Vec<Bytes> = (0..120u8).map(|i| Bytes::from(vec![i; 600_000])).collect();
    publish_all(&bus, &subject(), large).await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 120)
        .await;
    assert_eq!(store.kept.lock().unwrap().len(), 120);
    let largest = *store.batches.lock().unwrap().iter().max().unwrap();
    assert!(largest <= 14, "{largest} messages of 600 kB in one batch");
    house.leave().await;
}

#[tokio::test]
async fn a_poisonous_message_is_isolated_and_buried_while_the_others_pass() {
    let house = House::start().await;
    let bus = house.bus().await;
    let mut all = payloads("m", 700);
    all[0] = Bytes::from_static(b"poison-first");
    all[333] = Bytes::from_static(b"poison-middle");
    publish_all(&bus, &subject(), all).await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 700)
        .await;
    let mut buried: Vec<_> =
        store.buried.lock().unwrap().iter().map(|(one, why)| (text(&one.payload), why.clone())).collect();
    buried.sort();
    let why = "cannot be digested".to_owned();
    assert_eq!(buried, [("poison-first".to_owned(), why.clone()), ("poison-middle".to_owned(), why)]);
    assert_eq!(store.counts().len(), 698);
    house.leave().await;
}

#[tokio::test]
async fn with_the_store_away_nothing_is_pulled_lost_or_buried() {
    let house = House::start().await;
    let bus = house.bus().await;
    let store = Arc::new(Store::default());
    store.away.store(true, Ordering::SeqCst);
    house.consume(&bus, LIVE, &store);
    publish_all(&bus, &subject(), payloads("before", 1500)).await;
    eventually(async || store.probes.load(Ordering::SeqCst), |probes| *probes >= 4).await;
    publish_all(&bus, &subject(), payloads("during", 1500)).await;
    assert_eq!(bus.progress(&topology::RECORDER).await.unwrap().ack_floor, 0);
    assert_eq!(store.calls.load(Ordering::SeqCst), 1, "asked a store that was known to be away");

    store.away.store(false, Ordering::SeqCst);
    let since = tokio::time::Instant::now();
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 3000)
        .await;
    assert!(since.elapsed() < Duration::from_secs(20), "what was given back came only after the ack wait");
    assert_eq!(store.counts().len(), 3000);
    assert!(store.buried.lock().unwrap().is_empty());
    house.leave().await;
}

#[tokio::test]
async fn imports_wait_until_the_live_lane_is_empty() {
    let house = House::start().await;
    let bus = house.bus().await;
    publish_all(&bus, &topology::import_subject("email", "support"), payloads("import", 1200)).await;
    publish_all(&bus, &subject(), payloads("live", 1200)).await;
    // The broker counts what is waiting a moment after it has confirmed it.
    let waiting = async || bus.progress(&topology::RECORDER).await.unwrap().waiting;
    eventually(waiting, |waiting| *waiting == 1200).await;
    let store = Arc::new(Store::default());
    let lanes = Lanes { live: &topology::RECORDER, behind: Some(&topology::IMPORTER) };
    house.consume(&bus, lanes, &store);
    eventually(async || bus.progress(&topology::IMPORTER).await.unwrap().ack_floor, |floor| *floor == 1200)
        .await;
    let kept = store.kept.lock().unwrap().clone();
    assert_eq!(kept.len(), 2400);
    let last_live = kept.iter().rposition(|one| one.payload.starts_with(b"live")).unwrap();
    let before = kept[..last_live].iter().filter(|one| one.payload.starts_with(b"import")).count();
    assert_eq!(before, 0, "imports went before live contacts");
    // And it goes on serving both.
    publish_all(&bus, &subject(), payloads("later-live", 1)).await;
    publish_all(&bus, &topology::import_subject("email", "support"), payloads("later-import", 1)).await;
    eventually(async || store.kept.lock().unwrap().len(), |kept| *kept == 2402).await;
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_comes_back_on_its_port_and_everything_goes_on() {
    let house = House::start().await;
    let bus = house.bus().await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    publish_all(&bus, &subject(), payloads("before", 100)).await;
    eventually(async || store.counts().len(), |kept| *kept == 100).await;
    let (url, first) = (house.server.url(), house.server.pid().unwrap());
    assert_eq!(*bus.link().borrow(), Link { connected: true, generation: 0 });

    let publishing = {
        let bus = bus.clone();
        let task = async move { publish_all(&bus, &subject(), payloads("across", 5000)).await };
        house.tracker.spawn(task)
    };
    kill(first);
    let mut link = bus.link();
    let risen = link.wait_for(|link| link.connected && link.generation > 0);
    tokio::time::timeout(PATIENCE, risen).await.unwrap().unwrap();
    publishing.await.unwrap();
    publish_all(&bus, &subject(), payloads("after", 100)).await;
    eventually(async || store.counts().len(), |kept| *kept == 5200).await;

    assert_eq!(house.server.url(), url);
    assert_eq!(house.server.restarts(), 1);
    assert_ne!(house.server.pid().unwrap(), first);
    assert!(store.buried.lock().unwrap().is_empty());
    house.leave().await;
}

#[tokio::test]
async fn without_a_connection_publishing_fails_at_once_and_is_not_kept_for_later() {
    let dir = tempfile::tempdir().unwrap();
    let server = crate::support::server(dir.path()).await;
    let (url, auth) = (server.url(), server.credentials());
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let bus = Bus::connect(small(&url, auth), tracker.clone(), stop.clone()).await.unwrap();
    server.stop().await;
    let mut link = bus.link();
    let lost = link.wait_for(|link| !link.connected);
    assert_eq!(tokio::time::timeout(PATIENCE, lost).await.unwrap().unwrap().generation, 1);
    let since = tokio::time::Instant::now();
    for _ in 0..1000 {
        let error = bus.publish(subject(), Bytes::from_static(b"lost")).await.unwrap_err();
        assert!(matches!(error, PublishError::Away(_)), "{error}");
    }
    assert!(since.elapsed() < Duration::from_secs(2));

    // The remembered port; the password is new, so another bus looks.
    let server = crate::support::server(dir.path()).await;
    assert_eq!(server.url(), url);
    let again = small(&url, server.credentials());
    let bus = Bus::connect(again, tracker.clone(), stop.clone()).await.unwrap();
    assert_eq!(bus.progress(&topology::RECORDER).await.unwrap().last_seq, 0);
    stop.cancel();
    tracker.close();
    tokio::time::timeout(PATIENCE, tracker.wait()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_store_that_rolled_back_behind_its_consumer_heals() {
    let house = House::start().await;
    let bus = house.bus().await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    publish_all(&bus, &subject(), payloads("kept", 100)).await;
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 100)
        .await;
    house.rest().await;
    house.server.stop().await;

    // What the disk held at a power cut: the messages of then, the consumer of later.
    let stream = house.dir.path().join("nats/js/jetstream/$G/streams/CONTACTS");
    let (messages, saved) = (stream.join("msgs"), house.dir.path().join("saved"));
    copy(&messages, &saved);
    let house = House { server: crate::support::server(house.dir.path()).await, ..fresh(house) };
    let bus = house.bus().await;
    house.consume(&bus, LIVE, &store);
    publish_all(&bus, &subject(), payloads("lost", 50)).await;
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 150)
        .await;
    house.rest().await;
    house.server.stop().await;
    std::fs::remove_dir_all(&messages).unwrap();
    copy(&saved, &messages);

    let house = House { server: crate::support::server(house.dir.path()).await, ..fresh(house) };
    let bus = house.bus().await;
    let progress = bus.progress(&topology::RECORDER).await.unwrap();
    assert_eq!(progress.last_seq, 100, "the roll-back was not played well");
    assert!(progress.ack_floor <= progress.last_seq);
    // These take the sequences which the consumer of before believes to have acked.
    publish_all(&bus, &subject(), payloads("new", 60)).await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 160)
        .await;
    let counts = store.counts();
    assert!(
        payloads("new", 60).iter().all(|one| counts.contains_key(&text(one))),
        "skipped some: {counts:?}"
    );
    house.leave().await;
}

#[tokio::test]
async fn a_consumer_that_believes_to_be_ahead_of_its_stream_starts_over() {
    let house = House::start().await;
    let bus = house.bus().await;
    publish_all(&bus, &subject(), payloads("old", 10)).await;
    // What a server that does not notice a roll-back would be left with.
    let stream = raw(&house).await.get_stream("CONTACTS").await.unwrap();
    stream.delete_consumer("recorder").await.unwrap();
    let ahead = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("recorder".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: 500 },
        ..Default::default()
    };
    stream.create_consumer(ahead).await.unwrap();
    assert!(bus.progress(&topology::RECORDER).await.unwrap().ack_floor > 10);

    let bus = house.bus().await;
    publish_all(&bus, &subject(), payloads("new", 10)).await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 20)
        .await;
    assert_eq!(store.counts().len(), 20);
    house.leave().await;
}

#[tokio::test]
async fn a_stream_made_anew_by_somebody_else_is_noticed_and_served() {
    let house = House::start().await;
    let bus = house.bus().await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    let before = publish_all(&bus, &subject(), payloads("before", 10)).await.remove(0);
    eventually(async || store.counts().len(), |kept| *kept == 10).await;

    raw(&house).await.delete_stream("CONTACTS").await.unwrap();

    let after = publish_all(&bus, &subject(), payloads("after", 10)).await.remove(0);
    assert!(after.generation > before.generation);
    assert!(after.stream_created > before.stream_created);
    eventually(async || store.counts().len(), |kept| *kept == 20).await;
    house.leave().await;
}

#[tokio::test]
async fn a_full_stream_says_full_and_drops_nothing() {
    let house = House::start().await;
    let options = Options { max_bytes: 256 << 10, ..house.options() };
    let bus = Bus::connect(options, house.tracker.clone(), house.stop.clone()).await.unwrap();
    let mut taken = 0;
    let refusal = loop {
        match bus.publish(subject(), Bytes::from(vec![7; 1024])).await {
            Ok(receipt) => taken = receipt.stream_seq,
            Err(error) => break error,
        }
        assert!(taken < 1000, "a stream of 256 KiB took {taken} messages of 1 KiB");
    };
    assert_eq!(refusal, PublishError::Full);
    assert!(taken > 100);
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    eventually(async || store.kept.lock().unwrap().len() as u64, |kept| *kept == taken).await;
    // The other lane has its own room.
    bus.publish(topology::import_subject("email", "x"), Bytes::from_static(b"x")).await.unwrap();
    house.leave().await;
}

#[tokio::test]
async fn what_the_broker_will_never_take_is_told_from_trouble() {
    let house = House::start().await;
    let bus = house.bus().await;
    let large = bus.publish(subject(), Bytes::from(vec![0; 2 << 20])).await;
    assert_eq!(large, Err(PublishError::TooLarge));
    for wrong in ["elsewhere", "contact.v1.", "contact.v1.a b"] {
        let refused = bus.publish(wrong, Bytes::new()).await.unwrap_err();
        assert!(matches!(refused, PublishError::Refused(_)), "{wrong}: {refused}");
    }
    assert_eq!(*bus.link().borrow(), Link { connected: true, generation: 0 });
    house.leave().await;
}

#[tokio::test]
async fn hints_reach_the_listeners() {
    let house = House::start().await;
    let (bus, other) = (house.bus().await, house.bus().await);
    let mut hints = bus.hints();
    // Marked as changed once listening: nothing sent after this is missed.
    tokio::time::timeout(PATIENCE, hints.changed()).await.unwrap().unwrap();
    other.hint(1042).await;
    tokio::time::timeout(PATIENCE, hints.wait_for(|position| *position == 1042)).await.unwrap().unwrap();
    house.leave().await;
}

#[tokio::test]
async fn stopping_gives_back_what_was_not_handled() {
    let house = House::start().await;
    let bus = house.bus().await;
    publish_all(&bus, &subject(), payloads("m", 2000)).await;
    let (first, stop) = (Arc::new(Store::default()), CancellationToken::new());
    let handling = {
        let (bus, store, stop) = (bus.clone(), first.clone(), stop.clone());
        house.tracker.spawn(async move { bus.consume(LIVE, store, stop).await })
    };
    eventually(async || first.kept.lock().unwrap().len(), |kept| *kept > 0).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), handling).await.expect("consume did not stop").unwrap();

    let second = Arc::new(Store::default());
    house.consume(&bus, LIVE, &second);
    let since = tokio::time::Instant::now();
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 2000)
        .await;
    assert!(since.elapsed() < Duration::from_secs(20), "came only after the ack wait");
    house.leave().await;
}

#[tokio::test]
async fn a_slow_batch_does_not_hold_up_the_next() {
    let house = House::start().await;
    let bus = house.bus().await;
    let store = Arc::new(Store::default());
    house.consume(&bus, LIVE, &store);
    let shut = store.gate.write().await;
    bus.publish(subject(), Bytes::from_static(b"slow")).await.unwrap();
    eventually(async || store.calls.load(Ordering::SeqCst), |calls| *calls == 1).await;
    // Longer than a pull lives: its end waits to be heard when the store opens again.
    let waiting = tokio::time::timeout(Duration::from_millis(1200), std::future::pending::<()>());
    waiting.await.unwrap_err();
    drop(shut);
    eventually(async || store.counts().len(), |kept| *kept == 1).await;
    let since = tokio::time::Instant::now();
    bus.publish(subject(), Bytes::from_static(b"next")).await.unwrap();
    eventually(async || store.counts().len(), |kept| *kept == 2).await;
    assert!(since.elapsed() < Duration::from_secs(2), "took {:?}", since.elapsed());
    assert_eq!(house.server.restarts(), 0);
    house.leave().await;
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_at_a_stop_and_its_batch_comes_again() {
    let house = House::start().await;
    let bus = house.bus().await;
    bus.publish(subject(), Bytes::from_static(b"held")).await.unwrap();
    let (hanging, stop) = (Arc::new(Store::default()), CancellationToken::new());
    let shut = hanging.gate.write().await;
    let handling = {
        let (bus, store, stop) = (bus.clone(), hanging.clone(), stop.clone());
        house.tracker.spawn(async move { bus.consume(LIVE, store, stop).await })
    };
    eventually(async || hanging.calls.load(Ordering::SeqCst), |calls| *calls == 1).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), handling).await.expect("consume did not stop").unwrap();
    drop(shut);
    assert!(hanging.kept.lock().unwrap().is_empty());

    let next = Arc::new(Store::default());
    house.consume(&bus, LIVE, &next);
    let since = tokio::time::Instant::now();
    eventually(async || bus.progress(&topology::RECORDER).await.unwrap().ack_floor, |floor| *floor == 1)
        .await;
    assert!(since.elapsed() < Duration::from_secs(20), "came only after the ack wait");
    assert_eq!(next.kept.lock().unwrap()[0].delivered, 2);
    house.leave().await;
}

#[tokio::test]
async fn a_frozen_server_is_away_until_it_thaws() {
    let house = House::start().await;
    let bus = house.bus().await;
    freeze(house.server.pid().unwrap()).await;
    let published = bus.publish(subject(), Bytes::from_static(b"cold"));
    let error = tokio::time::timeout(PATIENCE, published).await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Away(_)), "{error}");
    thaw(house.server.pid().unwrap());
    publish_all(&bus, &subject(), payloads("warm", 10)).await;
    house.leave().await;
}

#[tokio::test]
async fn an_old_server_is_refused_in_one_sentence() {
    let error = connect_to_one_that_says(r#"{"version":"2.9.10","jetstream":true,"#).await;
    let BusError::Unfit(sentence) = &error else { panic!("{error}") };
    assert!(sentence.contains("2.9.10") && sentence.contains("too old: 2.12.0 or newer"), "{sentence}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused_in_one_sentence() {
    let error = connect_to_one_that_says(r#"{"version":"2.12.1","#).await;
    let BusError::Unfit(sentence) = &error else { panic!("{error}") };
    assert!(sentence.contains("without JetStream"), "{sentence}");
}

/// Plays as much of a server as is needed to be refused.
async fn connect_to_one_that_says(info: &str) -> BusError {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let info = format!("INFO {info}\"server_id\":\"x\",\"max_payload\":1048576,\"proto\":1}}\r\n");
    let serve = async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(info.as_bytes()).await.unwrap();
            let mut lines = BufReader::new(&mut socket).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("PING") {
                    lines.get_mut().get_mut().write_all(b"PONG\r\n").await.unwrap();
                }
            }
        }
    };
    let until = stop.clone();
    tracker.spawn(async move { until.run_until_cancelled(serve).await });
    let options = Options::new(format!("nats://{address}"), Auth::None);
    let error = Bus::connect(options, tracker.clone(), CancellationToken::new()).await.err().unwrap();
    stop.cancel();
    tracker.close();
    tokio::time::timeout(PATIENCE, tracker.wait()).await.expect("a refused bus went on");
    error
}

fn small(url: &str, auth: Auth) -> Options {
    Options { max_bytes: 64 << 20, ..Options::new(url, auth) }
}

/// Somebody else, at the same broker.
async fn raw(house: &House) -> async_nats::jetstream::Context {
    let Auth::User { name, password } = house.server.credentials() else { panic!("no password") };
    let options = async_nats::ConnectOptions::with_user_and_password(name, password);
    async_nats::jetstream::new(options.connect(house.server.url()).await.unwrap())
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The same folder, a new tracker and token.
fn fresh(house: House) -> House {
    House { tracker: TaskTracker::new(), stop: CancellationToken::new(), ..house }
}
