//! What agents do stands in the log once, on the timeline, and before everybody's eyes.

use std::sync::atomic::Ordering;

use timeline::Role;

use crate::house::{House, missed};
use crate::live::Listener;
use crate::sqlite::{Real, real};
use crate::written::{ADDRESS, line, mail};

const OLENA: &str = "+380441234567";

/// A missed call of Olena's, her id, and the id of her conversation.
async fn called() -> (Real, String, String) {
    let real = real().await;
    real.records(missed("CA1", Some(OLENA), 0)).await;
    let conversation = real.mia.get("/v1/conversations").await.items()[0].clone();
    let id = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (real, id(&conversation["client"]["id"]), id(&conversation["id"]))
}

#[tokio::test]
async fn a_note_stands_on_the_timeline_and_everybody_sees_it_come() {
    let (real, client, conversation) = called().await;
    let bo = real.person("Bo", Role::Agent).await;
    // Who only reads is not connected by it, which would be an act too.
    let mut listener = Listener::open(&real.person("Rea", Role::Reader).await, "", &[]).await;
    real.clock.store(60, Ordering::Relaxed);
    let body =
        format!(r#"{{"text":"Call after six.\r\n\u0007Not before.","conversation":"{conversation}"}}"#);
    let noted = bo.post(&format!("/v1/clients/{client}/notes"), &body).await;
    assert_eq!(noted.status, 201);
    insta::assert_json_snapshot!(noted.json());
    let timeline = real.mia.get(&format!("/v1/clients/{client}/timeline")).await.items();
    assert_eq!((timeline.len(), &timeline[0]), (2, &noted.json()));
    let told = listener.next_of("entry").await;
    assert!(told.contains(&format!(r#"{{"entry":{{"id":{},"kind":"note","#, noted.json()["id"])), "{told}");
    let head = real.store.feed_head().await.unwrap();
    assert_eq!(*real.desk.acted.lock().unwrap(), [head]);
}

#[tokio::test]
async fn a_note_about_one_client_is_not_shown_in_the_conversation_of_another() {
    let (real, client, conversation) = called().await;
    real.records(missed("CA2", Some("+380671112233"), 0)).await;
    let clients = real.mia.get("/v1/clients").await.items();
    let other = clients.iter().find(|row| row["id"] != client.as_str()).unwrap()["id"].clone();
    let path = format!("/v1/clients/{}/notes", other.as_str().unwrap());
    let body = format!(r#"{{"text":"Owes us money.","conversation":"{conversation}"}}"#);
    assert_eq!(real.person("Bo", Role::Agent).await.post(&path, &body).await.status, 409);
    let shown = real.mia.get(&format!("/v1/conversations/{conversation}/timeline")).await.items();
    assert_eq!(shown.len(), 1, "{shown:?}");
}

#[tokio::test]
async fn a_client_is_called_and_reached_as_they_say() {
    let (real, client, _) = called().await;
    let (bo, path) = (real.person("Bo", Role::Agent).await, format!("/v1/clients/{client}"));
    let body = r#"{"name":" Олена\nКоваль ","permissions":{"email":"deny","phone":"allow"}}"#;
    let changed = bo.send("PATCH", &path, &[], body).await;
    insta::assert_json_snapshot!(changed.json());
    assert_eq!(bo.get(&path).await.json(), changed.json());
    let again = bo.send("PATCH", &path, &[], r#"{"permissions":{"email":"allow"}}"#).await.json();
    assert_eq!(again["name"], "Олена Коваль", "what is not given stays");
    assert_eq!(again["permissions"], serde_json::json!({ "email": "allow", "phone": "allow" }));
    for forgets in [r#"{"name":null}"#, r#"{"name":""}"#] {
        bo.send("PATCH", &path, &[], r#"{"name":"Olena"}"#).await;
        assert!(bo.send("PATCH", &path, &[], forgets).await.json()["name"].is_null(), "{forgets}");
    }
}

#[tokio::test]
async fn an_answer_waits_to_be_brought_and_takes_what_nobody_has() {
    let real = real().await;
    real.records(vec![mail("m1", ADDRESS, 0, Vec::new())]).await;
    let bo = real.person("Bo", Role::Agent).await;
    let conversation = bo.get("/v1/conversations").await.items()[0].clone();
    let path = format!("/v1/conversations/{}", conversation["id"].as_str().unwrap());
    real.clock.store(30, Ordering::Relaxed);
    let accepted = bo.post(&format!("{path}/replies"), r#"{"text":"Yes.\n\u0000Until four."}"#).await;
    assert_eq!((accepted.status.as_u16(), &accepted.json()["state"]), (202, &"queued".into()));
    let due = real.store.due_replies(crate::house::noon(30), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].id.to_string().as_str(), due[0].order.text.as_str()),
        (accepted.json()["entry"].as_str().unwrap(), "Yes.\nUntil four.")
    );
    let now = bo.get(&path).await.json();
    assert_eq!((&now["assignee"], &now["status"]), (&"Bo".into(), &"pending".into()));
    insta::assert_json_snapshot!(now["last_entry"]);
    let client = now["client"]["id"].as_str().unwrap();
    let timeline = bo.get(&format!("/v1/clients/{client}/timeline")).await.items();
    assert_eq!((timeline.len(), &timeline[0]), (2, &now["last_entry"]));
}

#[tokio::test]
async fn an_answer_in_a_chat_is_its_next_line() {
    let real = real().await;
    real.records(vec![line("l1", ADDRESS, 0)]).await;
    let chat = real.mia.get("/v1/conversations?channel=chat").await.items()[0].clone();
    let path = format!("/v1/conversations/{}", chat["id"].as_str().unwrap());
    assert_eq!(real.mia.post(&format!("{path}/replies"), r#"{"text":"Hello!"}"#).await.status, 202);
    let last = real.mia.get(&path).await.json()["last_entry"].clone();
    assert_eq!(
        (&last["channel"], &last["kind"], &last["agent"]),
        (&"chat".into(), &"reply".into(), &"Mia".into())
    );
    assert_eq!((&last["content"]["seq"], &chat["last_entry"]["content"]["seq"]), (&2.into(), &1.into()));
}

#[tokio::test]
async fn nothing_is_written_to_where_nobody_can_or_may_be_answered() {
    let (real, _, by_phone) = called().await;
    real.records(vec![mail("m1", ADDRESS, 0, Vec::new())]).await;
    let bo = real.person("Bo", Role::Agent).await;
    let written = bo.get("/v1/conversations?channel=email").await.items()[0].clone();
    let path = format!("/v1/conversations/{}/replies", written["id"].as_str().unwrap());
    let to_a_caller = bo.post(&format!("/v1/conversations/{by_phone}/replies"), r#"{"text":"Hi"}"#).await;
    assert_eq!(
        to_a_caller.problem(),
        "409 nobody can be answered in writing here: call the client, or write to them where they wrote"
    );
    assert_eq!(to_a_caller.problem_json()["type"], "/problems/no-way");
    real.desk.mute.store(true, Ordering::Relaxed);
    let mute = bo.post(&path, r#"{"text":"Hi"}"#).await;
    assert_eq!(mute.problem(), "409 email/support has no way to send");
    assert_eq!(mute.problem_json()["type"], "/problems/no-way");
    real.desk.mute.store(false, Ordering::Relaxed);
    let client = format!("/v1/clients/{}", written["client"]["id"].as_str().unwrap());
    bo.send("PATCH", &client, &[], r#"{"permissions":{"email":"deny"}}"#).await;
    let unwanted = bo.post(&path, r#"{"text":"Hi"}"#).await;
    insta::assert_json_snapshot!(unwanted.problem_json());
    assert_eq!(unwanted.status, 403);
    assert_eq!(real.store.due_replies(crate::house::noon(3_600), 10).await.unwrap(), []);
    bo.send("PATCH", &client, &[], r#"{"permissions":{"email":"allow"}}"#).await;
    assert_eq!(bo.post(&path, r#"{"text":"Hi"}"#).await.status, 202);
}

#[tokio::test]
async fn the_longest_text_is_taken_however_it_is_escaped() {
    let (real, client, _) = called().await;
    let path = format!("/v1/clients/{client}/notes");
    let body = format!(r#"{{"text":"{}"}}"#, r"\ud83d\ude42".repeat(20_000));
    let noted = real.mia.post(&path, &body).await;
    assert_eq!(noted.json()["content"]["text"].as_str().unwrap().chars().count(), 20_000);
}

#[tokio::test]
async fn an_act_is_done_once_though_its_answer_was_lost() {
    let house = House::new();
    house.records(missed("CA1", Some(OLENA), 0)).await;
    let mia = house.person(Role::Agent).await;
    let client = mia.get("/v1/clients").await.items()[0]["id"].as_str().unwrap().to_owned();
    let (path, key) = (format!("/v1/clients/{client}/notes"), [("Idempotency-Key", "k")]);
    house.store.forgets.store(true, Ordering::Relaxed);
    let first = mia.send("POST", &path, &key, r#"{"text":"Once."}"#).await;
    house.clock.store(300, Ordering::Relaxed);
    let again = mia.send("POST", &path, &key, r#"{"text":"Once."}"#).await;
    assert_eq!((first.status.as_u16(), again.header("idempotency-replayed")), (201, ""), "it was forgotten");
    assert_eq!(again.json(), first.json());
    assert_eq!(mia.get(&format!("/v1/clients/{client}/timeline")).await.items().len(), 2);
    house.store.forgets.store(false, Ordering::Relaxed);
    mia.send("POST", &path, &key, r#"{"text":"Once."}"#).await;
    house.clock.store(24 * 3_600 + 301, Ordering::Relaxed);
    let next_day = mia.send("POST", &path, &key, r#"{"text":"Once."}"#).await;
    assert_ne!(next_day.json()["id"], first.json()["id"], "a day later the key is free");
    let bo = house.person(Role::Agent).await;
    bo.send("POST", &path, &key, r#"{"text":"Once."}"#).await;
    mia.post(&path, r#"{"text":"Once."}"#).await;
    mia.post(&path, r#"{"text":"Once."}"#).await;
    let all = mia.get(&format!("/v1/clients/{client}/timeline")).await.items();
    assert_eq!(all.len(), 6, "another caller, and no key, are other acts");
}
