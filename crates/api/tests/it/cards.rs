//! The card of a client, what they want, and what other systems know of them.

use serde_json::{Value, json};
use timeline::Role;

use crate::house::{Answer, Person, missed, noon};
use crate::sqlite::{Real, real};
use crate::written::{ADDRESS, line, mail};

const NUMBER: &str = "+380441234567";

async fn the_client(real: &Real) -> String {
    let clients = real.mia.get("/v1/clients").await.items();
    assert_eq!(clients.len(), 1, "{clients:?}");
    format!("/v1/clients/{}", clients[0]["id"].as_str().unwrap())
}

async fn change(person: &Person, path: &str, body: &Value) -> Answer {
    person.send("PATCH", path, &[], &body.to_string()).await
}

async fn introduce(person: &Person, id: &str, body: &Value) -> Answer {
    person.send("PUT", &format!("/v1/clients/by-external-id/{id}"), &[], &body.to_string()).await
}

#[tokio::test]
async fn a_card_says_what_one_must_know() {
    let real = real().await;
    real.records(missed("CA1", Some(NUMBER), 0)).await;
    let path = the_client(&real).await;
    let hours = json!({ "zone": "Europe/Kyiv", "from": "09:00", "to": "18:00" });
    let wishes = json!({
        "permissions": { "phone": "deny" }, "preferred_channel": "email", "language": "UK", "hours": hours,
    });
    let changed = change(&real.mia, &path, &wishes).await.json();
    assert_eq!((&changed["language"], &changed["hours"]), (&json!("uk"), &hours));
    let card = real.mia.get(&format!("{path}/card")).await.json();
    assert_eq!(card["client"], changed);
    assert_eq!(card["conversations"][0]["callback"]["missed"], 1);
    assert_eq!(card["last_contacts"]["phone"]["summary"], "Missed call, rang 21 s");
    assert_eq!(card["last_contacts"].as_object().unwrap().len(), 1);
    let denied = json!({ "permission": "deny", "by": "Mia", "at": noon(0).to_string() });
    let preferences = json!({
        "channels": { "phone": denied }, "preferred_channel": "email", "language": "uk", "hours": hours,
    });
    assert_eq!((&card["preferences"], &changed["preferences"]), (&preferences, &preferences));
    let rest = [&card["promise"], &card["owner"], &card["candidates"], &card["stage"]];
    assert_eq!(rest, [&Value::Null, &Value::Null, &json!(0), &json!("new")]);
    let forgets = json!({ "preferred_channel": null, "language": null, "hours": null });
    let forgotten = change(&real.mia, &path, &forgets).await.json();
    let fields = ["preferred_channel", "language", "hours"].map(|field| forgotten[field].is_null());
    assert_eq!(fields, [true; 3]);
    assert_eq!(forgotten["permissions"]["phone"], "deny", "what is not given stays");
    let nobody = real.mia.get("/v1/clients/cli_00000000000000000000000000000000/card").await;
    assert_eq!(nobody.problem(), "404 there is no client cli_00000000000000000000000000000000");
}

#[tokio::test]
async fn what_is_no_wish_is_told_by_its_field() {
    let real = real().await;
    real.records(missed("CA1", Some(NUMBER), 0)).await;
    let path = the_client(&real).await;
    let hours =
        |zone: &str, from: &str, to: &str| json!({ "hours": { "zone": zone, "from": from, "to": to } });
    for (body, said) in [
        (json!({}), "400 there is nothing to change"),
        (json!({ "preferred_channel": "desk" }), "400 [preferred_channel] nobody is reached by `desk`"),
        (json!({ "permissions": { "fax": "deny" } }), "400 [permissions.fax] nobody is reached by `fax`"),
        (json!({ "language": "українська" }), "400 [language] the JSON body is not as it should be"),
        (hours("Mars/Base", "09:00", "18:00"), "400 [hours.zone] `Mars/Base` is no time zone"),
        (hours("Europe/Kyiv", "9", "18:00"), "400 [hours.from] `9` is no time of day"),
        (hours("Europe/Kyiv", "09:00", "24:00"), "400 [hours.to] `24:00` is no time of day"),
        (hours("Europe/Kyiv", "09:00", "09:00"), "400 [hours.to] it is the same minute"),
        (json!({ "hours": { "zone": "Europe/Kyiv" } }), "400 [from] the JSON body is not as it should be"),
    ] {
        let problem = change(&real.mia, &path, &body).await.problem();
        assert!(problem.starts_with(said), "{problem}: {said}");
    }
}

