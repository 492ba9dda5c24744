//! Files of strangers.

use contact::email::Attachment;
use timeline::Role;

use crate::house::{House, missed};
use crate::written::{ADDRESS, mail};

fn file(n: u8, name: Option<&str>, media_type: &str) -> Attachment {
    Attachment {
        name: name.map(str::to_owned),
        media_type: media_type.to_owned(),
        size: 3,
        sha256: format!("{n:064x}"),
        content_id: None,
        inline: false,
    }
}

#[tokio::test]
async fn a_file_is_offered_as_a_file_and_labelled_as_what_does_no_harm() {
    let house = House::new();
    let files = [
        (file(1, Some("рахунок.pdf"), "Application/PDF"), "application/pdf"),
        (file(2, Some("page.html"), "text/html"), "application/octet-stream"),
        (file(3, None, "image/svg+xml"), "application/octet-stream"),
        (file(4, Some("a\"b.png"), "image/png"), "image/png"),
    ];
    let listed = files.iter().map(|(file, _)| file.clone()).chain([file(5, None, "text/plain")]);
    house.records(vec![mail("m1", ADDRESS, 0, listed.collect())]).await;
    house.records(missed("CA1", None, 0)).await;
    for (file, _) in files.iter().chain([&(file(6, None, "text/plain"), "")]) {
        let bytes = vec![0xff, 0, file.sha256.as_bytes()[63]].into();
        house.desk.files.lock().unwrap().insert(file.sha256.clone(), (file.clone(), bytes));
    }
    let mia = house.person(Role::Reader).await;
    let contact = mia.get("/v1/contacts?channel=email").await.items()[0].clone();
    let path = format!("/v1/contacts/{}/attachments", contact["id"].as_str().unwrap());
    for (nth, (file, label)) in files.iter().enumerate() {
        assert_eq!(contact["content"]["attachments"][nth]["sha256"], file.sha256);
        let got = mia.get(&format!("{path}/{}", file.sha256)).await;
        assert_eq!(got.body, [0xff, 0, file.sha256.as_bytes()[63]].as_slice());
        assert_eq!(got.header("content-type"), *label, "{file:?}");
        assert!(got.header("content-disposition").starts_with("attachment; filename=\""), "{file:?}");
        assert_eq!(got.header("content-disposition").matches('"').count(), 2, "{file:?}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(got.header("cache-control"), "no-store");
    }
    let gone = mia.get(&format!("{path}/{:064x}", 5)).await;
    assert_eq!(gone.problem(), "404 the bytes are not kept any more");
    let others = mia.get(&format!("{path}/{:064x}", 6)).await;
    assert_eq!(others.problem(), "404 the contact has no such attachment", "a digest alone opens nothing");
    let call = mia.get("/v1/contacts?channel=phone").await.items()[0]["id"].as_str().unwrap().to_owned();
    let of_a_call = mia.get(&format!("/v1/contacts/{call}/attachments/{:064x}", 1)).await;
    assert_eq!(of_a_call.problem(), "404 the contact has no such attachment");
}
