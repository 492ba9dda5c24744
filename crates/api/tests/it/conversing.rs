//! Whose a conversation is, and whether it waits.

use timeline::Role;

use crate::house::{Answer, Person, missed};
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
