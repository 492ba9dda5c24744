//! Who may do what.

use std::sync::atomic::Ordering;

use timeline::{Role, Store};

use crate::house::{House, letter, noon, suspect};

#[tokio::test]
async fn without_a_valid_token_nothing_is_told() {
    let house = House::new();
    let stranger = house.stranger();
    let none = stranger.get("/v1/clients").await;
    assert_eq!(none.problem(), "401 send one header `Authorization: Bearer` with your token");
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"frontdesk\"");
    let mia = house.person(Role::Reader).await;
    let secret = mia.secret.clone().unwrap();
    let in_url = stranger.get(&format!("/v1/clients?access_token={secret}")).await;
    assert_eq!(in_url.status, 401, "a token in a URL ends up in logs");
    let wrong = stranger.with_secret("fd_wrong").get("/v1/clients").await;
    assert_eq!(wrong.problem(), "401 the token is unknown or was revoked");
    for header in ["", "Bearer", "Bearer ", "Basic bWlhOm1pYQ==", "Bearer a b", "Bearer ä", "fd_x"] {
        let answer = stranger.send("GET", "/v1/clients", &[("Authorization", header)], "").await;
        assert_eq!(answer.status, 401, "{header:?}");
        assert!(answer.problem().starts_with("401 "), "{header:?}");
    }
    let twice = mia.send("GET", "/v1/clients", &[("Authorization", "Bearer fd_x")], "").await;
    assert_eq!(twice.status, 401, "two headers are one too many");
    let scheme = format!("bearer {secret}");
    let lower = stranger.send("GET", "/v1/clients", &[("Authorization", &scheme)], "").await;
    assert_eq!(lower.status, 200, "the scheme's case does not matter");
}

#[tokio::test]
async fn each_role_may_do_what_it_says() {
    let house = House::new();
    house.store.bury(&[letter(1), letter(2), letter(3)]).await.unwrap();
    let bounds = timeline::HoldBounds { per_source: 100, bytes_per_source: 1 << 20 };
    let held = [suspect("good 1"), suspect("good 2"), suspect("bad")];
    house.store.hold(&held, bounds).await.unwrap();
    let requests = [
        ("GET", "/v1/clients".to_owned()),
        ("GET", "/v1/sources".to_owned()),
        ("GET", "/v1/dead-letters".to_owned()),
        ("GET", "/v1/quarantine".to_owned()),
        ("POST", format!("/v1/dead-letters/{}/retry", letter(1).id)),
        ("POST", format!("/v1/dead-letters/{}/discard", letter(2).id)),
        ("POST", format!("/v1/quarantine/{}/release", held[0].id)),
        ("POST", format!("/v1/quarantine/{}/release?unverified=true", held[2].id)),
        ("DELETE", format!("/v1/quarantine/{}", held[1].id)),
        ("GET", "/v1/tokens".to_owned()),
        ("POST", "/v1/tokens".to_owned()),
        ("DELETE", format!("/v1/tokens/{}", letter(1).id)),
        ("GET", "/v1/me".to_owned()),
        ("PUT", "/v1/me".to_owned()),
        ("POST", "/v1/me/next".to_owned()),
        ("GET", "/v1/agents".to_owned()),
        ("GET", "/v1/reservations".to_owned()),
    ];
    let mut table = String::new();
    for role in Role::ALL {
        let person = house.person(*role).await;
        for (method, path) in &requests {
            let answer = person.send(method, path, &[], "{}").await;
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let noun = path.split('/').nth(2).unwrap();
            let act = path.split('/').nth(4).unwrap_or("");
            table += &format!("{role} {method} {noun} {act} {query} {}\n", answer.status.as_u16());
        }
    }
    insta::assert_snapshot!(table);
    let reader = house.person(Role::Reader).await;
    assert_eq!(
        reader.get("/v1/tokens").await.problem(),
        "403 this needs the role admin, and the token has reader"
    );
    let bad_body = reader.post("/v1/tokens", "{").await;
    assert_eq!(bad_body.status, 403, "who may not is not told what is wrong with the request");
}

