//! What makes two mails the same, who is proved, and what is read when there is a choice.

use connector_email::normalise;
use contact::email::AutomaticKind;

use crate::{email, mailbox, now, read};

const MAIL: &str = "Received: from a\nMessage-ID: <m1@client.example>\nDate: Mon, 3 Mar 2025 12:34:56 +0200\nFrom: Olena <olena@client.example>\n\
                    To: support@desk.example\nSubject: hi\n\nbody\n";

#[test]
fn one_mail_in_two_mailboxes_is_one_contact_and_two_events() {
    let (first, _) = read(MAIL);
    let mut sales = mailbox();
    sales.source = "email/sales".parse().unwrap();
    let other = MAIL.replace("from a", "from b\nDelivered-To: x").replace('\n', "\r\n");
    let (second, _) = normalise(&sales, other.as_bytes(), now(), now()).unwrap();
    assert_eq!(first.contact, second.contact);
    assert_ne!(first.key, second.key);
    assert_eq!(first.key.id, second.key.id);
    assert!(first.contact.0.starts_with("email/m1@client.example:"), "{:?}", first.contact);
}

#[test]
fn another_mail_under_the_same_id_is_another_contact() {
    let (first, _) = read(MAIL);
    for change in
        [("body", "other"), ("Subject: hi", "Subject: ho"), ("12:34:56", "12:34:57"), ("Olena", "Olga")]
    {
        let (second, _) = read(MAIL.replace(change.0, change.1));
        assert_ne!(first.contact, second.contact, "{change:?}");
    }
}

#[test]
fn a_transfer_encoding_makes_no_other_mail() {
    let plain = MAIL.replace("\n\nbody", "\nContent-Type: text/plain; charset=utf-8\n\nтіло");
    let coded = MAIL.replace(
        "\n\nbody",
        "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n0YLRltC70L4=",
    );
    assert_eq!(read(plain).0.contact, read(coded).0.contact);
}

#[test]
fn a_mail_without_an_id_is_known_by_its_content() {
    let without = MAIL.replace("Message-ID: <m1@client.example>\n", "");
    let (first, _) = read(&without);
    assert!(first.key.id.starts_with("nameless:") && first.key.id.len() == 41, "{}", first.key.id);
    assert_eq!(first.key, read(&without).0.key);
    assert_ne!(first.key, read(without.replace("body", "other")).0.key);
    let endless = MAIL.replace("m1@", &"m".repeat(400));
    assert!(read(endless).0.key.id.starts_with("nameless:"), "an id without an end is none");
}

#[test]
fn the_time_is_ours_and_the_date_is_shown() {
    let (event, _) = read(MAIL.replace("2025", "2099"));
    assert_eq!(event.occurred_at.to_string(), "2025-03-03T11:00:00Z");
    assert_eq!(email(&event).sent_at.unwrap().to_string(), "2099-03-03T10:34:56Z");
    let late =
        normalise(&mailbox(), MAIL.as_bytes(), "2030-01-01T00:00:00Z".parse().unwrap(), now()).unwrap().0;
    assert_eq!(late.occurred_at, late.received_at, "never in the future");
    for wrong in ["", "yesterday", "Mon, 99 Zzz 2025 99:99:99", "Mon, 3 Mar 1950 12:00:00 +0000"] {
        let date = MAIL.replace("Mon, 3 Mar 2025 12:34:56 +0200", wrong);
        assert_eq!(email(&read(date).0).sent_at, None, "{wrong}");
    }
}

#[test]
fn only_our_own_server_proves_the_sender() {
    let told = |fields: &str| read(format!("{fields}\n{MAIL}")).0;
    let good = "Authentication-Results: mx.desk.example; dmarc=pass header.from=client.example";
    assert!(email(&told(good)).from_is_proved());
    assert!(
        !email(&told("Authentication-Results: mx.evil.example; dmarc=pass header.from=client.example"))
            .from_is_proved()
    );
    assert!(!email(&told(&format!("{good}\nFrom: boss@client.example"))).from_is_proved(), "two From fields");
    let two = MAIL.replace("From: Olena", "From: boss@client.example, Olena");
    assert!(!email(&read(format!("{good}\n{two}")).0).from_is_proved(), "two addresses");
    let mut nobody = mailbox();
    nobody.authserv_id = None;
    let (event, _) = normalise(&nobody, format!("{good}\n{MAIL}").as_bytes(), now(), now()).unwrap();
    assert_eq!(email(&event).authentication, None);
}

#[test]
fn the_plain_text_is_read_and_the_page_is_kept() {
    let (event, attachments) = read(
        "From: a@b.example\nContent-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=a\n\n\
         --a\n\nplain\n--a\nContent-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<b>rich</b><img src=cid:1@x>\n\
         --r\nContent-Type: image/png\nContent-ID: <1@x>\n\nPNG\n--r--\n--a\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n--a--\n\
         --m\n\nfooter\n--m\nContent-Type: message/rfc822\n\nFrom: c@d.example\nSubject: inner\n\nsecret\n--m\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nfile\n--m--",
    );
    let mail = email(&event);
    assert_eq!(mail.text, "plain\n\nfooter");
    assert_eq!(mail.html.as_deref().map(str::trim), Some("<b>rich</b><img src=\"cid:1@x\"><p>footer</p>"));
    let kinds: Vec<_> = mail
        .attachments
        .iter()
        .map(|one| (one.media_type.as_str(), one.name.as_deref(), one.inline))
        .collect();
    assert_eq!(
        kinds,
        [
            ("image/png", None, true),
            ("text/calendar", None, false),
            ("message/rfc822", None, false),
            ("text/plain", Some("a.txt"), false)
        ]
    );
    assert_eq!(attachments.last().unwrap().bytes, b"file");
}

#[test]
fn flowed_lines_are_joined_and_their_quotes_kept() {
    let flowed = "From: a@b.example\nContent-Type: text/plain; format=flowed\n\nHello \nthere.\nBye\n\nOn 1.1.2025 S wrote:\n> one \n> two\n>> three\n-- \nIvan\n";
    let (event, _) = read(flowed);
    let mail = email(&event);
    assert_eq!(mail.text, "Hello there.\nBye");
    assert_eq!(mail.quoted.as_deref(), Some("On 1.1.2025 S wrote:\n> one two\n>> three"));
    assert_eq!(mail.signature.as_deref(), Some("--\nIvan"));
}

#[test]
fn a_thread_is_claimed_within_bounds() {
    let many: String = (0..300).map(|n| format!(" <{n}@x>\n")).collect();
    let (event, _) = read(format!("In-Reply-To: <299@x> (by Olena)\nReferences:{many}{MAIL}"));
    let mail = email(&event);
    assert_eq!((mail.in_reply_to.as_deref(), mail.references.len()), (Some("299@x"), 40));
    assert_eq!(mail.cut, [contact::email::Cut::References]);
}

#[test]
fn our_own_mail_coming_back_is_ours() {
    let own = MAIL.replace("olena@client.example", "support@desk.example");
    assert_eq!(email(&read(own).0).automatic.as_ref().unwrap().kind, AutomaticKind::Own);
}
