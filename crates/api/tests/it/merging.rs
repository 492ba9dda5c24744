//! Two clients who are one, or look it.

use timeline::Role;

use crate::house::{Person, missed};
use crate::sqlite::{Real, real};
use crate::written::{ADDRESS, line, mail};

struct Two {
    real: Real,
    sue: Person,
    /// Who wrote a mail.
    mailer: String,
    /// Who typed the mailer's address into a chat.
    visitor: String,
}

async fn two() -> Two {
    let real = real().await;
    real.records(vec![mail("m1", ADDRESS, 0, Vec::new())]).await;
    real.records(vec![line("l1", ADDRESS, 10)]).await;
    let sue = real.person("Sue", Role::Supervisor).await;
    let [visitor, mailer] = sue.get("/v1/clients").await.items().try_into().unwrap();
    let id = |client: serde_json::Value| client["id"].as_str().unwrap().to_owned();
    Two { real, sue, mailer: id(mailer), visitor: id(visitor) }
}

impl Two {
    fn about(&self, client: &str, reason: &str) -> String {
        format!(r#"{{"client":"{client}","reason":"{reason}"}}"#)
    }
}

#[tokio::test]
async fn a_claim_makes_a_candidate_until_somebody_says_that_they_are_two() {
    let two = two().await;
    let path = format!("/v1/clients/{}/candidates", two.visitor);
    let found = two.sue.get(&path).await;
    insta::assert_json_snapshot!(found.json());
    let other_way = two.sue.get(&format!("/v1/clients/{}/candidates", two.mailer)).await.items();
    assert_eq!(other_way[0]["client"]["id"], two.visitor);
    let apart = format!("/v1/clients/{}/apart", two.mailer);
    assert_eq!(two.sue.post(&apart, &two.about(&two.visitor, "Her mother.")).await.status, 204);
    assert_eq!(two.sue.get(&path).await.items().len(), 0);
    assert_eq!(two.sue.get(&format!("/v1/clients/{}/candidates", two.mailer)).await.items().len(), 0);
}

#[tokio::test]
async fn a_merged_client_leads_to_the_one_they_are() {
    let two = two().await;
    let merged = two
        .sue
        .post(&format!("/v1/clients/{}/merge", two.mailer), &two.about(&two.visitor, "Same\\nvoice."))
        .await;
    assert_eq!(merged.status, 201);
    let card = two.sue.get(&format!("/v1/clients/{}", two.mailer)).await.json();
    assert_eq!(card["id"], two.mailer);
    assert_eq!(card["identifiers"].as_array().unwrap().len(), 2);
    for what in ["", "/timeline", "/timeline?limit=2", "/merges", "/candidates"] {
        let [kept, gone] = [&two.mailer, &two.visitor].map(|id| format!("/v1/clients/{id}{what}"));
        assert_eq!(two.sue.get(&gone).await.json(), two.sue.get(&kept).await.json(), "{what}");
    }
    let timeline = two.sue.get(&format!("/v1/clients/{}/timeline", two.visitor)).await.items();
    let kinds: Vec<_> =
        timeline.iter().map(|entry| (entry["channel"].as_str(), entry["kind"].as_str())).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert!(kinds.contains(&(Some("desk"), Some("change"))), "{kinds:?}");
    let made_of = two.sue.get(&format!("/v1/clients/{}/merges", two.mailer)).await.items();
    assert_eq!(made_of.len(), 1);
    assert_eq!(
        (&made_of[0]["id"], &made_of[0]["survivor"]),
        (&merged.json()["merge"], &two.mailer.as_str().into())
    );
    assert_eq!((&made_of[0]["by"], &made_of[0]["reason"]), (&"Sue".into(), &"Same voice.".into()));
    assert!(made_of[0]["undone_at"].is_null());
    assert_eq!(two.sue.get("/v1/clients").await.items().len(), 1);

    let again = two
        .sue
        .post(&format!("/v1/clients/{}/merge", two.visitor), &two.about(&two.mailer, "Once more."))
        .await;
    assert_eq!(again.problem(), "409 they are one client already");
    let apart =
        two.sue.post(&format!("/v1/clients/{}/apart", two.visitor), &two.about(&two.mailer, "No.")).await;
    assert_eq!(apart.problem(), "409 they are one client; undo the merge first");
    let note = two.sue.post(&format!("/v1/clients/{}/notes", two.visitor), r#"{"text":"Both."}"#).await;
    assert_eq!(note.json()["client"], two.mailer, "what is said of the one is said of the other");
    let named =
        two.sue.send("PATCH", &format!("/v1/clients/{}", two.visitor), &[], r#"{"name":"Olena"}"#).await;
    assert_eq!((&named.json()["id"], &named.json()["name"]), (&two.mailer.as_str().into(), &"Olena".into()));
}

#[tokio::test]
async fn before_a_merge_both_are_shown_with_what_speaks_against_it() {
    let two = two().await;
    for (client, name) in [(&two.mailer, "Olena"), (&two.visitor, "Iryna")] {
        two.sue
            .send("PATCH", &format!("/v1/clients/{client}"), &[], &format!(r#"{{"name":"{name}"}}"#))
            .await;
    }
    let path = format!("/v1/clients/{}/merge?client={}", two.mailer, two.visitor);
    let preview = two.sue.get(&path).await.json();
    assert_eq!(preview["survivor"]["client"]["id"], two.mailer);
    assert_eq!(preview["absorbed"]["client"]["id"], two.visitor);
    assert_eq!(
        (&preview["absorbed"]["contacts"], &preview["absorbed"]["conversations"]),
        (&1.into(), &1.into())
    );
    assert_eq!(preview["conflicts"], serde_json::json!(["the one is called Olena, the other Iryna"]));
    assert_eq!(two.sue.get("/v1/clients").await.items().len(), 2, "nothing is changed by looking");
    let oneself = two.sue.get(&format!("/v1/clients/{0}/merge?client={0}", two.mailer)).await;
    assert_eq!(oneself.problem(), "409 they are one client already");
    let nobody = two.sue.get(&format!("/v1/clients/{}/merge", two.mailer)).await;
    assert_eq!(nobody.problem(), "400 [client] say which client");
}

#[tokio::test]
async fn an_undone_merge_gives_each_their_own_again() {
    let two = two().await;
    let before = two.sue.get(&format!("/v1/clients/{}/timeline", two.visitor)).await.items();
    let merged = two
        .sue
        .post(&format!("/v1/clients/{}/merge", two.mailer), &two.about(&two.visitor, "Same voice."))
        .await;
    let undo = format!("/v1/merges/{}/undo", merged.json()["merge"].as_str().unwrap());
    let undone = two.sue.post(&undo, r#"{"reason":"Another voice."}"#).await;
    assert_eq!((undone.status.as_u16(), &undone.json()["id"]), (200, &merged.json()["merge"]));
    assert!(undone.json()["undone_at"].is_string(), "{undone:?}");
    assert_eq!(
        two.sue.post(&undo, r#"{"reason":"Again."}"#).await.problem(),
        "409 the merge is undone already"
    );
    let card = two.sue.get(&format!("/v1/clients/{}", two.visitor)).await.json();
    assert_eq!((&card["id"], &card["merged_into"]), (&two.visitor.as_str().into(), &serde_json::Value::Null));
    let after = two.sue.get(&format!("/v1/clients/{}/timeline", two.visitor)).await.items();
    assert_eq!(after.iter().find(|entry| entry["kind"] == "contact").unwrap()["id"], before[0]["id"]);
    assert_eq!(two.sue.get(&format!("/v1/clients/{}/candidates", two.visitor)).await.items().len(), 0);
}

#[tokio::test]
async fn a_contact_is_given_to_another_client_or_to_a_new_one() {
    let two = two().await;
    let contact = two.sue.get("/v1/contacts?channel=chat").await.items()[0].clone();
    let path = format!("/v1/contacts/{}/move", contact["id"].as_str().unwrap());
    let moved = two.sue.post(&path, &two.about(&two.mailer, "She wrote from his phone.")).await;
    assert_eq!((&moved.json()["id"], &moved.json()["client"]), (&contact["id"], &two.mailer.as_str().into()));
    let new = two.sue.post(&path, r#"{"reason":"It was neither."}"#).await.json()["client"].clone();
    assert!(new.is_string() && new != two.mailer && new != two.visitor, "{new}");
    let timeline = two.sue.get(&format!("/v1/clients/{}/timeline", new.as_str().unwrap())).await.items();
    assert!(timeline.iter().any(|entry| entry["contact"] == contact["id"]), "{timeline:?}");
}

#[tokio::test]
async fn a_conversation_that_became_part_of_another_leads_there() {
    let real = real().await;
    real.records(missed("CA1", Some("+380441234567"), 0)).await;
    real.records(missed("CA2", Some("+15550100"), 60)).await;
    let sue = real.person("Sue", Role::Supervisor).await;
    let [younger, older] = sue.get("/v1/conversations").await.items().try_into().unwrap();
    let client = |row: &serde_json::Value| row["client"]["id"].as_str().unwrap().to_owned();
    let body = format!(r#"{{"client":"{}","reason":"His two phones."}}"#, client(&younger));
    assert_eq!(sue.post(&format!("/v1/clients/{}/merge", client(&older)), &body).await.status, 201);
    assert_eq!(sue.get("/v1/conversations").await.items().len(), 1);
    let path = format!("/v1/conversations/{}", younger["id"].as_str().unwrap());
    assert_eq!(sue.get(&path).await.json()["id"], older["id"]);
    let claimed = sue.post(&format!("{path}/claim"), "").await.json();
    assert_eq!((&claimed["id"], &claimed["assignee"]), (&older["id"], &"Sue".into()));
    let about = format!(r#"{{"text":"Both.","conversation":{}}}"#, younger["id"]);
    let note = sue.post(&format!("/v1/clients/{}/notes", client(&younger)), &about).await;
    assert_eq!(note.json()["conversation"], older["id"]);
}

#[tokio::test]
async fn the_feed_says_into_whom_a_client_was_merged() {
    let two = two().await;
    let mut listener = crate::live::Listener::open(&two.sue, "", &[]).await;
    two.sue.post(&format!("/v1/clients/{}/merge", two.mailer), &two.about(&two.visitor, "Same voice.")).await;
    let gone = listener.next_of("client").await;
    assert!(gone.contains(&format!(r#""client":{{"id":"{}""#, two.visitor)), "{gone}");
    assert!(gone.contains(&format!(r#""merged_into":"{}""#, two.mailer)), "{gone}");
    let change = listener.next_of("entry").await;
    assert!(change.contains(r#""kind":"change""#) && change.contains(r#""contact":null"#), "{change}");
}

#[tokio::test]
async fn a_contact_is_given_to_nobody_who_has_it_already() {
    let two = two().await;
    two.real.records(missed("CA1", Some("+15550100"), 20)).await;
    let contact = two.sue.get("/v1/contacts?channel=email").await.items()[0].clone();
    let path = format!("/v1/contacts/{}/move", contact["id"].as_str().unwrap());
    let same = two.sue.post(&path, &two.about(&two.mailer, "Hers.")).await;
    assert_eq!(same.problem(), "409 the contact is that client's already");
}
