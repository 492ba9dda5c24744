//! Whose a conversation is, and whether it waits.

use std::sync::atomic::Ordering;

use contact::{Act, Actor, Deed, EventKey};
use timeline::act::{self, ActError, Refusal};
use timeline::{Arrival, Policy, Role};

use crate::house::{Answer, House, Person, missed, noon};
use crate::sqlite::{Real, real};

async fn missed_call() -> (Real, String) {
    let real = real().await;
    real.records(missed("CA1", Some("+380441234567"), 0)).await;
    let id = real.mia.get("/v1/conversations").await.items()[0]["id"].as_str().unwrap().to_owned();
    (real, format!("/v1/conversations/{id}"))
}

async fn assign(person: &Person, path: &str, to: &str) -> Answer {
    person.post(&format!("{path}/assign"), &format!(r#"{{"to":{to}}}"#)).await
}

#[tokio::test]
async fn who_has_a_conversation_keeps_it() {
    let (real, path) = missed_call().await;
    let (bo, ann) = (real.person("Bo", Role::Agent).await, real.person("Ann", Role::Agent).await);
    let claim = format!("{path}/claim");
    for _ in 0..2 {
        assert_eq!(bo.post(&claim, "").await.json()["assignee"], "Bo");
    }
    assert_eq!(ann.post(&claim, "").await.problem(), "409 Bo has this conversation already");
}

#[tokio::test]
async fn an_agent_gives_away_what_is_theirs_and_a_supervisor_anything() {
    let (real, path) = missed_call().await;
    let (bo, ann) = (real.person("Bo", Role::Agent).await, real.person("Ann", Role::Agent).await);
    let sue = real.person("Sue", Role::Supervisor).await;
    real.person("Rea", Role::Reader).await;
    let refused = "403 an agent gives away only what is theirs; this needs the role supervisor";
    assert_eq!(assign(&bo, &path, r#""Bo""#).await.problem(), refused, "nobody's is not Bo's");
    assert_eq!(bo.post(&format!("{path}/claim"), "").await.json()["assignee"], "Bo");
    assert_eq!(assign(&ann, &path, "null").await.problem(), refused);
    assert_eq!(assign(&bo, &path, r#""Ann""#).await.json()["assignee"], "Ann");
    assert_eq!(assign(&sue, &path, r#""Bo""#).await.json()["assignee"], "Bo");
    assert!(assign(&bo, &path, "null").await.json()["assignee"].is_null());
    for nobody in ["Bob", "Rea", ""] {
        let answer = assign(&sue, &path, &format!("{nobody:?}")).await;
        assert_eq!(answer.problem(), format!("400 [to] no agent has a token of the name `{nobody}`"));
    }
}

#[tokio::test]
async fn whose_a_conversation_is_counts_when_it_is_given_away_and_not_when_it_is_asked_again() {
    let house = House::new();
    house.records(missed("CA1", Some("+380441234567"), 0)).await;
    let (bo, ann) = (house.named("Bo", Role::Agent).await, house.named("Ann", Role::Agent).await);
    let id = bo.get("/v1/conversations").await.items()[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/conversations/{id}");
    bo.post(&format!("{path}/claim"), "").await;
    // The answer is lost, and nobody remembers it.
    house.store.forgets.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let (key, body) = ([("Idempotency-Key", "k")], r#"{"to":"Ann"}"#);
        let given = bo.send("POST", &format!("{path}/assign"), &key, body).await;
        assert_eq!(given.json()["assignee"], "Ann");
    }
    // Asked for while it was Bo's, done when it is Ann's.
    let conversation = id.parse().unwrap();
    let deed = Deed::Assign { conversation, from: Some("Bo".to_owned()), to: None };
    let key = EventKey { source: "desk/api".parse().unwrap(), id: "late".to_owned() };
    let event = act::event(key, Act { by: Actor::Agent("Bo".to_owned()), deed }, noon(60));
    let late = act::act(house.store.as_ref(), &Policy::default(), Arrival::new(event, noon(60))).await;
    assert!(matches!(late, Err(ActError::Refused(Refusal::Forbidden(_)))), "{late:?}");
    assert_eq!(ann.get(&path).await.json()["assignee"], "Ann");
}

#[tokio::test]
async fn a_conversation_is_resolved_with_its_callback_and_opened_again() {
    let (real, path) = missed_call().await;
    let bo = real.person("Bo", Role::Agent).await;
    let resolved = bo.post(&format!("{path}/resolve"), "").await.json();
    assert_eq!(resolved["status"], "resolved");
    assert!(resolved["callback"]["done_at"].is_string(), "{resolved}");
    let twice = bo.post(&format!("{path}/resolve"), "").await;
    assert_eq!(twice.problem(), "409 the conversation is resolved already");
    assert_eq!(bo.get("/v1/conversations?status=open").await.items().len(), 0);
    assert_eq!(bo.post(&format!("{path}/reopen"), "").await.json()["status"], "open");
    assert_eq!(bo.get("/v1/conversations?status=open").await.items().len(), 1);
}
