//! One person over three doors.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::setup::MAILBOX;
use tests::wait::{PATIENCE, when};
use tests::{Agent, Call, Database, Setup, Visitor, eventually, over_both_stores};

const NUMBER: &str = "+380441234567";
const ADDRESS: &str = "olena@example.com";

over_both_stores!(
    who_is_signed_in_is_one_client,
    what_is_typed_is_a_candidate,
    an_answer_reaches_the_visitor
);

/// A mail from the address, as our own server passes it on.
fn mail(id: &str, subject: &str, proved: bool) -> String {
    let told = if proved {
        "Authentication-Results: mx.example.org; dmarc=pass header.from=example.com\r\n"
    } else {
        ""
    };
    format!(
        "{told}From: =?utf-8?B?0J7Qu9C10L3QsA==?= <{ADDRESS}>\r\nTo: help@example.org\r\nSubject: {subject}\r\n\
         Message-ID: <{id}@example.com>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nДобрий день\r\n"
    )
}

/// The clients there are, once there are so many.
async fn clients(agent: &Agent, count: usize) -> Vec<Value> {
    eventually("the clients are there", PATIENCE, async || {
        let found = agent.all("/v1/clients").await?;
        when(found.len() == count, json!(found)).map(|()| found)
    })
    .await
}

/// The client's timeline, newest first, once it has so many entries.
async fn timeline(agent: &Agent, client: &Value, count: usize) -> Vec<Value> {
    let path = format!("/v1/clients/{}/timeline", client["id"].as_str().expect("an id"));
    eventually("the timeline is whole", PATIENCE, async || {
        let entries = agent.all(&path).await?;
        when(entries.len() == count, json!(entries)).map(|()| entries)
    })
    .await
}

async fn who_is_signed_in_is_one_client(database: Database) {
    let mut app = Setup::up().line().widget().mailbox().on(&database).start().await;
    let agent = app.agent("supervisor").await;
    app.pbx().tells(&Call::nth(1).from(NUMBER).missed()).await;
    let told = app.setup.mail(MAILBOX, &mail("m1", "Order 17", true)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    clients(&agent, 2).await;

    let mut visitor =
        Visitor::signed(&app.url(), "user-17", json!({ "phone": NUMBER, "email": ADDRESS, "name": "Олена" }));
    visitor.connect().await;
    visitor.say("line-1", "Добрий день, де моє замовлення?").await;

    let found = clients(&agent, 1).await;
    let client = found.first().expect("one");
    let kinds: Vec<_> = client["identifiers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|held| (held["kind"].as_str().unwrap_or_default(), held["level"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(kinds, [("email", "proved"), ("phone", "proved"), ("visitor", "proved")], "{client}");
    let entries = timeline(&agent, client, 4 + 1).await;
    let contacts: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "contact").collect();
    let times: Vec<_> =
        contacts.iter().map(|entry| entry["occurred_at"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    let channels: Vec<_> =
        contacts.iter().map(|entry| entry["channel"].as_str().unwrap_or_default()).collect();
    assert_eq!(channels, ["chat", "email", "phone"]);
    app.stop().await;
}

async fn what_is_typed_is_a_candidate(database: Database) {
    let mut app = Setup::up().line().widget().mailbox().on(&database).start().await;
    let agent = app.agent("supervisor").await;
    let told = app.setup.mail(MAILBOX, &mail("m1", "Order 17", false)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    clients(&agent, 1).await;
    let mut visitor = Visitor::new(&app.url());
    visitor.connect().await;
    visitor.say("line-1", "Добрий день").await;
    visitor.identify(json!({ "email": ADDRESS })).await.expect("it is kept");

    let found = clients(&agent, 2).await;
    let chatter = found
        .iter()
        .find(|client| client["identifiers"][0]["kind"] == "visitor")
        .expect("a client of the chat");
    let path = format!("/v1/clients/{}/candidates", chatter["id"].as_str().expect("an id"));
    let candidates = eventually("there is a candidate", PATIENCE, async || {
        let found = agent.all(&path).await?;
        when(found.len() == 1, json!(found)).map(|()| found)
    })
    .await;
    assert_eq!(candidates[0]["identifier"]["value"], ADDRESS, "{candidates:?}");
    assert_eq!(agent.all("/v1/clients").await.map(|found| found.len()), Ok(2), "what is typed merges nobody");
    app.stop().await;
}

async fn an_answer_reaches_the_visitor(database: Database) {
    let mut app = Setup::up().line().widget().mailbox().on(&database).start().await;
    let agent = app.agent("agent").await;
    let mut visitor = Visitor::new(&app.url());
    visitor.connect().await;
    visitor.say("line-1", "Добрий день").await;
    let open = eventually("the chat waits", PATIENCE, async || {
        let open = agent.all("/v1/conversations?status=open").await?;
        when(open.len() == 1, json!(open)).map(|()| open)
    })
    .await;
    let id = open[0]["id"].as_str().expect("an id");
    let (status, body) =
        agent.post(&format!("/v1/conversations/{id}/replies"), &json!({ "text": "Вітаю!" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let line = visitor.hears("Вітаю!").await;
    assert_eq!((&line["from"], &line["name"], &line["seq"]), (&json!("agent"), &json!("tests"), &json!(2)));
    let path = format!("/v1/conversations/{id}");
    eventually("it is said to be sent", PATIENCE, async || {
        let conversation = agent.get(&path).await;
        let sent = conversation["last_entry"]["content"]["state"] == "sent";
        when(sent && conversation["assignee"] == "tests" && conversation["status"] == "pending", conversation)
    })
    .await;
    let (status, _) = agent.post(&format!("{path}/resolve"), &json!({})).await;
    assert!(status.is_success(), "{status}");
    visitor.say("line-2", "Дякую").await;
    eventually("a new matter is open", PATIENCE, async || {
        let open = agent.all("/v1/conversations?status=open").await?;
        when(open.len() == 1 && open[0]["id"] != id, json!(open))
    })
    .await;
    app.stop().await;
}