#[tokio::test]
async fn a_call_is_not_promised_where_calls_are_denied() {
    let real = real().await;
    real.records(vec![line("l1", ADDRESS, 0)]).await;
    let path = the_client(&real).await;
    let talk = real.mia.get("/v1/conversations").await.items()[0]["id"].as_str().unwrap().to_owned();
    change(&real.mia, &path, &json!({ "permissions": { "phone": "deny" } })).await.json();
    let refused = real.mia.post(&format!("/v1/conversations/{talk}/callback"), "").await;
    assert_eq!(refused.status, 403);
    let problem = refused.problem_json();
    assert_eq!(problem["type"], "/problems/unwanted-by-client");
    assert_eq!(problem["detail"], "the client does not want to be reached by phone");
    change(&real.mia, &path, &json!({ "permissions": { "phone": "allow" } })).await.json();
    let owed = real.mia.post(&format!("/v1/conversations/{talk}/callback"), "").await.json();
    assert!(owed["callback"]["done_at"].is_null(), "{owed}");
}

#[tokio::test]
async fn another_systems_client_is_the_same_however_often_it_is_introduced() {
    let real = real().await;
    let sue = real.person("Sue", Role::Supervisor).await;
    let known = json!({
        "name": "Олена Коваль", "segment": "gold", "value": 12_500, "owner": "Mia", "language": "uk",
        "identifiers": [{ "kind": "phone", "value": "+380 44 123-45-67" }, { "kind": "email", "value": "Olena@Example.com" }],
    });
    let first = introduce(&sue, "crm/4711", &known).await.json();
    assert_eq!(
        (&first["segment"], &first["value"], &first["owner"]),
        (&json!("gold"), &json!(12_500), &json!("Mia"))
    );
    let proved = |kind: &str, value: &str| json!({ "kind": kind, "value": value, "level": "proved" });
    let mut identifiers = first["identifiers"].as_array().unwrap().clone();
    identifiers.sort_by_key(ToString::to_string);
    let theirs = [proved("email", ADDRESS), proved("external", "crm:4711"), proved("phone", NUMBER)];
    assert_eq!(identifiers, theirs);
    let again = introduce(&sue, "crm/4711", &json!({ "segment": "silver" })).await.json();
    assert_eq!(
        (&again["id"], &again["segment"], &again["name"]),
        (&first["id"], &json!("silver"), &first["name"])
    );
    real.records(missed("CA1", Some(NUMBER), 5)).await;
    the_client(&real).await;
    // Another id of another system is another client, unless a number says that it is not.
    let other = introduce(&sue, "shop/4711", &json!({})).await.json();
    assert_ne!(other["id"], first["id"]);
    let theirs = json!({ "identifiers": [{ "kind": "phone", "value": NUMBER }] });
    assert_eq!(introduce(&sue, "billing/1", &theirs).await.json()["id"], first["id"]);
}

