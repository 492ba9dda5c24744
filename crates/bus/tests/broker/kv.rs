//! The buckets against a real nats-server.

use std::time::Duration;

use crate::support::{House, PATIENCE, eventually, freeze, kill, thaw};
use ::bus::kv::{ATTEMPTS, CURSORS, KvError, MOST_KEY};
use ::bus::{Auth, Bus};
use bytes::Bytes;
use futures::future::join_all;
use tokio::time::Instant;

const ONE: Bytes = Bytes::from_static(b"one");
const TWO: Bytes = Bytes::from_static(b"two");

#[tokio::test]
async fn of_two_connections_one_moves_a_value_and_the_other_is_told() {
    let house = House::start().await;
    let (mine, theirs) = (house.bus().await.kv(&CURSORS), house.bus().await.kv(&CURSORS));
    assert_eq!(mine.get("email/support").await.unwrap(), None);

    let first = mine.create("email/support", ONE).await.unwrap();
    assert_eq!(theirs.create("email/support", TWO).await, Err(KvError::Moved));
    let seen = theirs.get("email/support").await.unwrap().unwrap();
    assert_eq!((seen.value, seen.revision), (ONE, first));

    let second = theirs.update("email/support", TWO, first).await.unwrap();
    assert!(second > first);
    assert_eq!(mine.update("email/support", ONE, first).await, Err(KvError::Moved));
    assert_eq!(mine.update("email/other", ONE, first).await, Err(KvError::Moved), "there is none");
    let seen = mine.get("email/support").await.unwrap().unwrap();
    assert_eq!((seen.value, seen.revision), (TWO, second));
    assert_eq!(mine.get("email/other").await.unwrap(), None);
    house.leave().await;
}

#[tokio::test]
async fn a_bucket_is_as_declared_and_keeps_one_value_of_a_key() {
    let house = House::start().await;
    let cursors = house.bus().await.kv(&CURSORS);
    let mut revision = cursors.create("a", ONE).await.unwrap();
    for _ in 0..20 {
        revision = cursors.update("a", TWO, revision).await.unwrap();
    }
    for (stream, messages, max_age, max_bytes) in
        [("KV_CURSORS", 1, 0, 16 << 20), ("KV_ATTEMPTS", 0, 7 * 24 * 3600, 128 << 20)]
    {
        let info = raw(&house).await.get_stream(stream).await.unwrap().get_info().await.unwrap();
        let config = &info.config;
        assert_eq!(info.state.messages, messages, "{stream}");
        assert_eq!((config.max_age.as_secs(), config.max_bytes), (max_age, max_bytes), "{stream}");
        assert_eq!((config.max_messages_per_subject, config.num_replicas), (1, 1), "{stream}");
        assert_eq!(config.storage, async_nats::jetstream::stream::StorageType::File, "{stream}");
    }
    house.leave().await;
}

#[tokio::test]
async fn what_somebody_deleted_by_hand_can_be_made_again() {
    let house = House::start().await;
    let cursors = house.bus().await.kv(&CURSORS);
    let old = cursors.create("a.b", ONE).await.unwrap();
    raw(&house).await.get_key_value("CURSORS").await.unwrap().delete("a.b").await.unwrap();
    assert_eq!(cursors.get("a.b").await.unwrap(), None);
    assert_eq!(cursors.update("a.b", TWO, old).await, Err(KvError::Moved));
    let new = cursors.create("a.b", TWO).await.unwrap();
    assert!(new > old);
    assert_eq!(cursors.get("a.b").await.unwrap().unwrap().value, TWO);
    house.leave().await;
}

