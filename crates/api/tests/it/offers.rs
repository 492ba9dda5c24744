//! What is offered to whom, accepted, declined, or answered too late.

use std::sync::atomic::Ordering;

use contact::{CallState, Content};
use serde_json::{Value, json};
use timeline::Role;

use crate::house::{Person, call};
use crate::live::{Listener, data, eventually};
use crate::sqlite::Real;
use crate::waiting::call_and_mail;

/// Ready for mails: described, available, and connected by the stream that is given.
async fn ready(real: &Real, name: &str) -> (Person, Listener) {
    let person = real.person(name, Role::Agent).await;
    let profile = json!({ "queues": ["mails"], "skills": ["writing"], "capacity": { "email": 5 } });
    person.send("PUT", "/v1/me", &[], &profile.to_string()).await;
    person.send("PUT", "/v1/me/presence", &[], r#"{"presence":"available"}"#).await;
    let listener = Listener::open(&person, "", &[]).await;
    eventually("connected", async || person.get("/v1/me").await.json()["connected"] == true).await;
    (person, listener)
}

async fn offers(person: &Person) -> Vec<Value> {
    person.get("/v1/reservations").await.items()
}

fn path(offer: &Value, what: &str) -> String {
    format!("/v1/reservations/{}/{what}", offer["id"].as_str().unwrap())
}

#[tokio::test]
async fn what_waits_is_offered_to_whoever_is_here_and_theirs_when_they_accept() {
    let (real, _) = call_and_mail().await;
    let (ann, mut listener) = ready(&real, "Ann").await;
    real.turns().await;
    let [offer] = offers(&ann).await.try_into().unwrap();
    assert_eq!(
        (&offer["state"], &offer["agent"], &offer["until"]),
        (&"pending".into(), &"Ann".into(), &"2026-11-21T12:01:20Z".into())
    );
    let told = data(&listener.next_of("reservation").await);
    assert_eq!(told["reservation"], offer, "who listens need not ask");
    assert_eq!(told["client"]["identifiers"][0]["value"], "olena@example.com");
    let conversation = &offer["conversation"];
    assert_eq!(conversation["offer"], json!({ "id": offer["id"], "agent": "Ann", "until": offer["until"] }));
    assert_eq!(ann.get("/v1/me").await.json()["load"], json!({ "email": 1 }), "an offer takes room");
    for _ in 0..2 {
        let accepted = ann.post(&path(&offer, "accept"), "").await.json();
        assert_eq!((&accepted["id"], &accepted["assignee"]), (&conversation["id"], &"Ann".into()));
        assert!(accepted["offer"].is_null() && accepted["rank"].is_null(), "{accepted}");
    }
    assert_eq!(offers(&ann).await.len(), 0);
    let told = data(&listener.next_of("reservation").await);
    assert_eq!(
        (&told["reservation"]["state"], &told["reservation"]["id"]),
        (&"accepted".into(), &offer["id"])
    );
    assert!(told["reservation"]["conversation"]["offer"].is_null(), "{told}");
}

#[tokio::test]
async fn a_screen_shows_offers_to_its_agent_and_not_to_others() {
    let (real, _) = call_and_mail().await;
    let (ann, _hers) = ready(&real, "Ann").await;
    let bea = real.person("Bea", Role::Agent).await;
    let mut screen = Listener::open(&ann, "?screen=true", &[]).await;
    let mut other = Listener::open(&bea, "?screen=true", &[]).await;
    let mut everything = Listener::open(&bea, "", &[]).await;
    real.turns().await;
    let [offer] = offers(&ann).await.try_into().unwrap();
    assert_eq!(data(&screen.next_of("reservation").await)["reservation"], offer);
    assert_eq!(data(&everything.next_of("reservation").await)["reservation"], offer);
    assert_eq!(ann.post(&path(&offer, "accept"), "").await.status, 200);
    // Of what follows the first offer she hears only this.
    let mut heard = Vec::new();
    while !heard.last().is_some_and(|message: &String| message.contains(r#""assignee":"Ann""#)) {
        heard.push(other.next().await);
    }
    assert!(heard.iter().all(|message| !message.contains("event: reservation")), "{heard:?}");
}

#[tokio::test]
async fn what_one_declines_is_offered_to_the_next_and_not_to_them_again() {
    let (real, _) = call_and_mail().await;
    let (ann, _hers) = ready(&real, "Ann").await;
    let (bea, _theirs) = ready(&real, "Bea").await;
    real.turns().await;
    let mut asked = offers(&ann).await;
    let (first, second) = if asked.is_empty() { (&bea, &ann) } else { (&ann, &bea) };
    asked.extend(offers(&bea).await);
    let [offer] = asked.try_into().unwrap();
    let foreign = second.post(&path(&offer, "decline"), "").await;
    assert_eq!(
        foreign.problem(),
        format!("404 you are offered nothing as {}", offer["id"].as_str().unwrap())
    );
    assert_eq!(first.post(&path(&offer, "decline"), "").await.status, 204);
    assert_eq!(first.post(&path(&offer, "decline"), "").await.problem(), "409 this offer is over");
    real.turns().await;
    assert_eq!(offers(first).await.len(), 0, "they rest from it");
    let [next] = offers(second).await.try_into().unwrap();
    assert_eq!(next["conversation"]["id"], offer["conversation"]["id"]);
    assert_eq!(second.post(&path(&next, "decline"), "").await.status, 204);
    real.clock.store(60 + 61, Ordering::Relaxed);
    real.turns().await;
    let again = [offers(first).await.len(), offers(second).await.len()];
    assert_eq!(again.iter().sum::<usize>(), 1, "a minute later one of them is asked once more");
}

#[tokio::test]
async fn an_answer_after_the_end_is_too_late_and_names_who_has_it() {
    let (real, bo) = call_and_mail().await;
    let (ann, _hers) = ready(&real, "Ann").await;
    real.turns().await;
    let [offer] = offers(&ann).await.try_into().unwrap();
    real.clock.store(80, Ordering::Relaxed);
    assert_eq!(offers(&ann).await.len(), 0, "nobody noticed its end yet, and yet it is over");
    let late = ann.post(&path(&offer, "accept"), "").await;
    assert_eq!(
        (late.problem(), &late.problem_json()["owner"]),
        ("409 this offer is over".to_owned(), &Value::Null)
    );
    assert_eq!(late.problem_json()["type"], "/problems/too-late");
    let claim = format!("/v1/conversations/{}/claim", offer["conversation"]["id"].as_str().unwrap());
    assert_eq!(bo.post(&claim, "").await.status, 200);
    let later = ann.post(&path(&offer, "accept"), "").await;
    assert_eq!(later.problem(), "409 Bo has this conversation already");
    assert_eq!(later.problem_json()["owner"], "Bo");
    assert_eq!(later.problem_json()["type"], "/problems/taken");
    let nothing = "/v1/reservations/rsv_00000000000000000000000000000000/accept";
    let missing = ann.post(nothing, "").await;
    assert_eq!(missing.problem(), "404 there is no reservation rsv_00000000000000000000000000000000");
}

#[tokio::test]
async fn what_is_being_offered_to_somebody_is_not_next_for_others() {
    let (real, bo) = call_and_mail().await;
    let (ann, _hers) = ready(&real, "Ann").await;
    real.turns().await;
    let [offer] = offers(&ann).await.try_into().unwrap();
    let taken = bo.post("/v1/me/next", "").await.json();
    assert_eq!(taken["conversation"]["channel"], "phone", "the mail is before it, and Ann is being asked");
    let mine = ann.post("/v1/me/next", "").await.json();
    assert_eq!(mine["conversation"]["id"], offer["conversation"]["id"], "whom it is offered to takes it");
    assert_eq!(offers(&ann).await.len(), 0, "and is asked no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_who_claim_and_accept_at_once_one_wins() {
    let (real, _) = call_and_mail().await;
    let (ann, _hers) = ready(&real, "Ann").await;
    real.turns().await;
    let [offer] = offers(&ann).await.try_into().unwrap();
    let claim = format!("/v1/conversations/{}/claim", offer["conversation"]["id"].as_str().unwrap());
    let accept = path(&offer, "accept");
    let mut people = vec![(ann, &accept)];
    for n in 0..99 {
        people.insert(n / 2, (real.person(&format!("Agent {n}"), Role::Agent).await, &claim));
    }
    let answers = futures::future::join_all(people.iter().map(|(person, path)| person.post(path, ""))).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let owner = won[0].json()["assignee"].clone();
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.status.as_u16(), &answer.problem_json()["owner"]), (409, &owner));
    }
}

