//! The program with rules, and people who work there.

use std::fs;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::wait::{PATIENCE, when};
use tests::{Agent, App, Call, Database, Follower, Setup, eventually};

const RULES: &str = r#"
[routing.segments]
vip = 30

[routing.rules.vip-calls]
order = 1
when = "event.channel == 'phone' && client.segment == 'vip'"
queue = "key-accounts"
skills = ["contracts"]
promises.callback = { within_s = 3600 }

[routing.rules.calls]
order = 2
when = "event.channel == 'phone'"
promises.callback = { within_s = 5 }
"#;

/// A program with these rules and offers that stand for so long.
pub(crate) fn house(database: &Database, offer_s: u32) -> Setup {
    let setup = Setup::up().line().on(database);
    let file = setup.folder().join("routing.toml");
    fs::write(&file, RULES).expect("could not write the rules");
    setup
        .variable("FRONTDESK_CONFIG", file.to_str().expect("a path of letters"))
        .with("offers.offer_s.phone", offer_s)
        .with("offers.rest_s", 1)
        .with("offers.grace_s", 1)
        .with("offers.missed_offers", 1_000)
}

#[expect(clippy::disallowed_methods, reason = "who calls now is promised something from now on")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The `nth` call of a story, of a caller of its own, at this moment.
pub(crate) fn calls(nth: usize) -> Call {
    let began_s = now().duration_since(Call::epoch()).as_secs();
    Call { began_s, ..Call::nth(nth).from(&number(nth)) }
}

pub(crate) fn number(nth: usize) -> String {
    format!("+38050200{nth:04}")
}

/// Somebody who can take so many calls, and says that they are here.
pub(crate) async fn hire(app: &App, name: &str, queues: &[&str], skills: &[&str], at_once: u16) -> Agent {
    let agent = app.hired("agent", name).await;
    let profile =
        json!({ "queues": queues, "skills": skills, "capacity": { "phone": at_once }, "extensions": [name] });
    let (status, body) = agent.put("/v1/me", &profile).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = agent.put("/v1/me/presence", &json!({ "presence": "available" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    agent
}

/// Opens their console, and waits until it counts.
pub(crate) async fn console(agent: &Agent) -> Follower {
    let follower = agent.follow();
    eventually("the console counts", PATIENCE, async || {
        let me = agent.get("/v1/me").await;
        when(me["connected"] == true, me)
    })
    .await;
    follower
}

/// What they are asked right now.
pub(crate) async fn asked(agent: &Agent) -> Result<Vec<Value>, String> {
    let answer = agent.try_ask(Method::GET, "/v1/reservations").await.map_err(|error| error.to_string())?;
    let mut body: Value = answer.json().await.map_err(|error| error.to_string())?;
    match body["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Err(body.to_string()),
    }
}

pub(crate) async fn waiting(agent: &Agent, count: usize) -> Vec<Value> {
    eventually("they wait", PATIENCE, async || {
        let rows = agent.all("/v1/conversations?waiting=true").await?;
        if rows.len() == count { Ok(rows) } else { Err(json!(rows).to_string()) }
    })
    .await
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, and not {value}")).to_owned()
}

pub(crate) fn moment(value: &Value) -> Timestamp {
    text(value).parse().expect("a moment")
}

pub(crate) async fn replays(app: &App) {
    let check = app.setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
}
