//! A write under a key is done once.

use std::sync::atomic::Ordering;

use timeline::{Role, Store};

use crate::house::{House, letter};

const NEW: &str = r#"{"name":"Mia","role":"agent"}"#;

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_as_before() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let key = [("Idempotency-Key", "made-once")];
    let first = ada.send("POST", "/v1/tokens", &key, NEW).await;
    let again = ada.send("POST", "/v1/tokens", &key, NEW).await;
    assert_eq!(first.status, 201);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(ada.get("/v1/tokens").await.items().len(), 2, "it was made once");
    let secret = first.json()["secret"].as_str().unwrap().to_owned();
    let kept = house.store.remembered();
    assert_eq!(kept.len(), 1);
    assert!(
        !kept[0].body.windows(8).any(|window| secret.as_bytes().windows(8).any(|part| part == window)),
        "the store keeps no secret"
    );
}

#[tokio::test]
async fn a_key_belongs_to_one_request_and_one_caller() {
    let house = House::new();
    let (ada, ann) = (house.person(Role::Admin).await, house.person(Role::Admin).await);
    let key = [("Idempotency-Key", "k")];
    assert_eq!(ada.send("POST", "/v1/tokens", &key, NEW).await.status, 201);
    let other = ada.send("POST", "/v1/tokens", &key, r#"{"name":"Bo","role":"agent"}"#).await;
    assert_eq!(
        other.problem(),
        "422 [Idempotency-Key] this key was used for another request; take a new one"
    );
    assert_eq!(ann.send("POST", "/v1/tokens", &key, NEW).await.header("idempotency-replayed"), "");
    assert_eq!(ada.post("/v1/tokens", NEW).await.status, 201, "without a key every request counts");
    assert_eq!(ada.get("/v1/tokens").await.items().len(), 5);
}

#[tokio::test]
async fn what_was_not_done_is_not_remembered() {
    let house = House::new();
    house.store.bury(&[letter(1)]).await.unwrap();
    let sue = house.person(Role::Supervisor).await;
    let (path, key) = (format!("/v1/dead-letters/{}/retry", letter(1).id), [("Idempotency-Key", "k")]);
    house.desk.closed.store(true, Ordering::Relaxed);
    assert_eq!(sue.send("POST", &path, &key, "").await.status, 503);
    house.desk.closed.store(false, Ordering::Relaxed);
    assert_eq!(sue.send("POST", &path, &key, "").await.status, 202);
    assert_eq!(sue.send("POST", &path, &key, "").await.header("idempotency-replayed"), "true");
    assert_eq!(house.desk.retried.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_is_replayed_too() {
    let house = House::new();
    let bounds = timeline::HoldBounds { per_source: 100, bytes_per_source: 1 << 20 };
    let held = crate::house::suspect("good");
    house.store.hold(std::slice::from_ref(&held), bounds).await.unwrap();
    let sue = house.person(Role::Supervisor).await;
    let (path, key) = (format!("/v1/quarantine/{}", held.id), [("Idempotency-Key", "k")]);
    assert_eq!(sue.send("DELETE", &path, &key, "").await.status, 204);
    let again = sue.send("DELETE", &path, &key, "").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (204, "true"));
    assert_eq!(sue.send("DELETE", &path, &[], "").await.status, 404);
}

#[tokio::test]
async fn a_day_later_the_key_is_free() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let key = [("Idempotency-Key", "k")];
    assert_eq!(ada.send("POST", "/v1/tokens", &key, NEW).await.status, 201);
    house.clock.store(24 * 3_600, Ordering::Relaxed);
    assert_eq!(ada.send("POST", "/v1/tokens", &key, NEW).await.header("idempotency-replayed"), "true");
    house.clock.store(24 * 3_600 + 1, Ordering::Relaxed);
    let other = ada.send("POST", "/v1/tokens", &key, r#"{"name":"Bo","role":"agent"}"#).await;
    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (201, ""));
}

#[tokio::test]
async fn a_key_is_short_and_printable() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let longest = "k".repeat(255);
    assert_eq!(ada.send("POST", "/v1/tokens", &[("Idempotency-Key", &longest)], NEW).await.status, 201);
    for bad in ["", &"k".repeat(256), "ключ"] {
        let answer = ada.send("POST", "/v1/tokens", &[("Idempotency-Key", bad)], NEW).await;
        let said = "400 [Idempotency-Key] a key is 1 to 255 printable ASCII letters";
        assert_eq!(answer.problem(), said, "{bad}");
    }
}
