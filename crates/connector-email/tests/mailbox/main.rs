//! A mailbox read from a real Dovecot, and from servers that behave worse.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod backlog;
mod contract;
mod failover;
mod hostile;
mod lanes;
mod login;
mod marks;
mod server;
mod stage;

use std::sync::atomic::Ordering;

use connector_email::testing::Dovecot;
use contact::Content;

use stage::{PATIENCE, Stage, mail, subjects};

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_arrives_is_accepted_at_once_and_left_as_it_is() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    // So that only IDLE can bring it.
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| config.poll_s = 3600);
    let running = stage.start(&source);
    stage.begun().await;
    dovecot.deliver("anna", "INBOX", &mail("one"), Some("2025-03-03T10:59:00Z".parse().unwrap())).unwrap();
    stage.live.reaches(1).await;
    let (event, raw) = stage.live.accepted().remove(0);
    assert_eq!(event.key.source.as_str(), "email/support");
    assert_eq!(event.occurred_at.to_string(), "2025-03-03T10:59:00Z");
    assert_eq!(raw.bytes, mail("one"));
    assert_eq!(dovecot.flags("anna", "INBOX").unwrap(), [""]);
    assert_eq!(stage.imports.count(), 0);

    // Its IDLE would last half an hour.
    tokio::time::timeout(PATIENCE, running.stop()).await.expect("an IDLE does not outlive its task");
    stage::eventually("the server sees the line cut", || dovecot.log().unwrap().contains("Disconnected"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_without_idle_is_polled() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let server = server::scripted(|line| {
        let (tag, command) = line.split_once(' ')?;
        // Out of turn: the library panics on it.
        (command == "IDLE").then(|| format!("* 1 EXISTS\r\n{tag} OK done\r\n"))
    });
    let source = stage.source(&server.url(), &dovecot, |config| config.poll_s = 1);
    let _running = stage.start(&source);
    // After three of them it is left alone.
    server.sees("IDLE", 3).await;
    let before = server.count("UID SEARCH");
    server.sees("UID SEARCH", before + 3).await;
    assert_eq!(server.count("IDLE"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_told_of_in_between_is_not_waited_for() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let searches = std::sync::atomic::AtomicUsize::new(0);
    let server = server::scripted(move |line| {
        let (tag, command) = line.split_once(' ')?;
        if command == "IDLE" {
            // It has told already, and tells nothing any more.
            return Some("+ idling\r\n".to_owned());
        }
        let nth = searches.fetch_add(usize::from(command.starts_with("UID SEARCH")), Ordering::SeqCst);
        let told = command.starts_with("UID SEARCH") && nth < 4;
        told.then(|| format!("* 1 EXISTS\r\n* SEARCH\r\n{tag} OK done\r\n"))
    });
    let source = stage.source(&server.url(), &dovecot, |config| config.poll_s = 3600);
    let _running = stage.start(&source);
    server.sees("UID SEARCH", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_made_anew_is_read_again_and_nothing_is_lost() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let at = Some("2025-03-03T10:00:00Z".parse().unwrap());
    for subject in ["one", "two", "three"] {
        dovecot.deliver("anna", "Support", &mail(subject), at).unwrap();
    }
    let source = stage.source(&dovecot.imaps("anna", "Support"), &dovecot, |config| {
        config.poll_s = 1;
        config.from = "all".to_owned();
    });
    let _running = stage.start(&source);
    stage.imports.reaches(3).await;
    dovecot.admin(&["mailbox", "delete", "-u", "anna", "Support"]).unwrap();
    dovecot.admin(&["mailbox", "create", "-u", "anna", "Support"]).unwrap();
    // One is restored, two are new: their UIDs were in use before.
    let later = Some("2025-03-03T11:30:00Z".parse().unwrap());
    dovecot.deliver("anna", "Support", &mail("two"), at).unwrap();
    dovecot.deliver("anna", "Support", &mail("four"), later).unwrap();
    dovecot.deliver("anna", "Support", &mail("five"), later).unwrap();
    stage.live.reaches(2).await;
    assert_eq!(subjects(&stage.live.accepted()), ["four", "five"]);
    let imported = stage.imports.accepted();
    assert_eq!(
        subjects(&imported),
        ["one", "two", "three", "two"],
        "what was there before us stays an import"
    );
    assert_eq!(imported[1].0.key, imported[3].0.key, "and the restored one is the same fact");
    let is_imported = |(event, _): &(contact::Event, _)| matches!(&event.content, contact::Content::Email(mail) if mail.imported);
    assert!(imported.iter().all(is_imported), "and says so");
    assert!(!stage.live.accepted().iter().any(is_imported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_mail_comes_in_pieces_and_a_too_large_one_as_its_beginning() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let large = |subject: &str, mib: usize| {
        let head = format!(
            "Message-ID: <{subject}@x.example>\r\nSubject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n\r\nsee the file\r\n--b\r\nContent-Type: a/b; name=f\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        format!("{head}{}--b--\r\n", line.repeat(mib * 1024 * 1024 / line.len())).into_bytes()
    };
    let (whole, too_large) = (large("whole", 30), large("too-large", 40));
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
        config.max_bytes = 35 * 1024 * 1024;
    });
    for mail in [&whole, &too_large, &mail("small")] {
        dovecot.deliver("anna", "INBOX", mail, None).unwrap();
    }
    let running = stage.start(&source);
    stage.imports.reaches(3).await;
    let accepted = stage.imports.accepted();
    assert_eq!(subjects(&accepted), ["whole", "too-large", "small"]);
    assert!(accepted[0].1.bytes == whole, "the large mail is not what was sent");
    assert!(too_large.starts_with(&accepted[1].1.bytes) && accepted[1].1.bytes.len() == 1024 * 1024);
    let cut = |at: usize| match &accepted[at].0.content {
        Content::Email(email) => (email.text.clone(), email.cut.clone()),
        other => panic!("a mail became {other:?}"),
    };
    assert_eq!(cut(0), ("see the file".to_owned(), vec![]));
    assert_eq!(cut(1), ("see the file".to_owned(), vec![contact::email::Cut::Parts]));
    running.stop().await;
    // Sixty pieces are asked for by sixty commands.
    stage::eventually("the server logs the session", || dovecot.bytes_in() > 0).await;
    assert!(dovecot.bytes_in() > 60 * 40, "{} bytes of commands", dovecot.bytes_in());
}
