//! Much mail, and crashes in the middle of it.

use std::collections::BTreeSet;

use connector_email::testing::Dovecot;

use crate::stage::{Stage, eventually, mail, subjects};

fn deliver(dovecot: &Dovecot, many: usize) {
    for number in 0..many {
        dovecot.deliver("anna", "INBOX", &mail(&format!("m{number:05}")), None).unwrap();
    }
}

fn expected(many: usize) -> Vec<String> {
    (0..many).map(|number| format!("m{number:05}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mails_are_read_once_each_in_order_by_few_commands() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    deliver(&dovecot, 10_000);
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
    });
    let began = std::time::Instant::now();
    let running = stage.start(&source);
    stage.imports.reaches(10_000).await;
    eprintln!("10,000 mails in {:?}, unoptimised", began.elapsed());
    assert_eq!(subjects(&stage.imports.accepted()), expected(10_000));
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(10_001)).await;
    // Once a second at most, and at the beginning and the end.
    let (moves, most) = (stage.cursors.history().len() as u64, began.elapsed().as_secs() + 3);
    assert!(moves <= most, "the cursor was moved {moves} times, and not {most}");
    running.stop().await;
    eventually("the server logs the session", || dovecot.bytes_in() > 0).await;
    // A command for each mail takes 300,000.
    assert!(dovecot.bytes_in() < 20_000, "{} bytes of commands", dovecot.bytes_in());
    assert_eq!(stage.live.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_costs_no_mail() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    deliver(&dovecot, 3_000);
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
    });
    let running = stage.start(&source);
    for many in [200, 1_000] {
        stage.imports.reaches(many).await;
        dovecot.kill9().unwrap();
        // It is seen before the server is back.
        eventually("the task says so", || running.trouble().is_some()).await;
        dovecot.restart().unwrap();
    }
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(3_001)).await;
    let read: BTreeSet<String> = subjects(&stage.imports.accepted()).into_iter().collect();
    assert_eq!(read.into_iter().collect::<Vec<_>>(), expected(3_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_the_middle_is_followed_by_one_that_loses_none() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    deliver(&dovecot, 2_000);
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
    });
    let mut read = BTreeSet::new();
    for many in [150, 700, 1_200] {
        let copy = stage.beside();
        let running = copy.start(&source);
        eventually("some are read", || {
            read.len() + copy.imports.count() >= many || copy.cursors.next() == Some(2_001)
        })
        .await;
        running.stop().await;
        read.extend(subjects(&copy.imports.accepted()));
    }
    let last = stage.beside();
    let _running = last.start(&source);
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(2_001)).await;
    read.extend(subjects(&last.imports.accepted()));
    assert_eq!(read.into_iter().collect::<Vec<_>>(), expected(2_000));
}
