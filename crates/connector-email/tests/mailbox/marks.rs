//! What becomes of mails in the mailbox, and not before they are kept.

use connector_email::testing::Dovecot;

use crate::stage::{Stage, eventually, mail};

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_marked_only_after_it_was_accepted() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    dovecot.deliver("anna", "INBOX", &mail("before us"), None).unwrap();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.after = "seen".to_owned();
        config.poll_s = 1;
    });
    let _running = stage.start(&source);
    stage.begun().await;
    stage.live.shut();
    dovecot.deliver("anna", "INBOX", &mail("one"), None).unwrap();
    eventually("it is refused twice", || stage.live.refused() >= 2).await;
    assert_eq!(dovecot.flags("anna", "INBOX").unwrap(), ["", ""]);
    assert_eq!(stage.cursors.history().len(), 1, "the cursor did not move");
    stage.live.open();
    eventually("it is marked", || dovecot.flags("anna", "INBOX").unwrap() == ["", "\\Seen"]).await;
    assert_eq!(stage.cursors.next(), Some(3));
    assert_eq!(stage.live.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_moved_only_after_it_was_accepted() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.after = "move:Erledigt & geprüft".to_owned();
        config.poll_s = 1;
    });
    let _running = stage.start(&source);
    stage.begun().await;
    stage.live.shut();
    dovecot.deliver("anna", "INBOX", &mail("one"), None).unwrap();
    dovecot.deliver("anna", "INBOX", &mail("two"), None).unwrap();
    eventually("they are refused", || stage.live.refused() >= 2).await;
    assert_eq!(dovecot.flags("anna", "INBOX").unwrap().len(), 2);
    stage.live.open();
    let at_home = || dovecot.flags("anna", "INBOX").unwrap().len();
    eventually("they are moved", || at_home() == 0).await;
    // The mailbox was not there; it was made.
    assert_eq!(dovecot.flags("anna", "Erledigt & geprüft").unwrap().len(), 2);
    dovecot.deliver("anna", "INBOX", &mail("three"), None).unwrap();
    eventually("the next is moved too", || stage.live.count() == 3 && at_home() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_and_not_marked_when_a_process_died_is_marked_by_the_next() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let left = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |_| {});
    let running = stage.start(&left);
    stage.begun().await;
    running.stop().await;
    for subject in ["one", "two"] {
        dovecot.deliver("anna", "INBOX", &mail(subject), None).unwrap();
    }
    // As a process leaves it that dies between the cursor's move and the mark.
    let kept = stage.cursors.history().pop().unwrap();
    let value = kept.value.replace("\"next\":1", "\"next\":3");
    assert_ne!(value, kept.value);
    connector::Cursors::advance(&*stage.cursors, "email/support", Some(kept.revision), &value).await.unwrap();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.after = "seen".to_owned();
    });
    let _running = stage.start(&source);
    eventually("they are marked", || dovecot.flags("anna", "INBOX").unwrap() == ["\\Seen", "\\Seen"]).await;
    assert_eq!(stage.live.count(), 0, "they are not read again");
}