#[tokio::test]
async fn a_call_that_rings_shows_its_agent_everything_about_the_client() {
    let (real, bo) = call_and_mail().await;
    let profile = json!({ "extensions": ["101"] });
    bo.send("PUT", "/v1/me", &[], &profile.to_string()).await;
    let mut listener = Listener::open(&bo, "", &[]).await;
    let mut rings = call("CA2", Some("+380441234567"), CallState::Ringing, 90);
    if let Content::Call(change) = &mut rings.content {
        change.extension = Some("101".to_owned());
    }
    real.clock.store(90, Ordering::Relaxed);
    real.records(vec![rings]).await;
    let told = data(&listener.next_of("entry").await);
    assert_eq!(told["rings"], json!(["Bo"]));
    assert_eq!(told["entry"]["content"]["state"], "ringing");
    let client = told["client"]["client"]["id"].as_str().unwrap();
    let card = bo.get(&format!("/v1/clients/{client}/card")).await.json();
    assert_eq!(told["client"], card, "as who asks for the card gets it");
    assert_eq!(card["conversations"][0]["callback"]["missed"], 1);
    assert_eq!(card["promise"]["kind"], "callback");
    assert_eq!(card["last_contacts"]["phone"]["id"], told["entry"]["id"]);
    real.records(vec![call("CA2", Some("+380441234567"), CallState::Ended, 100)]).await;
    let over = data(&listener.next_of("entry").await);
    assert_eq!((&over["rings"], &over["client"]["id"]), (&json!([]), &client.into()), "it rings no more");
}
