//! What a visitor gets: every recorded line once, in order, on every connection.

use connector::{Live as _, Sign, Signal};
use contact::{EntryId, Order, ReplyFate};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::people::{Client, Server};
use crate::world::{Core, chat, config, pace, source, visitor};

fn numbered(from: i64, texts: &[&str]) -> Vec<(i64, String)> {
    (from..).zip(texts.iter().map(|text| (*text).to_owned())).collect()
}

#[tokio::test]
async fn every_tab_in_every_process_gets_every_line() {
    let core = Core::new();
    let (here, there) = (Server::start(&core).await, Server::start(&core).await);
    let (mut first, secret) = Client::welcomed(&here).await;
    let (mut second, _) = Client::back(&here, &secret, None).await;
    let (mut third, _) = Client::back(&there, &secret, None).await;
    let (mut stranger, _) = Client::welcomed(&there).await;
    first.line("m1", "hi").await;
    third.line("m2", "again").await;
    core.answer(&visitor(&secret), "hello");
    for client in [&mut first, &mut second, &mut third] {
        let mut lines = client.lines(3).await;
        assert_eq!(lines.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3]);
        lines.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["again", "hello", "hi"]);
    }
    stranger.hears_nothing().await;
}

#[tokio::test]
async fn a_line_says_whose_it_is() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    client.line("m1", "hi").await;
    let own = client.hear_of("message").await;
    assert_eq!((&own["id"], &own["from"], &own["name"]), (&json!("m1"), &json!("visitor"), &json!(null)));
    core.answer(&visitor(&secret), "hello");
    let answer = client.hear_of("message").await;
    assert_eq!(
        (&answer["id"], &answer["from"], &answer["name"]),
        (&json!("ent_2"), &json!("agent"), &json!("Mia"))
    );
    assert!(answer["at"].as_str().unwrap().ends_with('Z'));
    core.tell(Signal { visitor: visitor(&secret), what: Sign::Typing { agent: Some("Mia".into()) } });
    assert_eq!(client.hear().await, json!({"type": "typing", "name": "Mia"}));
}

#[tokio::test]
async fn who_comes_back_gets_what_they_have_missed() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (client, secret) = Client::welcomed(&server).await;
    drop(client);
    let texts: Vec<_> = (1..=130).map(|n| n.to_string()).collect();
    texts.iter().for_each(|text| core.append(&visitor(&secret), text));
    for (after, first) in [(Some(0), 1), (Some(17), 18), (Some(-5), 1)] {
        let (mut client, welcome) = Client::back(&server, &secret, after).await;
        assert_eq!(welcome["seq"], 130);
        let expected: Vec<_> = (first..=130).map(|n: i64| (n, n.to_string())).collect();
        assert_eq!(client.lines(expected.len()).await, expected);
        client.hears_nothing().await;
    }
    // Nothing is replayed for null, for the last one, and beyond it.
    for after in [None, Some(130), Some(1000)] {
        let (mut client, _) = Client::back(&server, &secret, after).await;
        client.hears_nothing().await;
        core.answer(&visitor(&secret), "news");
        let next = client.lines(1).await;
        assert_eq!(next[0].1, "news", "after {after:?}");
        core.forget_last(&visitor(&secret));
    }
}

#[tokio::test]
async fn lines_follow_an_outage_of_the_record_and_sending_goes_on_meanwhile() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    client.line("m1", "before").await;
    assert_eq!(client.lines(1).await, numbered(1, &["before"]));
    core.later(60);
    core.away(true);
    // One who was there, one who comes during it with what they have, and one without.
    let (mut resumed, welcome) = Client::back(&server, &secret, Some(1)).await;
    assert_eq!(welcome["seq"], json!(null));
    let (mut fresh, _) = Client::back(&server, &secret, None).await;
    client.line("m2", "during").await;
    assert_eq!(client.hear().await, json!({"type": "ack", "id": "m2"}));
    core.append(&visitor(&secret), "answer");
    core.away(false);
    for client in [&mut client, &mut resumed, &mut fresh] {
        assert_eq!(client.lines(2).await, numbered(2, &["during", "answer"]));
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn what_nobody_told_is_found_by_looking() {
    let core = Core::new();
    let pace = connector_chat::Pace { look: std::time::Duration::from_millis(20), ..pace() };
    let server = Server::with(&core, &config(), pace).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    core.append(&visitor(&secret), "quiet");
    assert_eq!(client.lines(1).await, numbered(1, &["quiet"]));
}

#[tokio::test]
async fn a_courier_tells_the_visitor_and_only_theirs() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (connector, _) = chat(&core, &config(), pace(), CancellationToken::new());
    let courier = connector.couriers.get(&source()).unwrap();
    let (mut client, secret) = Client::welcomed(&server).await;
    core.append(&visitor(&secret), "hello");
    let mut order = Order {
        reply: EntryId::from_uuid(Default::default()),
        attempt: 1,
        written_at: core.now(),
        to: visitor(&secret),
        name: None,
        agent: Some("Mia".into()),
        text: "hello".into(),
        thread: None,
        seq: Some(1),
    };
    assert_eq!(courier.deliver(&order).await.fate, ReplyFate::Sent);
    assert_eq!(core.told().pop(), Some(Signal { visitor: visitor(&secret), what: Sign::Lines }));
    assert_eq!(client.lines(1).await, numbered(1, &["hello"]));
    order.to = "shop:0000".into();
    let tried = courier.deliver(&order).await;
    assert!(tried.fate == ReplyFate::Failed && tried.detail.is_some());
}