#[tokio::test]
async fn each_role_may_act_as_it_says() {
    let house = House::new();
    let zeros = "0".repeat(32);
    let other = format!(r#"{{"client":"cli_{zeros}","reason":"a"}}"#);
    let requests = [
        ("PATCH", format!("/v1/clients/cli_{zeros}"), r#"{"name":"Olena"}"#),
        ("POST", format!("/v1/clients/cli_{zeros}/notes"), r#"{"text":"a"}"#),
        ("POST", format!("/v1/conversations/cnv_{zeros}/replies"), r#"{"text":"a"}"#),
        ("POST", format!("/v1/conversations/cnv_{zeros}/claim"), ""),
        ("POST", format!("/v1/conversations/cnv_{zeros}/assign"), r#"{"to":null}"#),
        ("POST", format!("/v1/conversations/cnv_{zeros}/resolve"), ""),
        ("POST", format!("/v1/conversations/cnv_{zeros}/reopen"), ""),
        ("POST", format!("/v1/conversations/cnv_{zeros}/snooze"), r#"{"until":"2026-11-21T13:00:00Z"}"#),
        ("POST", format!("/v1/conversations/cnv_{zeros}/callback"), ""),
        ("POST", format!("/v1/conversations/cnv_{zeros}/callback/done"), ""),
        ("GET", format!("/v1/conversations/cnv_{zeros}/timeline"), ""),
        ("POST", format!("/v1/reservations/rsv_{zeros}/accept"), ""),
        ("POST", format!("/v1/reservations/rsv_{zeros}/decline"), ""),
        ("PUT", "/v1/agents/nobody".to_owned(), "{}"),
        ("DELETE", "/v1/agents/nobody".to_owned(), ""),
        ("GET", format!("/v1/clients/cli_{zeros}/candidates"), ""),
        ("GET", format!("/v1/clients/cli_{zeros}/merges"), ""),
        ("POST", format!("/v1/clients/cli_{zeros}/merge"), &other),
        ("POST", format!("/v1/clients/cli_{zeros}/apart"), &other),
        ("POST", format!("/v1/merges/mrg_{zeros}/undo"), r#"{"reason":"a"}"#),
        ("POST", format!("/v1/contacts/con_{zeros}/move"), r#"{"reason":"a"}"#),
    ];
    // Nothing of it is there, so whoever may is told 404.
    let mut table = String::new();
    for (method, path, body) in &requests {
        table += &format!("{method} {}:", path.replace(&format!("_{zeros}"), ""));
        for role in Role::ALL {
            let person = house.person(*role).await;
            table += &format!(" {role} {}", person.send(method, path, &[], body).await.status.as_u16());
        }
        table += "\n";
    }
    insta::assert_snapshot!(table);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_opens_nothing() {
    let house = House::new();
    let (ada, mia, bo) =
        (house.person(Role::Admin).await, house.person(Role::Agent).await, house.person(Role::Agent).await);
    assert_eq!(mia.get("/v1/clients").await.status, 200);
    assert_eq!(bo.get("/v1/clients").await.status, 200);
    let revoke = format!("/v1/tokens/{}", mia.id());
    assert_eq!(ada.send("DELETE", &revoke, &[], "").await.status, 204);
    assert_eq!(mia.get("/v1/clients").await.status, 401, "here at once");
    assert_eq!(ada.send("DELETE", &revoke, &[], "").await.status, 204, "twice is once");
    // Another process revoked this one.
    house.store.revoke_token(&bo.id(), noon(0)).await.unwrap();
    tokio::time::advance(std::time::Duration::from_millis(5_001)).await;
    assert_eq!(bo.get("/v1/clients").await.status, 401, "elsewhere within five seconds");
    let missing = ada.send("DELETE", "/v1/tokens/00000000000000000000000000000000", &[], "").await;
    assert_eq!(missing.problem(), "404 there is no token 00000000000000000000000000000000");
}

#[tokio::test]
async fn health_readiness_and_metrics_need_no_token() {
    let house = House::new();
    let stranger = house.stranger();
    insta::assert_json_snapshot!(stranger.get("/readyz").await.json());
    assert_eq!(stranger.get("/metrics").await.text(), "frontdesk_sse_subscribers 0\n");
    house.desk.closed.store(true, Ordering::Relaxed);
    house.store.away.store(true, Ordering::Relaxed);
    assert_eq!(stranger.get("/readyz").await.status, 503);
    let health = stranger.get("/healthz").await;
    assert_eq!(health.json()["journal"]["state"], "full", "it lives and says how it is");
}
