//! What an order becomes: a folder of orders, and beside each the mail.

use std::fs;
use std::path::{Path, PathBuf};

use connector_email::text::clean_text;
use connector_email::{Sender, Unsendable, compose};
use contact::{MailThread, Order};
use mail_parser::{HeaderValue, MessageParser};
use proptest::prelude::*;

use crate::{order, sender};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/answers")
}

/// Every order of the folder, by the name of its file.
pub(crate) fn orders() -> Vec<(String, Order)> {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let order = serde_json::from_slice(&fs::read(&path).unwrap());
            (name, order.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn every_order_becomes_its_mail() {
    let orders = orders();
    assert!(orders.len() >= 8);
    for (name, order) in orders {
        let letter = compose(&sender(), &order).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&letter.bytes, &order);
        let shown = format!(
            "MAIL FROM:<{}>\nRCPT TO:<{}>\n\n{}",
            letter.from,
            letter.to,
            String::from_utf8(letter.bytes).unwrap().replace("\r\n", "\n")
        );
        insta::with_settings!({
            snapshot_path => folder(),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, shown);
        });
    }
}

/// What holds for every mail of ours whatever is in the order.
fn check(bytes: &[u8], order: &Order) {
    const KNOWN: [&str; 11] = [
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Date",
        "In-Reply-To",
        "References",
        "X-Frontdesk-Reply",
        "Content-Type",
        "MIME-Version",
        "Content-Transfer-Encoding",
    ];
    let text = std::str::from_utf8(bytes).unwrap();
    let bare = text.replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n']), "a line end is CR LF");
    assert!(text.split("\r\n").all(|line| line.len() <= 998), "RFC 5322 section 2.1.1");
    assert!(!bare.contains(|c: char| c.is_control() && c != '\t'), "no control characters");
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    for line in header.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
        let name = line.split_once(':').unwrap().0;
        assert!(KNOWN.contains(&name), "{line}");
        assert!(!seen.contains(&name), "twice: {line}");
        seen.push(name);
    }
    for owed in ["From", "To", "Subject", "Message-ID", "Date", "MIME-Version", "X-Frontdesk-Reply"] {
        assert!(seen.contains(&owed), "without {owed}");
    }
    assert!(header.split("\r\n").all(|line| !line.trim().is_empty()), "no line of a fold is blank");
    let mail = MessageParser::default().parse(bytes).unwrap();
    assert_eq!(mail.to().unwrap().iter().count(), 1);
    assert_eq!(mail.from().unwrap().iter().count(), 1);
    assert_eq!(mail.attachment_count(), 0);
    let read = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(read.trim_end_matches('\n'), clean_text(&order.text), "the text is what was written");
    let ids = |value: &HeaderValue<'_>| value.clone().into_text_list().unwrap_or_default().len();
    assert!(ids(mail.references()) <= 40 && ids(mail.in_reply_to()) <= 1);
}

fn subject_of(parent: &str) -> String {
    let mut order = order("olena@client.example");
    order.thread = Some(MailThread { subject: parent.to_owned(), ..MailThread::default() });
    let letter = compose(&sender(), &order).unwrap();
    MessageParser::default().parse(&letter.bytes).unwrap().subject().unwrap().to_owned()
}

#[test]
fn one_mark_of_an_answer_whatever_the_parent_has() {
    for (parent, ours) in [
        ("Замовлення 17", "Re: Замовлення 17"),
        ("Re: Замовлення 17", "Re: Замовлення 17"),
        ("RE: AW: Відп: re[3]: Ответ: НА : Sv: x", "Re: x"),
        ("Re^2: Re(4): x", "Re: x"),
        ("回复：x", "Re: x"),
        ("Fwd: Re: x", "Re: Fwd: Re: x"),
        ("Re: Fwd: x", "Re: Fwd: x"),
        ("=?utf-8?q?=0D=0ABcc:x?=", "Re: = ?utf-8?q?=0D=0ABcc:x?="),
        ("Report: x", "Re: Report: x"),
        ("Re", "Re: Re"),
        ("12:30 або 13:00", "Re: 12:30 або 13:00"),
        (" Re:  Re: ", "Re:"),
        ("", "Re:"),
    ] {
        assert_eq!(subject_of(parent), ours, "{parent:?}");
    }
}

