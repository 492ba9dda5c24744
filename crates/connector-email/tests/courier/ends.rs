//! How a try ends, whatever goes wrong at whichever step.

use connector::{Courier as _, Tried};
use contact::ReplyFate::{self, Deferred, Failed, Sent, Uncertain};

use crate::sink::{Does, Sink};
use crate::{AMPLE, SHORT, courier, order};

/// One try with a server that does `does` at `step`.
async fn tried(step: &'static str, does: Does) -> (Tried, Sink) {
    let mut patience = if matches!(does, Does::Says(_) | Does::Closes) { AMPLE } else { SHORT };
    loop {
        let sink = Sink::clear(move |_, at| (at == step).then_some(does));
        let courier = courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), patience);
        let tried = courier.deliver(&order("olena@client.example")).await;
        // On a busy machine the time may be over before it comes to the step.
        if sink.came_to(step) || patience > AMPLE {
            return (tried, sink);
        }
        patience *= 2;
    }
}

async fn fate(step: &'static str, does: Does) -> ReplyFate {
    let (tried, _) = tried(step, does).await;
    let detail = tried.detail.unwrap();
    assert!(!detail.is_empty() && detail.chars().count() <= 600, "{step}, {does:?}: {detail}");
    let may_be_there = matches!(tried.fate, Sent | Uncertain);
    assert_eq!(tried.message_id.is_some(), may_be_there, "{step}, {does:?}: an id only of what may be there");
    tried.fate
}

const BEFORE_THE_MAIL: [&str; 2] = ["greeting", "EHLO"];
const ABOUT_THE_MAIL: [&str; 3] = ["MAIL", "RCPT", "DATA"];

#[tokio::test]
async fn what_a_server_takes_is_sent_once_with_its_words_and_the_id() {
    let sink = Sink::clear(|_, _| None);
    let courier = courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE);
    let mut order = order("Olena@Client.Example");
    order.text = "Tuesday\n.\n..ten".to_owned();
    let tried = courier.deliver(&order).await;
    assert_eq!(tried.fate, Sent);
    assert_eq!(tried.detail.as_deref(), Some("250 2.0.0 queued as 1"));
    assert_eq!(tried.message_id, Some(format!("{}@desk.example", order.reply)));
    assert_eq!(
        sink.lines(),
        ["EHLO desk.example", "MAIL FROM:<Help@desk.example>", "RCPT TO:<Olena@client.example>", "DATA"]
    );
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    // The lone dots of the text are doubled on the way, and so none of them is its end.
    assert!(mails[0].ends_with("\r\n\r\nTuesday\r\n..\r\n...ten\r\n.\r\n"), "{}", mails[0]);
}

#[tokio::test]
async fn what_breaks_before_the_mail_is_asked_for_is_deferred() {
    for step in BEFORE_THE_MAIL.into_iter().chain(ABOUT_THE_MAIL) {
        for does in [
            Does::Hangs,
            Does::Closes,
            Does::Trickles,
            Does::Floods,
            Does::Says("HTTP/1.1 400 Bad Request\r\n"),
            Does::Says("\u{0}\u{1}\u{2}\r\n"),
            Does::Says("250-one\r\n550 two\r\n"),
            Does::Says("250 ok\r\n250 ok\r\n354 ok\r\n250 ok\r\n250 ok\r\n"),
        ] {
            assert_eq!(fate(step, does).await, Deferred, "{step}, {does:?}");
        }
        if step != "DATA" {
            let does = Does::Says("354 not yet\r\n250 ok\r\n");
            assert_eq!(fate(step, does).await, Deferred, "{step}, {does:?}");
        }
    }
}

#[tokio::test]
async fn a_flood_is_not_listened_to_until_the_time_is_over() {
    for (step, fate) in BEFORE_THE_MAIL
        .into_iter()
        .chain(ABOUT_THE_MAIL)
        .map(|step| (step, Deferred))
        .chain([(".", Uncertain)])
    {
        let sink = Sink::clear(move |_, at| (at == step).then_some(Does::Floods));
        let courier = courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE);
        let tried = courier.deliver(&order("olena@client.example")).await;
        let detail = tried.detail.unwrap();
        assert_eq!(tried.fate, fate, "{step}: {detail}");
        assert!(detail.contains("a reply without end"), "{step}: {detail}");
    }
}

#[tokio::test]
async fn a_mail_is_only_said_to_a_server_that_asks_for_it() {
    let (tried, sink) = tried("DATA", Does::Says("250 fine, but not 354\r\n")).await;
    assert_eq!((tried.fate, sink.mails().len()), (Deferred, 0), "{:?}", tried.detail);
}

