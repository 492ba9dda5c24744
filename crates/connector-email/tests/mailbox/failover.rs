//! Several readers of one mailbox, and cursors that are away.

use std::collections::BTreeSet;

use connector_email::testing::Dovecot;

use crate::stage::{Stage, eventually, mail, next};

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_read_everything_at_least_once_and_only_one_moves_the_cursor() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let one = Stage::new();
    let other = one.beside();
    let source = one.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| config.poll_s = 1);
    let first = one.start(&source);
    let _second = other.start(&source);
    one.begun().await;
    for number in 0..60_u64 {
        dovecot.deliver("anna", "INBOX", &mail(&format!("m{number}")), None).unwrap();
        // One by one, so that the two race again and again.
        eventually("the cursor moves", || one.cursors.next() >= Some(number + 2)).await;
    }
    let keys = |stage: &Stage| -> BTreeSet<_> {
        stage.live.accepted().into_iter().map(|(event, _)| event.key).collect()
    };
    let both: BTreeSet<_> = keys(&one).union(&keys(&other)).cloned().collect();
    assert_eq!(both.len(), 60, "the same mail has the same key, whoever read it");
    let history: Vec<u64> = one.cursors.history().iter().map(next).collect();
    assert!(history.is_sorted(), "the cursor never goes back: {history:?}");

    // One of them dies; the other does not notice.
    first.stop().await;
    dovecot.deliver("anna", "INBOX", &mail("last"), None).unwrap();
    eventually("the cursor moves", || one.cursors.next() == Some(62)).await;
    assert!(keys(&other).iter().any(|key| key.id.starts_with("last@")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_left_behind_is_fenced_and_goes_on_from_the_farther_place() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let slow = Stage::new();
    let quick = slow.beside();
    let source = slow.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| config.poll_s = 1);
    let _slow = slow.start(&source);
    slow.begun().await;
    slow.live.shut();
    dovecot.deliver("anna", "INBOX", &mail("one"), None).unwrap();
    eventually("the slow one holds it", || slow.live.refused() > 0).await;
    let _quick = quick.start(&source);
    dovecot.deliver("anna", "INBOX", &mail("two"), None).unwrap();
    eventually("the quick one has moved on", || slow.cursors.next() == Some(3)).await;
    slow.live.open();
    slow.live.reaches(1).await;
    eventually("the slow one meets the fence", || slow.cursors.lost_races() > 0).await;
    dovecot.deliver("anna", "INBOX", &mail("three"), None).unwrap();
    eventually("both go on", || slow.cursors.next() == Some(4)).await;
    let history: Vec<u64> = slow.cursors.history().iter().map(next).collect();
    assert!(history.is_sorted(), "the cursor never goes back: {history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cursors_a_newcomer_does_not_start_and_a_holder_goes_on() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| config.poll_s = 1);
    stage.cursors.set_away(true);
    let told = stage.refused(&source).await;
    assert!(told.contains("without its cursor"), "{told}");

    stage.cursors.set_away(false);
    let _running = stage.start(&source);
    stage.begun().await;
    stage.cursors.set_away(true);
    for (at, subject) in ["one", "two"].into_iter().enumerate() {
        dovecot.deliver("anna", "INBOX", &mail(subject), None).unwrap();
        stage.live.reaches(at + 1).await;
    }
    assert_eq!(stage.cursors.next(), Some(1), "nothing could be kept");
    stage.cursors.set_away(false);
    dovecot.deliver("anna", "INBOX", &mail("three"), None).unwrap();
    eventually("the cursor catches up", || stage.cursors.next() == Some(4)).await;
    assert_eq!(stage.live.count(), 3, "what a holder has read it does not read again");
    assert_eq!(dovecot.log().unwrap().matches("Login:").count(), 2, "nor does it begin anew");
}
