//! A made hour with known numbers, read from SQLite.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use timeline::{Policy, Role};

use crate::house::{House, missed, noon};
use crate::sqlite::{Real, with};
use crate::written::mail;

/// Ten minutes for everybody's first answer; gold clients have a queue of their own, with a name that a
/// spreadsheet would take for a formula.
fn policy() -> Policy {
    let config = json!({
        "otherwise": { "promises": { "first_response": { "within_s": 600 }, "callback": { "within_s": 600 } } },
        "rules": { "gold": { "when": "client.segment == 'gold'", "queue": "gold" } },
    });
    let calendars = routing::calendar::Calendars::default();
    let rules = routing::rules::Rules::compile(&serde_json::from_value(config).unwrap(), &calendars).unwrap();
    Policy { rules, ..Policy::default() }
}

async fn at(real: &Real, seconds: i64) {
    real.clock.store(seconds, Ordering::Relaxed);
    real.turns().await;
}

async fn answer(real: &Real, from: &str) {
    let found = real.mia.get("/v1/conversations").await.items();
    let theirs = found.iter().find(|row| row["last_entry"]["content"]["from"]["value"] == from);
    let id = theirs.unwrap_or_else(|| panic!("{found:?}"))["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}/replies");
    assert_eq!(real.mia.post(&path, r#"{"text":"Yes"}"#).await.status, 202);
}

/// Noon: three mails and a missed call; one mail is answered in time, one late, one not at all.
async fn hour() -> Real {
    let real = with(policy()).await;
    let gold = r#"{"segment":"gold","identifiers":[{"kind":"email","value":"one@example.com"}]}"#;
    real.mia.send("PUT", "/v1/clients/by-external-id/crm/1", &[], gold).await.json();
    let odd = r#"{"segment":"=cmd()","identifiers":[{"kind":"email","value":"two@example.com"}]}"#;
    real.mia.send("PUT", "/v1/clients/by-external-id/crm/2", &[], odd).await.json();
    for (nth, at) in [("one", 0), ("two", 60), ("three", 120)] {
        real.records(vec![mail(nth, &format!("{nth}@example.com"), at, Vec::new())]).await;
    }
    real.records(missed("CA1", Some("+380441234567"), 300)).await;
    at(&real, 240).await;
    answer(&real, "one@example.com").await;
    at(&real, 960).await;
    answer(&real, "two@example.com").await;
    at(&real, 1_800).await;
    real
}

async fn figures(real: &Real, path: &str) -> Vec<Value> {
    real.mia.get(&format!("/v1/stats/{path}")).await.items()
}

#[tokio::test]
async fn a_made_hour_has_its_numbers() {
    let real = hour().await;
    // Answered after 240 s and 900 s; the third and the call are not, and are too late by now.
    let level = &figures(&real, "service-level").await[0];
    let counted = json!({
        "key": null, "offered": 4, "within": 1, "late": 3, "waiting": 0, "abandoned": 0, "level": 0.25,
    });
    assert_eq!(level, &counted);
    let longer = &figures(&real, "service-level?within_s=900").await[0];
    assert_eq!((&longer["within"], &longer["late"], &longer["level"]), (&json!(2), &json!(2), &json!(0.5)));
    let response = &figures(&real, "response").await[0];
    let spread = json!({ "p50_s": 240, "p90_s": 900, "p95_s": 900, "max_s": 900 });
    let counted = json!({ "key": null, "count": 2, "first_response": spread, "wait": spread });
    assert_eq!(response, &counted);
    let waiting = &figures(&real, "waiting").await[0];
    let counted =
        json!({ "key": null, "count": 2, "oldest_since": noon(120).to_string(), "oldest_s": 1_680 });
    assert_eq!(waiting, &counted);
    let calls = &figures(&real, "calls").await[0];
    let counted = json!({
        "key": null, "inbound": 1, "answered": 0, "missed": 1, "called_back": 0, "callback_open": 1, "callback_given_up": 0,
    });
    assert_eq!(calls, &counted);
    let promises = figures(&real, "promises").await;
    let first = json!({
        "key": null, "kind": "first_response", "kept": 1, "late": 1, "breached_open": 2, "running": 0,
        "withdrawn": 0, "kept_share": 0.25,
    });
    assert_eq!((promises.len(), &promises[0]), (3, &first));
    assert_eq!((&promises[2]["kind"], &promises[2]["breached_open"]), (&json!("callback"), &json!(1)));
    assert_eq!(promises[1]["kept_share"], Value::Null, "a share of nothing is nothing");
}

#[tokio::test]
async fn figures_are_told_apart_by_every_key() {
    let real = hour().await;
    for (by, keys) in [
        ("queue", json!([["default", 3], ["gold", 1]])),
        ("channel", json!([["email", 3], ["phone", 1]])),
        ("agent", json!([[null, 2], ["Mia", 2]])),
        ("segment", json!([[null, 2], ["=cmd()", 1], ["gold", 1]])),
        ("hour", json!([["2026-11-21T12:00:00Z", 4]])),
    ] {
        let told = real.mia.get(&format!("/v1/stats/service-level?by={by}")).await.json();
        let items = told["items"].as_array().unwrap().iter();
        let told_apart: Vec<Value> = items.map(|item| json!([item["key"], item["offered"]])).collect();
        assert_eq!((&told["by"], json!(told_apart)), (&json!(by), keys), "{by}");
        assert!(told["formula"].as_str().unwrap().starts_with("within / (offered - abandoned - waiting)"));
        for other in ["waiting", "response", "calls", "promises"] {
            assert!(!figures(&real, &format!("{other}?by={by}")).await.is_empty(), "{other} by {by}");
        }
    }
}

#[tokio::test]
async fn a_span_leaves_out_what_is_not_of_it_and_an_empty_one_has_one_item() {
    let real = hour().await;
    let of = async |from: i64, to: i64| {
        let path = format!("response?from={}&to={}", noon(from), noon(to));
        figures(&real, &path).await[0]["count"].clone()
    };
    assert_eq!((of(0, 60).await, of(60, 61).await, of(0, 61).await), (json!(1), json!(1), json!(2)));
    let none = figures(&real, "response?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z").await;
    let spread = json!({ "p50_s": null, "p90_s": null, "p95_s": null, "max_s": null });
    assert_eq!(none, [json!({ "key": null, "count": 0, "first_response": spread, "wait": spread })]);
    let past = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    assert_eq!(figures(&real, &format!("service-level?{past}")).await[0]["level"], Value::Null);
    assert_eq!(figures(&real, &format!("calls?by=queue&{past}")).await, [] as [Value; 0]);
    assert_eq!(figures(&real, &format!("waiting?{past}")).await[0]["count"], 0);
}

#[tokio::test]
async fn figures_are_a_table_too_that_no_spreadsheet_runs() {
    let real = hour().await;
    let path = "/v1/stats/service-level?by=segment";
    let by_header = real.mia.send("GET", path, &[("Accept", "text/csv;q=0.9, */*;q=0.1")], "").await;
    assert_eq!(by_header.header("content-type"), "text/csv; charset=utf-8; header=present");
    let table = "key,offered,within,late,waiting,abandoned,level\r\n,2,0,2,0,0,0\r\n'=cmd(),1,0,1,0,0,0\r\n\
                 gold,1,1,0,0,0,1\r\n";
    assert_eq!(by_header.text(), table);
    assert_eq!(real.mia.get(&format!("{path}&format=csv")).await.text(), table);
    let json = real.mia.send("GET", &format!("{path}&format=json"), &[("Accept", "text/csv")], "").await;
    assert_eq!(json.json()["items"].as_array().unwrap().len(), 3);
    for (path, columns) in [("waiting", 4), ("response", 10), ("calls", 7), ("promises", 8)] {
        let table = real.mia.get(&format!("/v1/stats/{path}?format=csv")).await;
        assert!(table.text().lines().all(|line| line.split(',').count() == columns), "{}", table.text());
        assert!(table.text().lines().count() > 1, "{}", table.text());
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_by_its_parameter() {
    let real = with(policy()).await;
    for (query, said) in [
        ("response?by=colour", "400 [by] `colour` tells nothing apart"),
        ("response?from=yesterday", "400 [from] "),
        ("response?from=1969-12-31T23:59:59Z", "400 [from] nothing was recorded before 1970"),
        ("calls?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z", "400 [to] it is not after `from`"),
        ("waiting?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "400 [to] it is not after `from`"),
        ("promises?from=2026-01-01T00:00:00Z&to=2026-04-04T00:00:00Z", "400 [to] it is more than 92 days"),
        ("service-level?within_s=0", "400 [within_s] it is 1 to"),
        ("service-level?within_s=2592001", "400 [within_s] it is 1 to"),
        ("response?within_s=5", "400 [within_s] this path does not know"),
        ("calls?format=xml", "400 [format] `xml` is neither json nor csv"),
    ] {
        let problem = real.mia.get(&format!("/v1/stats/{query}")).await.problem();
        assert!(problem.starts_with(said), "{problem}: {said}");
    }
    // What ends nowhere near anything is asked for and found empty.
    let far = "calls?from=9999-12-30T00:00:00Z&to=9999-12-30T12:00:00Z";
    assert_eq!(figures(&real, far).await[0]["inbound"], 0);
}

#[tokio::test(start_paused = true)]
async fn many_consoles_that_look_at_once_cost_one_reading() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    let read = || house.store.figures_read.load(Ordering::Relaxed);
    let look = async |path: &str| {
        let asked = (0..200).map(|_| mia.get(path));
        assert!(futures::future::join_all(asked).await.iter().all(|answer| answer.status == 200));
    };
    look("/v1/stats/response?by=queue").await;
    look("/v1/stats/service-level?by=hour").await;
    assert_eq!(read(), 1, "they are made of the same");
    look("/v1/stats/waiting").await;
    assert_eq!(read(), 2, "and this of something else");
    tokio::time::advance(Duration::from_millis(1_900)).await;
    look("/v1/stats/promises").await;
    assert_eq!(read(), 2);
    tokio::time::advance(Duration::from_millis(200)).await;
    look("/v1/stats/promises").await;
    assert_eq!(read(), 3);
    look("/v1/stats/promises?from=2026-11-20T00:00:00Z").await;
    assert_eq!(read(), 4, "another span is another reading");
}
