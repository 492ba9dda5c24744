//! The operator's shelves.

use std::sync::atomic::Ordering;

use timeline::{HoldBounds, LetterState, Role, Store};

use crate::house::{House, letter, suspect};
use crate::live::eventually;

const BOUNDS: HoldBounds = HoldBounds { per_source: 100, bytes_per_source: 1 << 20 };

#[tokio::test]
async fn a_dead_letter_is_read_retried_and_discarded() {
    let house = House::new();
    house.store.bury(&[letter(1), letter(2)]).await.unwrap();
    let sue = house.person(Role::Supervisor).await;
    insta::assert_json_snapshot!("dead_letters", sue.get("/v1/dead-letters").await.json());
    let path = format!("/v1/dead-letters/{}", letter(1).id);
    insta::assert_json_snapshot!("dead_letter", sue.get(&path).await.json());
    let binary = sue.get(&format!("/v1/dead-letters/{}", letter(2).id)).await.json();
    assert_eq!((binary["text"].is_null(), &binary["base64"]), (true, &"/wI=".into()));

    let retried = sue.post(&format!("{path}/retry"), "").await;
    assert_eq!((retried.status.as_u16(), &retried.json()["state"]), (202, &"retried".into()));
    assert_eq!(*house.desk.retried.lock().unwrap(), [letter(1).id]);
    assert_eq!(sue.get("/v1/dead-letters?state=retried").await.items().len(), 1);
    assert_eq!(sue.get("/v1/dead-letters?state=open").await.items().len(), 1);

    assert_eq!(sue.post(&format!("{path}/discard"), "").await.json()["state"], "discarded");
    assert_eq!(house.store.letter(&letter(1).id).await.unwrap().unwrap().state, LetterState::Discarded);
}

#[tokio::test]
async fn a_letter_that_could_not_be_sent_in_stays_as_it_was() {
    let house = House::new();
    house.store.bury(&[letter(1)]).await.unwrap();
    house.desk.closed.store(true, Ordering::Relaxed);
    let sue = house.person(Role::Supervisor).await;
    let refused = sue.post(&format!("/v1/dead-letters/{}/retry", letter(1).id), "").await;
    assert_eq!(refused.problem(), "503 this cannot be taken at the moment; try again");
    assert_eq!(house.store.letter(&letter(1).id).await.unwrap().unwrap().state, LetterState::Open);
}

#[tokio::test]
async fn a_letter_goes_its_way_to_the_end_though_who_sent_it_in_hung_up() {
    let house = House::new();
    house.store.bury(&[letter(1)]).await.unwrap();
    house.desk.hangs.store(true, Ordering::Relaxed);
    let sue = house.person(Role::Supervisor).await;
    let is = async |state| house.store.letter(&letter(1).id).await.unwrap().unwrap().state == state;
    let path = format!("/v1/dead-letters/{}/retry", letter(1).id);
    tokio::select! {
        _ = sue.post(&path, "") => panic!("it hangs"),
        () = eventually("it is marked", async || is(LetterState::Retried).await) => {}
    }
    house.desk.closed.store(true, Ordering::Relaxed);
    house.desk.goes_on.notify_one();
    eventually("it is open again", async || is(LetterState::Open).await).await;
}

#[tokio::test]
async fn a_suspect_is_released_only_when_it_proves_itself_or_an_admin_believes_it() {
    let house = House::new();
    let (good, bad) = (suspect("good"), suspect("bad"));
    house.store.hold(&[good.clone(), bad.clone()], BOUNDS).await.unwrap();
    let (sue, ada) = (house.person(Role::Supervisor).await, house.person(Role::Admin).await);
    let listed = sue.get("/v1/quarantine?source=phone/main-line").await;
    insta::assert_json_snapshot!("quarantine", listed.json());
    let shown = sue.get(&format!("/v1/quarantine/{}", good.id)).await.json();
    assert_eq!(shown["text"], "POST /hooks/phone/main-line HTTP/1.1\r\n\r\ngood");

    assert_eq!(sue.post(&format!("/v1/quarantine/{}/release", good.id), "").await.status, 204);
    let still = sue.post(&format!("/v1/quarantine/{}/release", bad.id), "").await;
    assert_eq!(still.problem(), "409 its signature is still not right");
    assert!(house.store.has_suspect(&bad.id), "what was not taken in stays on the shelf");
    let believed = format!("/v1/quarantine/{}/release?unverified=true", bad.id);
    assert_eq!(sue.post(&believed, "").await.status, 403);
    assert_eq!(ada.post(&believed, "").await.status, 204);
    assert_eq!(*house.desk.released.lock().unwrap(), [(good.id, false), (bad.id, true)]);
    assert_eq!(sue.get("/v1/quarantine").await.items().len(), 0);
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_works() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let made = ada.post("/v1/tokens", r#"{"name":"Mia's laptop","role":"agent"}"#).await;
    assert_eq!(made.status, 201);
    insta::assert_json_snapshot!("created_token", made.json());
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(ada.with_secret(&secret).get("/v1/clients").await.status, 200);
    let listed = ada.get("/v1/tokens").await;
    assert_eq!(listed.items().len(), 2);
    assert!(!listed.text().contains(&secret));
}

#[tokio::test]
async fn the_sources_are_listed() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    insta::assert_json_snapshot!("sources", mia.get("/v1/sources").await.json());
}
