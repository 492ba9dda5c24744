//! How lines to a server are kept, replaced and bounded.

use std::time::Duration;

use connector::Courier as _;
use connector_email::MailCourier;
use contact::ReplyFate;

use crate::sink::{Does, Sink};
use crate::{AMPLE, courier, eventually, order, reply, smtp};

async fn two_answers(courier: &MailCourier) {
    for _ in 0..2 {
        let tried = courier.deliver(&order("olena@client.example")).await;
        assert_eq!(tried.fate, ReplyFate::Sent, "{:?}", tried.detail);
    }
}

fn to(sink: &Sink) -> MailCourier {
    courier(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE)
}

#[tokio::test]
async fn a_line_serves_one_answer_after_the_other() {
    let sink = Sink::clear(|_, _| None);
    two_answers(&to(&sink)).await;
    assert_eq!((sink.connections(), sink.mails().len()), (1, 2));
}

#[tokio::test]
async fn a_line_that_died_while_it_rested_is_replaced_and_does_not_count() {
    // Over; on its way out; had enough; not itself any more.
    let second_mail = [
        Does::Closes,
        Does::Says("421 4.4.2 idle for too long\r\n"),
        Does::Says("451 4.7.0 too many mails on this line\r\n"),
        Does::Says("550 5.7.0 too many mails on this line\r\n"),
        Does::Says("what?\r\n"),
    ];
    for does in second_mail {
        let announced = std::sync::atomic::AtomicUsize::new(0);
        let sink = Sink::clear(move |_, at| {
            let second = at == "MAIL" && announced.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
            second.then_some(does)
        });
        two_answers(&to(&sink)).await;
        assert_eq!((sink.connections(), sink.mails().len()), (2, 2), "{does:?}");
    }
}

#[tokio::test]
async fn a_line_is_not_used_again_after_its_time() {
    let sink = Sink::clear(|_, _| None);
    let mut smtp = smtp(&format!("smtp+insecure://127.0.0.1:{}", sink.port), AMPLE);
    smtp.limits.idle = Duration::ZERO;
    two_answers(&MailCourier::new(smtp).unwrap()).await;
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn a_line_on_which_something_was_refused_is_left_with_a_farewell() {
    let sink = Sink::clear(|number, at| (number == 1 && at == "RCPT").then_some(Does::Says("550 no\r\n")));
    let courier = to(&sink);
    assert_eq!(courier.deliver(&order("a@client.example")).await.fate, ReplyFate::Failed);
    assert_eq!(courier.deliver(&order("b@client.example")).await.fate, ReplyFate::Sent);
    assert_eq!(sink.connections(), 2);
    eventually("the farewell is heard", || sink.lines().contains(&"QUIT".to_owned())).await;
}

#[tokio::test]
async fn a_few_lines_serve_many_answers_at_once() {
    let sink = Sink::clear(|_, _| None);
    let courier = to(&sink);
    let orders: Vec<_> = (0..24)
        .map(|number| {
            let mut order = order("olena@client.example");
            order.reply = reply(number);
            order
        })
        .collect();
    for tried in futures::future::join_all(orders.iter().map(|order| courier.deliver(order))).await {
        assert_eq!(tried.fate, ReplyFate::Sent, "{:?}", tried.detail);
    }
    assert_eq!(sink.mails().len(), 24);
    assert_eq!(sink.most_open(), connector_email::courier::MOST_LINES);
}

#[tokio::test]
async fn every_try_sends_the_same_mail() {
    let sink = Sink::clear(|_, at| (at == ".").then_some(Does::Closes));
    let courier = to(&sink);
    let mut order = order("olena@client.example");
    let first = courier.deliver(&order).await;
    order.attempt = 2;
    let second = courier.deliver(&order).await;
    assert_eq!(first, second);
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0], mails[1]);
}
