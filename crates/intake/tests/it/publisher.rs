//! The way to a broker that is not always there, not always honest and not always empty.

use std::collections::HashSet;

use bytes::Bytes;
use intake::{Limits, Pace, Refusal};

use crate::sim_disk::{Loss, Step};
use crate::support::{Desk, Setting, eventually, quick, small};

fn set(bodies: Vec<Bytes>) -> HashSet<Bytes> {
    bodies.into_iter().collect()
}

async fn put_many(desk: &Desk, events: std::ops::Range<u32>) {
    for n in events {
        desk.put(format!("event {n}")).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_put_is_published_once_as_it_is_and_retired() {
    let desk = Desk::new();
    put_many(&desk, 0..50).await;
    desk.drained().await;
    let arrived = desk.broker.arrived();
    let expected: Vec<_> =
        (0..50).map(|n| ("contact.v1.phone.main".to_owned(), Bytes::from(format!("event {n}")))).collect();
    assert_eq!(arrived, expected);
    assert_eq!(desk.door.status().unretired, 0);
}

#[tokio::test]
async fn a_clean_stop_with_everything_retired_leaves_no_file() {
    let desk = Desk::new();
    put_many(&desk, 0..50).await;
    desk.put_with_raw("a mail", &vec![b'm'; 50_000]).await.unwrap();
    desk.stop().await;
    assert_eq!(desk.disk.names(), Vec::<String>::new());
    assert_eq!(desk.put("late").await, Err(Refusal::Stopping));
    assert!(!desk.door.status().accepting);
}

#[tokio::test]
async fn while_the_broker_is_away_everything_is_taken_and_then_goes() {
    let desk = Desk::new();
    desk.broker.disconnect();
    put_many(&desk, 0..300).await;
    assert_eq!(desk.broker.arrived(), []);
    assert_eq!(desk.door.status().unretired, 300);
    desk.broker.connect();
    desk.drained().await;
    assert_eq!(set(desk.broker.committed()).len(), 300);
    assert_eq!(desk.broker.bodies().len(), 300, "what never left is fresh, not repeated");
}

#[tokio::test]
async fn while_core_sleeps_nothing_is_retired() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..20).await;
    eventually("all are published", || desk.broker.arrived().len() == 20).await;
    desk.floors(5).await;
    assert_eq!(desk.door.status().unretired, 20);
    assert_eq!(desk.door.status().oldest.unwrap().as_secs(), 0);
    desk.broker.core_sleeps(false);
    desk.drained().await;
}

#[tokio::test]
async fn a_full_stream_is_pressed_against_not_dropped() {
    let desk = Desk::new();
    desk.broker.set_room(Some(10));
    put_many(&desk, 0..40).await;
    eventually("it was tried against the full stream", || desk.broker.tried() > 45).await;
    assert_eq!(desk.broker.arrived().len(), 10);
    desk.broker.set_room(None);
    desk.drained().await;
    assert_eq!(set(desk.broker.committed()).len(), 40);
}

#[tokio::test]
async fn a_lost_tail_is_published_again_and_nothing_is_retired_on_an_old_number() {
    let desk = Desk::new();
    put_many(&desk, 0..10).await;
    desk.drained().await;
    desk.broker.core_sleeps(true);
    put_many(&desk, 10..20).await;
    eventually("all are published", || desk.broker.arrived().len() == 20).await;
    // The broker loses the ten that core has not seen; others already write past their numbers, and
    // core commits theirs.
    desk.broker.disconnect();
    desk.broker.lose_tail(10, 15);
    desk.broker.core_sleeps(false);
    desk.broker.connect();
    desk.drained().await;
    for n in 10..20 {
        assert!(
            desk.broker.has_committed(format!("event {n}").as_bytes()),
            "event {n} was retired on an old number"
        );
    }
}