#[tokio::test]
async fn what_breaks_after_the_mail_was_asked_for_is_uncertain() {
    for does in [Does::Closes, Does::Hangs, Does::Trickles] {
        let (tried, sink) = tried("mail", does).await;
        assert_eq!(tried.fate, Uncertain, "{does:?}: {:?}", tried.detail);
        assert!(sink.mails().is_empty(), "{does:?}");
    }
    for does in [
        Does::Hangs,
        Does::Closes,
        Does::Trickles,
        Does::Floods,
        Does::Says("HTTP/1.1 400 Bad Request\r\n"),
        Does::Says("354 more\r\n"),
        Does::Says("250-one\r\n550 two\r\n"),
    ] {
        let (tried, sink) = tried(".", does).await;
        assert_eq!(tried.fate, Uncertain, "{does:?}");
        assert!(tried.message_id.is_some());
        assert_eq!(sink.mails().len(), 1, "{does:?}: it was all said, and said once");
    }
}

#[tokio::test]
async fn a_refusal_for_now_is_deferred_wherever_it_comes() {
    for step in BEFORE_THE_MAIL.into_iter().chain(ABOUT_THE_MAIL).chain(["."]) {
        let (tried, _) = tried(step, Does::Says("451-4.7.1 Greylisted,\r\n451 4.7.1 come again\r\n")).await;
        assert_eq!(tried.fate, Deferred, "{step}");
        let detail = tried.detail.unwrap();
        assert!(detail.contains("451 4.7.1 Greylisted, come again"), "{step}: {detail}");
    }
}

#[tokio::test]
async fn a_refusal_for_good_fails_when_it_is_about_the_mail_and_is_deferred_when_it_is_about_us() {
    let no = Does::Says("550 5.1.1 <olena@client.example>: no such person\r\n");
    for step in ABOUT_THE_MAIL.into_iter().chain(["."]) {
        let (tried, _) = tried(step, no).await;
        assert_eq!(tried.fate, Failed, "{step}");
        assert_eq!(tried.detail.as_deref(), Some("550 5.1.1 <olena@client.example>: no such person"));
    }
    for step in BEFORE_THE_MAIL {
        let (tried, _) = tried(step, Does::Says("554 5.7.1 your address is on a list\r\n")).await;
        assert_eq!(tried.fate, Deferred, "{step}");
        assert!(tried.detail.unwrap().ends_with("554 5.7.1 your address is on a list"), "{step}");
    }
    for code in ["530 5.7.0 log in first\r\n", "535 5.7.8 who?\r\n"] {
        assert_eq!(fate("MAIL", Does::Says(code)).await, Deferred, "{code}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_defers() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tried =
        courier(&format!("smtp+insecure://{nobody}"), AMPLE).deliver(&order("o@client.example")).await;
    assert_eq!(tried.fate, Deferred, "{:?}", tried.detail);
    assert!(tried.detail.unwrap().starts_with("while connecting: "));
}

#[tokio::test]
async fn what_can_never_be_a_mail_fails_without_asking_anybody() {
    let sink = Sink::clear(|_, _| None);
    let courier = courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE);
    let mut blank = order("olena@client.example");
    blank.text = " \r\n\t\u{0} ".to_owned();
    let mut endless = order("olena@client.example");
    endless.text = "a".repeat(2 * 1024 * 1024);
    for (order, why) in [
        (order("nobody"), "the client's address"),
        (order("a@b@c"), "the client's address"),
        (order("a>\r\nDATA\r\n@client.example"), "the client's address"),
        (blank, "empty"),
        (endless, "longer"),
    ] {
        let tried = courier.deliver(&order).await;
        assert_eq!(tried.fate, Failed);
        assert!(tried.detail.unwrap().contains(why), "{why}");
    }
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn an_address_that_is_not_ascii_needs_a_server_that_knows_it() {
    let sink = Sink::clear(|_, _| None);
    let url = format!("smtp+insecure://127.0.0.1:{}", sink.port);
    let tried = courier(&url, AMPLE).deliver(&order("олена@Приклад.укр")).await;
    assert_eq!(tried.fate, Sent, "{:?}", tried.detail);
    let lines = sink.lines();
    assert_eq!(lines[1], "MAIL FROM:<Help@desk.example> BODY=8BITMIME SMTPUTF8");
    assert_eq!(lines[2], "RCPT TO:<олена@xn--80aikifvh.xn--j1amh>");
    assert_eq!(fate_of_utf8_without().await, Failed);
}

async fn fate_of_utf8_without() -> ReplyFate {
    let sink = Sink::clear(|_, at| (at == "EHLO").then_some(Does::Says("250-old\r\n250 8BITMIME\r\n")));
    let courier = courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE);
    courier.deliver(&order("олена@приклад.укр")).await.fate
}
