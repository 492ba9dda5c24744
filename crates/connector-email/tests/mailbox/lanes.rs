//! What is imported, and what is live.

use connector_email::testing::Dovecot;

use crate::stage::{Stage, eventually, mail, subjects};

async fn read_with(dovecot: &Dovecot, from: &str) -> (Vec<String>, Vec<String>) {
    let stage = Stage::new();
    let user = format!("anna-{from}");
    for (subject, at) in [("old", "2024-12-31T12:00:00Z"), ("recent", "2025-02-01T12:00:00Z")] {
        dovecot.deliver(&user, "INBOX", &mail(subject), Some(at.parse().unwrap())).unwrap();
    }
    let source =
        stage.source(&dovecot.imaps(&user, "INBOX"), dovecot, |config| from.clone_into(&mut config.from));
    let running = stage.start(&source);
    stage.begun().await;
    // It says it is older than everything; what counts is that it came after us.
    dovecot.deliver(&user, "INBOX", &mail("new"), Some("2020-01-01T00:00:00Z".parse().unwrap())).unwrap();
    stage.live.reaches(1).await;
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(4)).await;
    running.stop().await;
    (subjects(&stage.imports.accepted()), subjects(&stage.live.accepted()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_us_is_imported_when_wanted_and_the_rest_is_live() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let one = |subject: &str| vec![subject.to_owned()];
    assert_eq!(read_with(&dovecot, "now").await, (vec![], one("new")));
    assert_eq!(read_with(&dovecot, "2025-02-01").await, (one("recent"), one("new")));
    let both = vec!["old".to_owned(), "recent".to_owned()];
    assert_eq!(read_with(&dovecot, "all").await, (both, one("new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_counts_and_not_every_start() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |_| {});
    let running = stage.start(&source);
    stage.begun().await;
    running.stop().await;
    // It came while nobody was there.
    dovecot.deliver("anna", "INBOX", &mail("meanwhile"), None).unwrap();
    let again = stage.beside();
    let _running = again.start(&source);
    again.live.reaches(1).await;
    assert_eq!(subjects(&again.live.accepted()), ["meanwhile"]);
}