#[tokio::test]
async fn an_answer_that_outran_the_news_of_a_lost_link_retires_nothing() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..10).await;
    eventually("all are published", || desk.broker.arrived().len() == 10).await;
    desk.broker.lose_tail_unnoticed(10, 15);
    desk.drained().await;
    for n in 0..10 {
        assert!(
            desk.broker.has_committed(format!("event {n}").as_bytes()),
            "event {n} was retired on an old number"
        );
    }
}

#[tokio::test]
async fn a_reconnect_repeats_all_unretired_behind_the_new() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..10).await;
    eventually("all are published", || desk.broker.arrived().len() == 10).await;
    desk.broker.disconnect();
    put_many(&desk, 10..13).await;
    desk.broker.connect();
    eventually("all came again", || desk.broker.arrived().len() == 23).await;
    let bodies = desk.broker.bodies();
    let new: Vec<_> = (10..13).map(|n| Bytes::from(format!("event {n}"))).collect();
    assert_eq!(bodies[10..13], new, "new ones go first");
    assert_eq!(set(bodies[13..].to_vec()), set(bodies[..10].to_vec()));
}

#[tokio::test]
async fn a_stream_created_anew_gets_all_unretired_again() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..10).await;
    eventually("all are published", || desk.broker.arrived().len() == 10).await;
    desk.broker.recreate();
    desk.broker.core_sleeps(false);
    desk.drained().await;
    assert_eq!(set(desk.broker.committed()).len(), 10);
}

#[tokio::test]
async fn nothing_is_published_while_cores_consumer_is_ahead_of_its_stream() {
    let desk = Desk::new();
    put_many(&desk, 0..10).await;
    desk.drained().await;
    desk.broker.disconnect();
    desk.broker.lose_tail(5, 0);
    desk.broker.set_acked(10);
    put_many(&desk, 10..13).await;
    desk.broker.connect();
    desk.floors(5).await;
    assert_eq!(desk.broker.arrived().len(), 10, "the consumer would have skipped these");
    // The bus heals it by making the consumer anew.
    desk.broker.set_acked(0);
    desk.drained().await;
    for n in 10..13 {
        assert!(desk.broker.has_committed(format!("event {n}").as_bytes()));
    }
}

#[tokio::test]
async fn a_start_repeats_exactly_the_unretired() {
    let desk = Setting { limits: Limits { segment_bytes: 1 << 18, ..small() }, ..Setting::default() }.open();
    put_many(&desk, 0..30).await;
    desk.drained().await;
    desk.broker.core_sleeps(true);
    put_many(&desk, 30..40).await;
    eventually("all are published", || desk.broker.arrived().len() == 40).await;
    desk.floors(2).await;
    desk.broker.disconnect();
    desk.stop().await;

    desk.broker.connect();
    desk.broker.core_sleeps(false);
    let again = desk.after_power_loss(Loss::Strict).open();
    assert_eq!(again.door.status().unretired, 10);
    again.drained().await;
    let mut repeated: Vec<_> = desk.broker.bodies()[40..].to_vec();
    // They are read back several at once.
    repeated.sort();
    let expected: Vec<_> = (30..40).map(|n| Bytes::from(format!("event {n}"))).collect();
    assert_eq!(repeated, expected);
}

#[tokio::test]
async fn after_a_crash_every_record_that_is_left_is_repeated() {
    let desk = Desk::new();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..25).await;
    eventually("all are published", || desk.broker.arrived().len() == 25).await;
    let again = desk.after_power_loss(Loss::Strict).open();
    desk.broker.core_sleeps(false);
    again.drained().await;
    assert_eq!(set(desk.broker.committed()).len(), 25);
    assert!(desk.broker.arrived().len() >= 50);
}

