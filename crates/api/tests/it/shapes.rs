//! What callers see, field by field.

use contact::{CallState, RawBytes};
use timeline::Role;

use crate::house::{House, call, missed};

const OLENA: &str = "+380441234567";

async fn house() -> House {
    let house = House::new();
    house.records(missed("CA1", Some(OLENA), 0)).await;
    house
}

#[tokio::test]
async fn a_client_is_found_by_the_number_they_called_from() {
    let house = house().await;
    house.records(missed("CA2", Some("+15550100"), 60)).await;
    let mia = house.person(Role::Reader).await;
    let found = mia.get("/v1/clients?phone=%2B380441234567").await;
    insta::assert_json_snapshot!(found.json());
    let id = found.items()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(mia.get(&format!("/v1/clients/{id}")).await.json(), found.items()[0]);
    // Written as people do.
    assert_eq!(mia.get("/v1/clients?phone=+380%2044%20123-45-67").await.json(), found.json());
    assert_eq!(mia.get("/v1/clients?q=4412").await.json(), found.json());
    assert_eq!(mia.get("/v1/clients?phone=%2B4930123456").await.items().len(), 0);
    assert_eq!(mia.get("/v1/clients?email=olena@example.com").await.items().len(), 0);
    assert_eq!(mia.get("/v1/clients").await.items().len(), 2, "no filter lists all");
}

#[tokio::test]
async fn a_missed_call_stands_on_the_timeline() {
    let house = house().await;
    let mia = house.person(Role::Agent).await;
    let id = mia.get("/v1/clients").await.items()[0]["id"].as_str().unwrap().to_owned();
    let timeline = mia.get(&format!("/v1/clients/{id}/timeline")).await;
    insta::assert_json_snapshot!(timeline.json());
    let phone = mia.get(&format!("/v1/clients/{id}/timeline?channel=phone")).await;
    assert_eq!(phone.json(), timeline.json());
    assert_eq!(mia.get(&format!("/v1/clients/{id}/timeline?channel=email")).await.items().len(), 0);
    assert_eq!(timeline.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_missed_call_is_an_open_conversation_with_a_callback() {
    let house = house().await;
    let mia = house.person(Role::Agent).await;
    let open = mia.get("/v1/conversations?status=open&channel=phone&queue=default").await;
    insta::assert_json_snapshot!(open.json());
    let one = open.items()[0].clone();
    let id = one["id"].as_str().unwrap();
    let mut whole = mia.get(&format!("/v1/conversations/{id}")).await.json();
    assert!(whole.as_object_mut().unwrap().remove("routing").unwrap().is_null(), "nothing was configured");
    assert_eq!(whole, one);
    let client = one["client"]["id"].as_str().unwrap();
    assert_eq!(mia.get(&format!("/v1/conversations?client={client}")).await.items().len(), 1);
    for none in ["status=resolved", "assignee=mia", "queue=sales", "channel=chat"] {
        assert_eq!(mia.get(&format!("/v1/conversations?{none}")).await.items().len(), 0, "{none}");
    }
}

#[tokio::test]
async fn a_withheld_caller_is_nobody_and_still_seen() {
    let house = house().await;
    house.records(missed("CA9", None, 60)).await;
    let mia = house.person(Role::Reader).await;
    assert_eq!(mia.get("/v1/contacts").await.items().len(), 2);
    let nobodys = mia.get("/v1/contacts?client=none").await.items();
    assert_eq!(nobodys.len(), 1);
    assert!(nobodys[0]["client"].is_null());
    let conversation = nobodys[0]["conversation"].as_str().unwrap();
    let conversation = mia.get(&format!("/v1/conversations/{conversation}")).await.json();
    assert!(conversation["client"].is_null());
    assert_eq!(mia.get("/v1/contacts?source=phone/other").await.items().len(), 0);
}

#[tokio::test]
async fn a_contact_shows_everything_that_was_told_about_it() {
    let house = house().await;
    let mia = house.person(Role::Reader).await;
    let contact = mia.get("/v1/contacts").await.items()[0].clone();
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let detail = mia.get(&path).await.json();
    assert_eq!(detail["contact"], contact);
    insta::assert_json_snapshot!(detail);

    for (query, bytes) in [
        ("", "CallSid=CA1&State=Ringing"),
        ("?event=2", "CallSid=CA1&State=Ended"),
        ("?event=ca1:ended:00000000", "CallSid=CA1&State=Ended"),
    ] {
        let raw = mia.get(&format!("{path}/raw{query}")).await;
        assert_eq!(raw.text(), bytes, "{query}");
        assert_eq!(raw.header("content-type"), "application/x-www-form-urlencoded");
        assert_eq!(raw.header("content-disposition"), "attachment");
        assert_eq!(raw.header("x-content-type-options"), "nosniff");
        assert_eq!(raw.header("content-security-policy"), "sandbox; default-src 'none'");
    }
    assert_eq!(
        mia.get(&format!("{path}/raw?event=77")).await.problem(),
        "404 the contact has no such event with a raw"
    );
}

#[tokio::test]
async fn a_large_raw_comes_from_the_blob_store() {
    let house = House::new();
    let large = RawBytes::new("message/rfc822\nx: y", vec![b'x'; 100_000]);
    let event = contact::Event { raw: Some(large.reference()), ..call("CA7", None, CallState::Ringing, 0) };
    house.records(vec![event]).await;
    let mia = house.person(Role::Reader).await;
    let id = mia.get("/v1/contacts").await.items()[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/contacts/{id}/raw");
    assert_eq!(mia.get(&path).await.problem(), "404 the bytes are not kept any more");
    house.desk.blobs.lock().unwrap().insert(large.reference().sha256, large.bytes.clone().into());
    let raw = mia.get(&path).await;
    assert_eq!(raw.body, large.bytes);
    assert_eq!(raw.header("content-type"), "application/octet-stream", "no header is made of strange text");
}