#[tokio::test]
async fn an_introduced_number_of_a_caller_joins_that_caller_and_what_two_hold_nobody() {
    let real = real().await;
    real.records(missed("CA1", Some(NUMBER), 0)).await;
    let caller = the_client(&real).await;
    let numbers = json!({ "identifiers": [{ "kind": "phone", "value": NUMBER }] });
    let joined = introduce(&real.mia, "crm/1", &numbers).await.json();
    assert!(caller.ends_with(joined["id"].as_str().unwrap()), "{joined}");
    real.records(vec![mail("m1", ADDRESS, 60, Vec::new())]).await;
    let both = json!({ "identifiers": [{ "kind": "phone", "value": NUMBER }, { "kind": "email", "value": ADDRESS }] });
    let third = introduce(&real.mia, "crm/2", &both).await.json();
    assert_ne!(third["id"], joined["id"]);
    assert_eq!(real.mia.get("/v1/clients").await.items().len(), 3);
    let id = third["id"].as_str().unwrap();
    let candidates = real.mia.get(&format!("/v1/clients/{id}/candidates")).await.items();
    assert_eq!(candidates.len(), 2, "{candidates:?}");
    assert_eq!(real.mia.get(&format!("/v1/clients/{id}/card")).await.json()["candidates"], 2);
    assert_eq!(third["identifiers"].as_array().unwrap().len(), 1, "nothing is taken from anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_introductions_at_once_there_is_one_client() {
    let real = real().await;
    let asked = (0..20).map(|n| {
        let mia = real.mia.clone();
        async move { introduce(&mia, "crm/7", &json!({ "value": n })).await.json()["id"].clone() }
    });
    let ids = futures::future::join_all(asked).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    the_client(&real).await;
}

#[tokio::test]
async fn an_introduction_is_done_once_under_one_key_and_needs_a_supervisor() {
    let real = real().await;
    let send = async |person: &Person, body: &str| {
        person.send("PUT", "/v1/clients/by-external-id/crm/9", &[("Idempotency-Key", "k")], body).await
    };
    let first = send(&real.mia, r#"{"segment":"gold"}"#).await;
    introduce(&real.mia, "crm/9", &json!({ "segment": "silver" })).await.json();
    let again = send(&real.mia, r#"{"segment":"gold"}"#).await;
    assert_eq!((first.body, again.header("idempotency-replayed")), (again.body.clone(), "true"));
    let path = the_client(&real).await;
    assert_eq!(real.mia.get(&path).await.json()["segment"], "silver", "it was not done again");
    let bo = real.person("Bo", Role::Agent).await;
    assert_eq!(
        send(&bo, "{}").await.problem(),
        "403 this needs the role supervisor, and the token has agent"
    );
}

#[tokio::test]
async fn what_cannot_be_introduced_is_told_by_its_field() {
    let real = real().await;
    let phone = |value: &str| json!({ "identifiers": [{ "kind": "phone", "value": value }] });
    let many: Vec<_> = (0..21).map(|n| json!({ "kind": "email", "value": format!("a{n}@x.org") })).collect();
    for (id, body, said) in [
        ("CRM/1", json!({}), "400 [system] a system's name"),
        ("crm/%20", json!({}), "400 [id] an id is"),
        ("crm/1", phone("0441234567"), "400 [identifiers[0].value] this is no number with its country"),
        (
            "crm/1",
            json!({ "identifiers": [{ "kind": "fax", "value": "1" }] }),
            "400 [identifiers[0].kind] a system knows",
        ),
        (
            "crm/1",
            json!({ "identifiers": [{ "kind": "email", "value": "x" }] }),
            "400 [identifiers[0].value] this is no e-mail",
        ),
        ("crm/1", json!({ "identifiers": many }), "400 [identifiers] these are more than 20"),
        (
            "crm/1",
            json!({ "segment": "" }),
            "400 [segment] the JSON body is not as it should be: it is 1 to 100",
        ),
        ("crm/1", json!({ "owner": "x".repeat(101) }), "400 [owner] the JSON body"),
        ("crm/1", json!({ "value": 1.5 }), "400 [value] the JSON body"),
        ("crm/1", json!({ "language": "x" }), "400 [language] the JSON body"),
        ("crm/1", json!({ "stage": "lost" }), "400 [stage] the JSON body"),
    ] {
        let problem = introduce(&real.mia, id, &body).await.problem();
        assert!(problem.starts_with(said), "{problem}: {said}");
    }
    assert_eq!(real.mia.get("/v1/clients").await.items().len(), 0);
}
