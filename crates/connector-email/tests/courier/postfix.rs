//! What a real server takes, and what arrives.

use std::time::{Duration, Instant};

use connector::Courier as _;
use connector::secret::{Given, Secret};
use connector_email::testing::Postfix;
use connector_email::{Credential, MailCourier, Mailbox, Smtp, normalise};
use contact::{Content, Email, Order, ReplyFate};
use mail_parser::MessageParser;

use crate::{AMPLE, order, reply, sender, smtp};

/// What was delivered, as soon as there are `count` mails.
fn delivered(server: &Postfix, count: usize) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + AMPLE;
    loop {
        let mails = server.delivered().unwrap();
        if mails.len() >= count {
            return mails;
        }
        assert!(Instant::now() < deadline, "{} of {count} mails: {}", mails.len(), server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn submission(server: &Postfix, scheme: &str, port: u16, secret: Credential) -> Smtp {
    let mut smtp = smtp(&format!("{scheme}://help%40desk.example@localhost:{port}"), AMPLE);
    smtp.ca = Some(server.ca().as_bytes().to_vec());
    smtp.credential = Some(secret);
    smtp
}

fn password(text: &str) -> Credential {
    Credential::Password(Given::Text(Secret::new(text)))
}

fn token(text: &str) -> Credential {
    Credential::Token(Given::Text(Secret::new(text)))
}

/// As our own normaliser reads it.
fn read(raw: &[u8]) -> (contact::Event, Email) {
    let mailbox = Mailbox {
        source: "email/support".parse().unwrap(),
        addresses: Default::default(),
        forms: Default::default(),
        authserv_id: None,
    };
    let now = "2026-11-22T09:00:00Z".parse().unwrap();
    let (event, _) = normalise(&mailbox, raw, now, now).unwrap();
    match &event.content {
        Content::Email(email) => (event.clone(), email.as_ref().clone()),
        other => panic!("a mail became {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_arrives_as_it_was_written_and_an_answer_to_it_finds_its_thread() {
    let Some(server) = Postfix::start_or_skip() else { return };
    let order = order("Olena@Пример.рф");
    let clear = smtp(&format!("smtp+insecure://localhost:{}", server.port()), AMPLE);
    let tried = MailCourier::new(clear).unwrap().deliver(&order).await;
    assert_eq!(tried.fate, ReplyFate::Sent, "{:?}", tried.detail);
    assert!(tried.detail.unwrap().contains("queued as"));
    let id = tried.message_id.unwrap();
    let raw = delivered(&server, 1).remove(0);

    let mail = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(mail.message_id(), Some(id.as_str()));
    assert_eq!(mail.subject(), Some("Re: Запис до лікаря"));
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Міа (Клініка «Усмішка»)"));
    assert_eq!(from.address(), Some("Help@desk.example"));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("Olena@xn--e1afmkfd.xn--p1ai"));
    assert_eq!(mail.date().unwrap().to_timestamp(), order.written_at.as_second());
    assert_eq!(mail.in_reply_to().as_text(), Some("parent@client.example"));
    let references = mail.references().clone().into_text_list().unwrap();
    assert_eq!(references, ["first@client.example", "parent@client.example"]);
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end_matches('\n'), order.text);
    assert_eq!(mail.header_raw("X-Frontdesk-Reply").map(str::trim), Some(order.reply.to_string().as_str()));
    assert_eq!(mail.header_raw("Auto-Submitted"), None);

    let (_, ours) = read(&raw);
    assert_eq!((ours.text.as_str(), ours.message_id.as_ref()), (order.text.as_str(), Some(&id)));

    // What a program makes when somebody presses "answer".
    let answer = format!(
        "From: Olena@xn--e1afmkfd.xn--p1ai\r\nTo: Help@desk.example\r\nSubject: Re: x\r\n\
         Message-ID: <answer@client.example>\r\nIn-Reply-To: {id}\r\nReferences: {references} {id}\r\n\r\nok\r\n",
        id = mail.header_raw("Message-ID").unwrap().trim(),
        references = mail.header_raw("References").unwrap().trim(),
    );
    let (_, answer) = read(answer.as_bytes());
    assert_eq!(answer.in_reply_to, Some(id.clone()));
    assert_eq!(answer.references, ["first@client.example", "parent@client.example", &id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_is_taken_with_every_proof() {
    let Some(server) = Postfix::start_or_skip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, Postfix::TOKEN).unwrap();
    let mut sent = Vec::new();
    for (scheme, port) in [("smtp", server.submission_port()), ("smtps", server.tls_port())] {
        for secret in
            [password(Postfix::PASSWORD), token(Postfix::TOKEN), Credential::Token(Given::File(file.clone()))]
        {
            let courier = MailCourier::new(submission(&server, scheme, port, secret.clone())).unwrap();
            let order = Order { reply: reply(sent.len() as u32), ..order("olena@client.example") };
            let tried = courier.deliver(&order).await;
            assert_eq!(tried.fate, ReplyFate::Sent, "{scheme}, {secret:?}: {:?}", tried.detail);
            sent.push(tried.message_id);
        }
    }
    let mut arrived: Vec<_> =
        delivered(&server, sent.len()).iter().map(|raw| read(raw).1.message_id).collect();
    arrived.sort();
    assert_eq!(arrived, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_a_real_server_are_told_apart() {
    let Some(server) = Postfix::start_or_skip() else { return };
    let url = format!("smtp+insecure://localhost:{}", server.port());
    let courier = MailCourier::new(smtp(&url, AMPLE)).unwrap();
    for (to, fate, why) in [
        ("refused@client.example", ReplyFate::Failed, "550 5.1.1 "),
        ("busy@client.example", ReplyFate::Deferred, "451 4.3.0 "),
        ("olena@client.example", ReplyFate::Sent, "250 2.0.0 Ok"),
        ("олена@client.example", ReplyFate::Sent, "250 2.0.0 Ok"),
    ] {
        let tried = courier.deliver(&order(to)).await;
        let detail = tried.detail.unwrap();
        assert_eq!(tried.fate, fate, "{to}: {detail}");
        assert!(detail.starts_with(why), "{to}: {detail}");
    }
    for secret in [password("guessed"), token("stolen")] {
        for (scheme, port) in [("smtp", server.submission_port()), ("smtps", server.tls_port())] {
            let courier = MailCourier::new(submission(&server, scheme, port, secret.clone())).unwrap();
            let tried = courier.deliver(&order("olena@client.example")).await;
            let detail = tried.detail.unwrap();
            assert_eq!(tried.fate, ReplyFate::Deferred, "{detail}");
            assert!(detail.starts_with("while logging in: 535 5.7.8"), "{detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_arrive_with_the_header_we_wrote() {
    let Some(server) = Postfix::start_or_skip() else { return };
    let url = format!("smtp+insecure://localhost:{}", server.port());
    let courier = MailCourier::new(smtp(&url, AMPLE)).unwrap();
    let mut orders = crate::answers::orders();
    for (_, order) in &mut orders {
        order.to = "olena@client.example".to_owned();
    }
    for (name, order) in &orders {
        assert_eq!(courier.deliver(order).await.fate, ReplyFate::Sent, "{name}");
    }
    for raw in delivered(&server, orders.len()) {
        let (event, email) = read(&raw);
        let marked = raw.windows(18).filter(|bytes| bytes == b"X-Frontdesk-Reply:").count();
        assert_eq!(marked, 1);
        assert_eq!(event.from.unwrap().value.unwrap(), sender().address().to_lowercase());
        assert_eq!((event.to.len(), email.cc.len(), email.reply_to.len()), (1, 0, 0));
    }
}
