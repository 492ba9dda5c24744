//! Mails made to hurt, and servers that break.

use std::os::unix::fs::PermissionsExt as _;

use connector_email::testing::Dovecot;

use crate::contract::fixtures;
use crate::server;
use crate::stage::{Stage, eventually, mail, subjects};

#[tokio::test(flavor = "multi_thread")]
async fn no_mail_stops_its_mailbox() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let deep: String =
        (0..2_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let made: Vec<Vec<u8>> = vec![
        b"\r\n".to_vec(),
        b"\0".to_vec(),
        bytes,
        deep.into_bytes(),
        vec![b'x'; 300_000],
        "Subject: =?".repeat(20_000).into_bytes(),
        b"Subject: a literal {999999999}\r\n\r\n* 1 FETCH (UID 1 BODY[] {5}\r\n".to_vec(),
        b")\r\na3 OK done\r\n* BYE\r\n".to_vec(),
    ];
    let all: Vec<Vec<u8>> = fixtures().into_iter().map(|(_, raw)| raw).chain(made).collect();
    for raw in &all {
        dovecot.deliver("anna", "INBOX", raw, None).unwrap();
    }
    dovecot.deliver("anna", "INBOX", &mail("last"), None).unwrap();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
    });
    let _running = stage.start(&source);
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(all.len() as u64 + 2)).await;
    let accepted = stage.imports.accepted();
    assert_eq!(accepted.len(), all.len() + 1, "each of them is kept");
    assert_eq!(subjects(&accepted).last().unwrap(), "last");
    for (sent, (event, raw)) in all.iter().zip(&accepted) {
        let unix = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != b'\r').collect::<Vec<_>>();
        // Over IMAP a NUL is 0x80, because a literal holds none (RFC 9051 4.3).
        let nuls =
            |bytes: Vec<u8>| bytes.into_iter().map(|b| if b == 0 { 0x80 } else { b }).collect::<Vec<_>>();
        assert!(nuls(unix(sent)) == nuls(unix(&raw.bytes)), "{}: another raw", event.key.id);
    }
    let dead: Vec<_> =
        subjects(&accepted).into_iter().filter(|subject| subject.starts_with("unreadable")).collect();
    assert_eq!(dead.len(), 1, "the empty one is a dead letter: {dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_the_server_cannot_give_is_a_dead_letter_and_the_rest_is_read() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    for subject in ["one", "damaged", "three"] {
        dovecot.deliver("anna", "INBOX", &mail(subject), None).unwrap();
    }
    // Not to be read by the server's own user any more.
    let folder = dovecot.folder("anna", "INBOX").join("new");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    std::fs::set_permissions(&files[1], std::fs::Permissions::from_mode(0o000)).unwrap();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.from = "all".to_owned();
    });
    let _running = stage.start(&source);
    eventually("the cursor is behind the last", || stage.cursors.next() == Some(4)).await;
    let read = subjects(&stage.imports.accepted());
    assert!(read.contains(&"one".to_owned()) && read.contains(&"three".to_owned()), "{read:?}");
    let told = read.iter().find(|subject| subject.starts_with("unreadable")).unwrap();
    assert!(told.contains("the mail server cannot give this mail (UID 2)"), "{told}");
}

/// A server with three mails, of which it does not give the second: `instead` is what it says then.
fn without_the_second(instead: &'static str) -> server::Scripted {
    server::scripted(move |line| {
        let (tag, command) = line.split_once(' ')?;
        let done = |lines: String| Some(format!("{lines}{tag} OK done\r\n"));
        if let Some(first) = command.strip_prefix("UID SEARCH UID ") {
            let first: u32 = first.trim_end_matches(":*").parse().ok()?;
            return done((first..=3).map(|uid| format!("* SEARCH {uid}\r\n")).collect());
        }
        let (set, what) = command.strip_prefix("UID FETCH ")?.split_once(' ')?;
        let (first, last) = set.split_once(':').unwrap_or((set, set));
        let uids = first.parse::<u32>().ok()?..=last.parse().ok()?;
        if what.contains("BODY.PEEK[]") && uids.contains(&2) {
            return Some(instead.replace("$T", tag));
        }
        let one = |uid| match what {
            what if what.contains("RFC822.SIZE") => {
                format!("RFC822.SIZE 15 INTERNALDATE \" 3-Mar-2025 10:00:0{uid} +0000\"")
            }
            what if what.contains("HEADER") => "BODY[HEADER]<0> {14}\r\nX-Head: it\r\n\r\n".to_owned(),
            what if what.contains('<') => format!("BODY[]<0> {{15}}\r\nSubject: m{uid}\r\n\r\n"),
            _ => format!("BODY[] {{15}}\r\nSubject: m{uid}\r\n\r\n"),
        };
        done(uids.map(|uid| format!("* {uid} FETCH (UID {uid} {})\r\n", one(uid))).collect())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_the_server_does_not_give_is_told_with_its_reason_and_the_rest_is_read() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    for (instead, reason) in [
        ("$T NO [SERVERBUG] it is damaged\r\n", "it is damaged"),
        ("* 2 FETCH (UID 2 BODY[] NIL)\r\n$T OK done\r\n", "it gives none of its bytes"),
        // A line that no client understands.
        ("* 2 FETCH (UID 2 BODY[] {what\r\n", "the line broke at it again and again"),
    ] {
        let stage = Stage::new();
        let server = without_the_second(instead);
        let source = stage.source(&server.url(), &dovecot, |config| {
            config.from = "all".to_owned();
            config.poll_s = 1;
        });
        let _running = stage.start(&source);
        stage.imports.reaches(3).await;
        let accepted = stage.imports.accepted();
        let read = subjects(&accepted);
        assert_eq!((read[0].as_str(), read[2].as_str()), ("m1", "m3"));
        assert!(read[1].contains("UID 2") && read[1].contains(reason), "{read:?}");
        let raw = String::from_utf8_lossy(&accepted[1].1.bytes);
        assert!(
            raw.contains("X-Head: it") != reason.contains("again"),
            "its header, where that can be had: {raw}"
        );
        assert_eq!(accepted[0].0.occurred_at.to_string(), "2025-03-03T10:00:01Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_nonsense_is_left_with_a_sentence() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    for (when, answer, why) in [
        ("EXAMINE", "* OK hm\r\n$T OK done\r\n".to_owned(), "keeps no UIDs"),
        ("EXAMINE", "$T NO there is none\r\n".to_owned(), "there is none"),
        ("EXAMINE", "\u{1}\u{2}\r\n".to_owned(), "could not open the mailbox"),
        ("SEARCH", "* BYE going down\r\n".to_owned(), "could not search"),
        ("LOGIN", format!("* OK {}\r\n", "x".repeat(40_000_000)), "far more"),
    ] {
        let server = server::scripted(move |line| {
            let tag = line.split(' ').next().unwrap_or_default().to_owned();
            line.contains(when).then(|| answer.replace("$T", &tag))
        });
        let source = stage.source(&server.url(), &dovecot, |_| {});
        let told = Stage::new().refused(&source).await;
        assert!(told.contains(why), "{when}: {told}");
        assert!(told.len() < 1000, "{told}");
    }
}
