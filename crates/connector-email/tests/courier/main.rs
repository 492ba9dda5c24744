//! Answers by mail: what they look like, how a try ends, and what a real server makes of them.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod answers;
mod ends;
mod lines;
mod logins;
mod postfix;
mod security;
mod sink;

use std::time::{Duration, Instant};

use connector_email::{Limits, MailCourier, Sender, Server, Smtp};
use contact::{EntryId, MailThread, Order};

pub(crate) fn sender() -> Sender {
    Sender::new("Help@Desk.Example", Some("Клініка «Усмішка»"), true).unwrap()
}

/// A try may take this long where nothing is to go wrong: a busy machine is slow.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);
/// And this long where the server will never answer.
pub(crate) const SHORT: Duration = Duration::from_millis(600);

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + AMPLE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn smtp(url: &str, attempt: Duration) -> Smtp {
    Smtp {
        server: Server::parse(url).unwrap(),
        credential: None,
        ca: None,
        sender: sender(),
        hello: None,
        limits: Limits { attempt, ..Limits::default() },
    }
}

pub(crate) fn courier(url: &str, attempt: Duration) -> MailCourier {
    MailCourier::new(smtp(url, attempt)).unwrap()
}

/// An answer to a mail of Olena's.
pub(crate) fn order(to: &str) -> Order {
    Order {
        reply: reply(7),
        attempt: 1,
        written_at: "2026-11-22T08:15:00Z".parse().unwrap(),
        to: to.to_owned(),
        name: Some("Олена".to_owned()),
        agent: Some("Міа".to_owned()),
        text: "Добрий день!\n\nТак, у вівторок о 10:00.\n.\n.крапка на початку".to_owned(),
        thread: Some(MailThread {
            subject: "Запис до лікаря".to_owned(),
            in_reply_to: Some("parent@client.example".to_owned()),
            references: vec!["first@client.example".to_owned()],
        }),
        seq: None,
    }
}

pub(crate) fn reply(number: u32) -> EntryId {
    format!("ent_01928f00000070008000000{number:09x}").parse().unwrap()
}