#[tokio::test]
async fn a_refused_record_stays_and_stops_nobody() {
    let desk = Desk::new();
    desk.broker.refuse(b"event 3", true);
    put_many(&desk, 0..20).await;
    eventually("the others are retired", || desk.door.status().unretired == 1).await;
    let tried = desk.broker.tried();
    eventually("it is tried again", || desk.broker.tried() > tried + 2).await;
    let status = desk.door.status();
    assert_eq!((status.unretired, status.parked), (1, 1));
    assert!(!desk.broker.has_committed(b"event 3"));
    desk.broker.refuse(b"event 3", false);
    desk.drained().await;
    assert!(desk.broker.has_committed(b"event 3"));
}

#[tokio::test]
async fn a_full_journal_takes_again_when_core_has_caught_up() {
    let limits = Limits { max_bytes: 4000, ..small() };
    let desk = Setting { limits, ..Setting::default() }.open();
    desk.broker.core_sleeps(true);
    let mut kept = 0;
    loop {
        match desk.put(format!("event {kept} {}", "x".repeat(100))).await {
            Ok(()) => kept += 1,
            Err(Refusal::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!desk.door.status().accepting);
    desk.broker.core_sleeps(false);
    desk.drained().await;
    eventually("it accepts", || desk.door.status().accepting).await;
    desk.put("one more").await.unwrap();
    desk.drained().await;
    assert_eq!(desk.broker.committed().len(), kept + 1);
}

#[tokio::test]
async fn an_open_segment_that_is_done_with_goes_too() {
    let limits = Limits { max_bytes: 1 << 20, segment_bytes: 1 << 18, ..small() };
    let desk = Setting { limits, ..Setting::default() }.open();
    for n in 0..100 {
        desk.put(format!("event {n} {}", "x".repeat(1000))).await.unwrap();
    }
    desk.drained().await;
    eventually("the segment is removed", || desk.disk.names().is_empty()).await;
    desk.put("one more").await.unwrap();
    desk.drained().await;
}

#[tokio::test]
async fn a_broken_door_heals_without_being_knocked_at() {
    let desk = Desk::new();
    desk.put("kept").await.unwrap();
    desk.disk.fail_flush_after(0);
    desk.disk.fail_creates(true);
    assert!(matches!(desk.put("refused").await, Err(Refusal::Broken { .. })));
    assert!(desk.door.status().broken && !desk.door.status().accepting);
    desk.disk.fail_creates(false);
    eventually("it is healed", || desk.door.status().accepting).await;
    desk.put("kept too").await.unwrap();
    desk.drained().await;
    assert!(!desk.broker.has_committed(b"refused"));
}

#[tokio::test]
async fn what_is_owed_goes_no_faster_than_told() {
    let pace = Pace { republish_per_second: 1, ..quick() };
    let desk = Setting { pace, ..Setting::default() }.open();
    desk.broker.core_sleeps(true);
    put_many(&desk, 0..10).await;
    eventually("all are published", || desk.broker.arrived().len() == 10).await;
    desk.broker.disconnect();
    desk.broker.connect();
    let asked = desk.broker.asked();
    eventually("they come again", || desk.broker.arrived().len() == 20).await;
    // One at each look at the floor at most, for at this rate a look gives one.
    assert!(desk.broker.asked() - asked >= 8, "ten came within {} looks", desk.broker.asked() - asked);
}

#[tokio::test]
async fn more_than_memory_holds_is_read_back_from_the_disk() {
    let limits = Limits { max_bytes: 1 << 28, segment_bytes: 1 << 22, ..small() };
    let desk = Setting { limits, ..Setting::default() }.open();
    desk.broker.disconnect();
    for n in 0..40 {
        desk.put(format!("event {n} {}", "x".repeat(1 << 20))).await.unwrap();
    }
    desk.broker.connect();
    desk.drained().await;
    let heads = desk.broker.committed().iter().map(|body| body.slice(..8)).collect::<HashSet<_>>();
    assert_eq!(heads.len(), 40);
    assert!(desk.disk.trace().iter().any(|step| matches!(step, Step::Remove(_))));
}
