//! What arrived can be read back byte for byte, small or large, whatever was killed in between.

use reqwest::Method;
use serde_json::Value;
use tests::agent::ARRIVAL;
use tests::wait::PATIENCE;
use tests::wait::when;
use tests::{Agent, Call, Database, Nats, Pbx, Setup, eventually, over_both_stores};

over_both_stores!(what_arrived_is_kept_byte_for_byte);

async fn what_arrived_is_kept_byte_for_byte(database: Database) {
    let mut nats = Nats::start().await;
    let mut app = Setup::up().line().on(&database).beside(&nats).start().await;
    let (pbx, agent) = (app.pbx(), app.agent("reader").await);
    // The last small one, the first large one, and one far beyond what the bus carries.
    let sizes = [100, 32 * 1024, 32 * 1024 + 1, 900_000];
    let mut sent = Vec::new();
    for (nth, size) in sizes.into_iter().enumerate() {
        sent.push((Call::nth(nth), post(&pbx, &Call::nth(nth), size).await));
    }
    // The broker is away, and then the process is: the large ones have only their spill files.
    nats.kill9().await;
    for (nth, size) in sizes.into_iter().enumerate() {
        sent.push((Call::nth(10 + nth), post(&pbx, &Call::nth(10 + nth), size).await));
    }
    app.kill9().await;
    nats.up().await;
    app.again().await;
    for (call, body) in &sent {
        assert!(raw(&agent, call).await == *body, "the raw of {} of {} bytes", call.id, body.len());
    }
    eventually("the journal is empty", ARRIVAL, async || {
        let left = app.metric("frontdesk_journal_records_unretired", "contacts").await;
        when(left == Some(0.0), left)
    })
    .await;
    app.stop().await;
}

/// Tells of a call in a body of so many bytes, and gives the body.
async fn post(pbx: &Pbx, call: &Call, size: usize) -> Vec<u8> {
    let mut fields: Vec<_> =
        call.ringing().into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
    let mut form = Vec::new();
    for (name, value) in &fields {
        let value = String::from_utf8_lossy(value).replace('+', "%2B").replace(' ', "+");
        form.extend_from_slice(name);
        form.extend_from_slice(format!("={value}&").as_bytes());
    }
    let pad = size.saturating_sub(form.len() + 4);
    form.extend_from_slice(b"Pad=");
    form.extend(std::iter::repeat_n(b'p', pad));
    fields.push((b"Pad".to_vec(), vec![b'p'; pad]));
    let answer = pbx.send_form(form.clone(), &fields).await;
    assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap_or_default());
    form
}

/// The raw of a call's one event, as soon as it is recorded.
async fn raw(agent: &Agent, call: &Call) -> Vec<u8> {
    let id = eventually("the call is recorded", PATIENCE, async || {
        let all = agent.all("/v1/contacts").await?;
        let one = all.into_iter().find(|one| one["content"]["call_id"] == *call.id);
        one.and_then(|one| one["id"].as_str().map(str::to_owned)).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    let contact = agent.get(&format!("/v1/contacts/{id}")).await;
    let href = contact["events"][0]["event"]["data"]["raw"]["href"].as_str();
    let href = href.or_else(|| contact.pointer("/events/0/data/raw/href").and_then(Value::as_str));
    let href = href.unwrap_or_else(|| panic!("no link to the raw: {contact}"));
    let answer = agent.try_ask(Method::GET, href).await.expect("no answer");
    assert_eq!(answer.status(), 200, "{href}");
    answer.bytes().await.expect("half an answer").to_vec()
}
