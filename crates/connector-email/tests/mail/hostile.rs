//! Mails made to hurt: each is read in time, within its bounds, and nothing of it is believed.

use std::time::Duration;

use contact::email::Cut;
use proptest::prelude::*;

use crate::{check, email, files, fixtures, read, try_read};

/// How long this thread has worked, which is not how long a busy machine makes it wait; nothing where the
/// kernel does not say.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

#[test]
fn bombs_cost_no_more_than_their_length() {
    let deep: String =
        (0..20_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let parts =
        format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(50_000));
    let files = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\nContent-Type: a/b; name=x\n\nx\n".repeat(5_000)
    );
    let inside = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let many_to = format!("To: {}\n\nx", "a@b.example, ".repeat(50_000));
    let quotes = format!("From: a@b.example\n\n{}", "\"\\\n".repeat(2_000_000));
    let markers = format!("From: a@b.example\n\n{}", "On 1.1.2025 S <a@b.example>\n".repeat(50_000));
    let signs = format!("From: a@b.example\n\n{}", "--\nSent from my iPhone\n".repeat(50_000));
    let phones = format!("From: a@b.example\n\nhi\n{}", "Sent from my iPhone\n".repeat(50_000));
    let failures = format!(
        "From: mailer-daemon@b.example\nSubject: failure notice\n\n{}",
        "user unknown <a@b.example> 550 x ".repeat(20).repeat(3_000)
    );
    let report = format!(
        "From: mailer-daemon@b.example\nContent-Type: message/delivery-status\n\n{}",
        "not a field\n".repeat(100_000)
    );
    let page = |inner: &str, times: usize| format!("Content-Type: text/html\n\n{}x", inner.repeat(times));
    let (tables, lists, formats) = (page("<table><tr><td>", 250), page("<ul><li>", 250), page("<b><p>", 250));
    let (drawing, cells, quoted) =
        (page("<svg><td>", 50_000), page("<svg>", 1) + &"<td>".repeat(50_000), page("<blockquote>", 250));
    let (font, paragraphs) = (page("<font><i><p>", 50_000), page("<p>a", 50_000));
    let words = format!("Subject: {}\n\nx", "=?utf-8?Q?a?= ".repeat(20_000));
    let open = format!("Subject: {}\n\nx", "=?".repeat(30_000));
    let html = format!("Content-Type: text/html\n\n{}x", "<div>".repeat(100_000));
    let references = format!("References: {}\n\nx", "<a@b> <".repeat(9_000));
    let comments = format!("From: {}a@b.example\n\nx", "(".repeat(60_000));
    let large =
        format!("From: a@b.example\nContent-Type: text/html\n\n{}", "<p>жук \"\\ </p>".repeat(60_000));
    for (name, raw) in [
        ("deep", deep),
        ("parts", parts),
        ("files", files),
        ("inside", inside),
        ("many_to", many_to),
        ("quotes", quotes),
        ("markers", markers),
        ("signs", signs),
        ("words", words),
        ("open", open),
        ("html", html),
        ("references", references),
        ("phones", phones),
        ("failures", failures),
        ("report", report),
        ("tables", tables),
        ("lists", lists),
        ("formats", formats),
        ("drawing", drawing),
        ("cells", cells),
        ("quoted", quoted),
        ("font", font),
        ("paragraphs", paragraphs),
        ("comments", comments),
        ("large", large),
    ] {
        let before = worked();
        let (event, attachments) = read(&raw);
        let took = worked().saturating_sub(before);
        eprintln!("{name}: {} bytes, {took:?}", raw.len());
        // Far above what it takes, unoptimised; a square of the length would take hours.
        assert!(took < Duration::from_secs(60), "{name} took {took:?}");
        check(name, &event, &attachments);
        assert!(attachments.len() <= 100, "{name}");
    }
}

#[test]
fn what_is_too_large_is_cut_and_says_so() {
    let text = format!("From: a@b.example\n\n{}", "слово ".repeat(200_000));
    assert_eq!(email(&read(&text).0).cut, [Cut::Text]);
    let html = format!("From: a@b.example\nContent-Type: text/html\n\n{}", "<p>слово</p>".repeat(40_000));
    let (event, _) = read(&html);
    assert!(email(&event).html.is_none() && email(&event).cut.contains(&Cut::Html));
    assert!(email(&event).text.starts_with("слово"));
    // Everything at its bound at once.
    let party = format!("\"{}\" <{}@b.example>, ", "\u{1f600}".repeat(200), "a".repeat(60)).repeat(60);
    let all = format!(
        "From: a@b.example\nTo: {party}\nCc: {party}\nReply-To: {party}\nContent-Type: multipart/alternative; boundary=b\n\n\
         --b\n\n{}\n> {}\n--b\nContent-Type: text/html\n\n{}\n--b--",
        "\"".repeat(250_000),
        "\\".repeat(250_000),
        "<p>&quot;\"</p>".repeat(18_000)
    );
    let (event, attachments) = read(&all);
    check("all", &event, &attachments);
}

#[test]
fn names_and_numbers_that_mislead_are_disarmed() {
    let (event, attachments) = read(
        "From: \"boss@corp.example\u{202e}\" <x@evil.example>\nMessage-ID: <a\u{0}b@x>\nSubject: a\u{0}b\r\n c\nContent-Type: multipart/mixed; boundary=b\n\n\
         --b\n\nhi\u{0}\u{7} there\n--b\nContent-Type: a/b; name=\"../../etc/\u{202e}cod.exe\"\n\nx\n--b\nContent-Type: a/b; name=\"..\"\n\nx\n--b--",
    );
    check("names", &event, &attachments);
    let from = event.from.as_ref().unwrap();
    assert_eq!(
        (from.value.as_deref(), from.name.as_deref()),
        (Some("x@evil.example"), Some("boss@corp.example"))
    );
    let mail = email(&event);
    assert_eq!(
        (mail.subject.as_str(), mail.text.as_str(), mail.message_id.as_deref()),
        ("ab c", "hi there", Some("ab@x"))
    );
    let names: Vec<_> = mail.attachments.iter().map(|one| one.name.as_deref()).collect();
    assert_eq!(names, [Some("cod.exe"), None]);
}

#[test]
fn nothing_is_not_a_mail() {
    assert!(try_read(b"").is_err());
    assert!(try_read(b"\r\n \n").is_err());
    assert!(try_read(b"\0").is_ok());
    assert_eq!(email(&read("just words").0).text, "just words");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok((event, attachments)) = try_read(&bytes) {
            check("random", &event, &attachments);
        }
    }

    /// Real mails with pieces overwritten, cut out, doubled and moved.
    #[test]
    fn no_damage_makes_it_fail(which in any::<prop::sample::Index>(), wounds in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, 0_u8..4, any::<u8>()), 1..12)) {
        let mails: Vec<_> = files(&fixtures()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
        let mut raw = std::fs::read(which.get(&mails)).unwrap();
        for (at, length, kind, byte) in wounds {
            if raw.is_empty() {
                break;
            }
            let at = at.index(raw.len());
            let end = (at + length).min(raw.len());
            match kind {
                0 => raw[at..end].fill(byte),
                1 => { raw.drain(at..end); }
                2 => { let piece = raw[at..end].to_vec(); raw.splice(at..at, piece); }
                _ => { let piece: Vec<u8> = raw.drain(at..end).collect(); raw.splice(0..0, piece); }
            }
        }
        if let Ok((event, attachments)) = try_read(&raw) {
            check("wounded", &event, &attachments);
            let again = read(&raw).0;
            prop_assert_eq!(again, event);
        }
    }
}