#[test]
fn a_long_thread_keeps_its_ends_and_the_parent() {
    let mut order = order("olena@client.example");
    order.thread = Some(MailThread {
        subject: "x".to_owned(),
        in_reply_to: Some("300@x".to_owned()),
        // The parent's own id stands among them, too, as some programs have it.
        references: (0..600).map(|n| format!("{n}@x")).collect(),
    });
    let letter = compose(&sender(), &order).unwrap();
    let mail = MessageParser::default().parse(&letter.bytes).unwrap();
    let ids = mail.references().clone().into_text_list().unwrap();
    let expected: Vec<String> = (0..20).chain(581..600).chain([300]).map(|n| format!("{n}@x")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn an_answer_has_one_id_for_ever() {
    let (mut first, mut later) = (order("olena@client.example"), order("olena@client.example"));
    (first.attempt, later.attempt) = (1, 9);
    assert_eq!(compose(&sender(), &first), compose(&sender(), &later));
    let id = compose(&sender(), &first).unwrap().message_id;
    assert_eq!(id, format!("{}@desk.example", first.reply));
}

#[test]
fn the_client_sees_the_agent_only_where_that_is_wanted() {
    let from = |name: Option<&str>, names_agent, agent: Option<&str>| {
        let sender = Sender::new("help@desk.example", name, names_agent).unwrap();
        let order = Order { agent: agent.map(str::to_owned), ..order("olena@client.example") };
        let letter = compose(&sender, &order).unwrap();
        let mail = MessageParser::default().parse(&letter.bytes).unwrap();
        mail.from().unwrap().first().unwrap().name().map(str::to_owned)
    };
    assert_eq!(from(Some("Acme"), true, Some("Mia")).as_deref(), Some("Mia (Acme)"));
    assert_eq!(from(Some("Acme"), true, None).as_deref(), Some("Acme"));
    assert_eq!(from(Some("Acme"), false, Some("Mia")).as_deref(), Some("Acme"));
    assert_eq!(from(None, true, Some("Mia")).as_deref(), Some("Mia"));
    assert_eq!(from(None, false, Some("Mia")), None);
}

#[test]
fn an_address_of_ours_must_be_one() {
    for address in [
        "",
        "help",
        "help@",
        "help@localhost",
        "help@desk.example\r\nBcc: x@y.example",
        "помічник@desk.example",
    ] {
        assert_eq!(Sender::new(address, None, false).err(), Some(Unsendable::From), "{address:?}");
    }
    let sender = Sender::new("Help@Пример.рф", None, false).unwrap();
    assert_eq!(sender.address(), "Help@xn--e1afmkfd.xn--p1ai");
}

/// Words with everything that has ever broken a header.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "\\PC{0,30}",
        2 => "[ -~]{0,120}",
        2 => "[а-яіїє ]{0,120}",
        1 => Just("\r\nBcc: victim@x.example\r\n\r\nhello".to_owned()),
        1 => Just("\n.\r\n.\nQUIT\r".to_owned()),
        1 => Just("\u{0}\u{b}\u{85}\u{2028}\u{202e}".to_owned()),
        1 => Just("=?utf-8?b?0YI=?= =?x?".to_owned()),
        1 => Just("<a@b>, \"c\" <d@e> (f)\\".to_owned()),
        1 => Just("x".repeat(3000)),
        1 => Just("є".repeat(3000)),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_in_an_order_leaves_its_place(
        text in hostile(),
        agent in proptest::option::of(hostile()),
        name in proptest::option::of(hostile()),
        subject in hostile(),
        parent in proptest::option::of(hostile()),
        references in proptest::collection::vec(hostile(), 0..60),
        seconds in -400_000_000_000_i64..250_000_000_000,
    ) {
        let order = Order {
            text: text + "ok",
            agent,
            name,
            thread: Some(MailThread { subject, in_reply_to: parent, references }),
            written_at: jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX),
            ..order("olena@client.example")
        };
        let letter = compose(&sender(), &order).unwrap();
        prop_assert!(letter.bytes.is_ascii());
        check(&letter.bytes, &order);
    }

    #[test]
    fn an_address_is_safe_or_refused(to in hostile(), host in "\\PC{0,20}") {
        for to in [format!("{to}@client.example"), format!("olena@{host}{to}"), to] {
            if let Ok(letter) = compose(&sender(), &order(&to)) {
                let written = letter.to.to_string();
                prop_assert!(!written.contains(|c: char| c.is_control() || c.is_whitespace() || "<>".contains(c)));
                prop_assert_eq!(letter.needs_utf8, !written.is_ascii());
                check(&letter.bytes, &order(&to));
            }
        }
    }
}