#[tokio::test]
async fn what_is_no_key_or_too_large_is_refused() {
    let house = House::start().await;
    let cursors = house.bus().await.kv(&CURSORS);
    let long = "x".repeat(MOST_KEY + 1);
    for wrong in ["", ".", "a.", ".a", "a..b", "a b", "a*", ">", "é", "a\n", long.as_str()] {
        for answer in [
            cursors.get(wrong).await.map(drop),
            cursors.create(wrong, ONE).await.map(drop),
            cursors.update(wrong, ONE, 1).await.map(drop),
            cursors.take_once(wrong).await.map(drop),
        ] {
            assert!(matches!(answer, Err(KvError::Refused(_))), "{wrong:?}: {answer:?}");
        }
    }
    let fits = Bytes::from(vec![b'x'; 4096]);
    let longest = "x".repeat(MOST_KEY);
    cursors.create(&longest, fits.clone()).await.unwrap();
    assert_eq!(cursors.get(&longest).await.unwrap().unwrap().value, fits);
    let large = cursors.create("large", Bytes::from(vec![b'x'; 4097])).await;
    assert!(matches!(large, Err(KvError::Refused(_))), "{large:?}");
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_once_is_taken_by_exactly_one_of_many() {
    let house = House::start().await;
    let many: Vec<_> = [house.bus().await, house.bus().await].map(|bus| bus.kv(&ATTEMPTS)).into();
    for n in 0..20 {
        let key = format!("ent_0190/{n}");
        let takers = many.iter().cycle().take(16);
        let taken = join_all(takers.map(|attempts| attempts.take_once(&key))).await;
        let winners = taken.into_iter().map(Result::unwrap).filter(|won| *won).count();
        assert_eq!(winners, 1, "of {key}");
    }
    assert!(!many[0].take_once("ent_0190/0").await.unwrap(), "a key was taken again");
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_forgets_no_value_and_lets_nothing_be_taken_twice() {
    const KEYS: usize = 300;
    let house = House::start().await;
    let (mine, theirs) = (house.bus().await, house.bus().await);
    let cursors = mine.kv(&CURSORS);
    let revision = cursors.create("email/support", ONE).await.unwrap();

    // Many takings, with the kill somewhere among them.
    let takers = [mine.kv(&ATTEMPTS), theirs.kv(&ATTEMPTS)];
    let taking = (0..KEYS).flat_map(|n| takers.iter().map(move |taker| (n, taker)));
    let taking = join_all(taking.map(async |(n, taker)| (n, taker.take_once(&format!("k{n}")).await)));
    let pid = house.server.pid().unwrap();
    let kill = async {
        while takers[0].get("k100").await == Ok(None) {
            tokio::task::yield_now().await;
        }
        kill(pid);
    };
    let (answers, ()) = tokio::join!(taking, kill);
    let (mut winners, mut unheard) = ([0; KEYS], [0; KEYS]);
    for (n, answer) in answers {
        match answer {
            Ok(won) => winners[n] += usize::from(won),
            Err(error) => {
                assert!(matches!(error, KvError::Away(_)), "{error}");
                unheard[n] += 1;
            }
        }
    }
    let right = |n: usize| winners[n] == 1 || (winners[n] == 0 && unheard[n] > 0);
    assert!((0..KEYS).all(right), "{winners:?} {unheard:?}");

    assert_eq!(house.server.restarts(), 1);
    let kept = cursors.get("email/support").await.unwrap().unwrap();
    assert_eq!((kept.value, kept.revision), (ONE, revision));
    cursors.update("email/support", TWO, revision).await.unwrap();
    house.leave().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_within_a_bound_and_loses_nothing() {
    let house = House::start().await;
    let bus = house.bus().await;
    let (cursors, attempts) = (bus.kv(&CURSORS), bus.kv(&ATTEMPTS));
    let revision = cursors.create("a", ONE).await.unwrap();
    freeze(house.server.pid().unwrap()).await;
    eventually(async || matches!(cursors.get("a").await, Err(KvError::Away(_))), |away| *away).await;

    let since = Instant::now();
    let answers = tokio::join!(cursors.get("a"), cursors.update("a", TWO, revision), attempts.take_once("k"));
    assert!(matches!(answers.0, Err(KvError::Away(_))), "{answers:?}");
    assert!(matches!(answers.1, Err(KvError::Away(_))), "{answers:?}");
    assert!(matches!(answers.2, Err(KvError::Away(_))), "{answers:?}");
    assert!(since.elapsed() < Duration::from_secs(20), "took {:?}", since.elapsed());
    // By now the frozen connection has been given up, and a call ends at once.
    let mut link = bus.link();
    tokio::time::timeout(PATIENCE, link.wait_for(|link| !link.connected)).await.unwrap().unwrap();
    let since = Instant::now();
    assert!(matches!(cursors.get("a").await, Err(KvError::Away(_))));
    assert!(since.elapsed() < Duration::from_secs(1), "took {:?}", since.elapsed());

    thaw(house.server.pid().unwrap());
    tokio::time::timeout(PATIENCE, link.wait_for(|link| link.connected)).await.unwrap().unwrap();
    // The update may have been carried out after the thaw; the value is one of the two.
    let kept = cursors.get("a").await.unwrap().unwrap();
    assert!(kept.value == ONE || kept.value == TWO, "{kept:?}");
    cursors.update("a", TWO, kept.revision).await.unwrap();
    house.leave().await;
}

#[tokio::test]
async fn a_bucket_that_somebody_removed_is_declared_again() {
    let house = House::start().await;
    let bus = house.bus().await;
    let cursors = bus.kv(&CURSORS);
    cursors.create("a", ONE).await.unwrap();
    raw(&house).await.delete_stream("KV_CURSORS").await.unwrap();
    let mut link = bus.link();
    let gone = cursors.create("a", TWO).await.unwrap_err();
    assert!(matches!(gone, KvError::Away(_)), "{gone}");
    let again = link.wait_for(|link| link.connected && link.generation > 0);
    tokio::time::timeout(PATIENCE, again).await.unwrap().unwrap();
    cursors.create("a", TWO).await.unwrap();
    house.leave().await;
}

#[tokio::test]
async fn a_stopped_bus_takes_nothing() {
    let house = House::start().await;
    let bus: Bus = house.bus().await;
    house.rest().await;
    let since = Instant::now();
    let taken = bus.kv(&ATTEMPTS).take_once("k").await;
    assert!(matches!(taken, Err(KvError::Away(_))), "{taken:?}");
    assert!(since.elapsed() < Duration::from_secs(2), "took {:?}", since.elapsed());
    house.leave().await;
}

/// Somebody else, at the same broker.
async fn raw(house: &House) -> async_nats::jetstream::Context {
    let Auth::User { name, password } = house.server.credentials() else { panic!("no password") };
    let options = async_nats::ConnectOptions::with_user_and_password(name, password);
    async_nats::jetstream::new(options.connect(house.server.url()).await.unwrap())
}
