//! What waits is offered to whom it suits, and one of them has it.

use std::collections::BTreeSet;

use futures::future::join_all;
use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::follow::Told;
use tests::wait::{PATIENCE, when};
use tests::{Call, Database, eventually};

use crate::house::{asked, calls, console, hire, house, moment, number, replays, text, waiting};

pub(crate) async fn a_valued_caller_is_offered_with_a_deadline_and_has_one_agent(database: Database) {
    let mut app = house(&database, 3_600).start().await;
    let boss = app.hired("supervisor", "boss").await;
    // Ben was here before her: only the skill he lacks keeps him from being asked first.
    let ben = hire(&app, "ben", &["key-accounts"], &[], 1).await;
    let anna = hire(&app, "anna", &["key-accounts"], &["contracts"], 1).await;
    let bens = console(&ben).await;
    let annas = console(&anna).await;
    let olena = json!({
        "name": "Олена Коваль", "segment": "vip", "value": 9000, "owner": "anna",
        "identifiers": [{ "kind": "phone", "value": number(1) }],
    });
    let (status, body) = boss.put("/v1/clients/by-external-id/crm/4711", &olena).await;
    assert_eq!(
        (status, &body["value"], &body["segment"]),
        (StatusCode::OK, &json!(9000), &json!("vip")),
        "{body}"
    );

    let call = calls(1);
    app.pbx().tells(&call.missed()).await;
    let offered = annas.hears("reservation", "Anna is offered it", |told| !told.is_empty()).await;
    let (offer, client) = (&offered[0].data["reservation"], &offered[0].data["client"]);
    assert_eq!(
        (&offer["agent"], &offer["state"], &client["name"]),
        (&json!("anna"), &json!("pending"), &json!("Олена Коваль"))
    );
    let due = Call::epoch() + SignedDuration::from_secs(call.began_s + 3_600);
    assert_eq!(moment(&offer["conversation"]["due_at"]), due, "an hour from the call on: {offer}");
    let id = text(&offer["conversation"]["id"]);
    let conversation = anna.get(&format!("/v1/conversations/{id}")).await;
    assert_eq!((&conversation["queue"], &conversation["priority"]), (&json!("key-accounts"), &json!(80)));
    assert_eq!(conversation["routing"]["rule"], "vip-calls", "{conversation}");
    assert_eq!(conversation["offer"]["agent"], "anna");
    let mine = anna.get("/v1/reservations").await;
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(1), "{mine}");
    assert_eq!(ben.get("/v1/reservations").await["items"], json!([]), "Ben lacks the skill");

    let accept = format!("/v1/reservations/{}/accept", text(&offer["id"]));
    let (status, body) = anna.post(&accept, &Value::Null).await;
    assert_eq!((status, &body["assignee"]), (StatusCode::OK, &json!("anna")), "{body}");
    for path in [accept, format!("/v1/conversations/{id}/claim")] {
        let (status, body) = ben.post(&path, &Value::Null).await;
        assert_eq!((status, &body["owner"]), (StatusCode::CONFLICT, &json!("anna")), "{path}: {body}");
    }
    let ended = bens.hears("reservation", "everybody sees that it is taken", |told| told.len() >= 2).await;
    assert_eq!(ended[1].data["reservation"]["state"], "accepted");
    assert_eq!(waiting(&anna, 0).await.len(), 0);
    replays(&app).await;
    app.stop().await;
}

pub(crate) async fn a_hundred_who_want_it_are_one_who_has_it(database: Database) {
    const WAITING: usize = 12;
    let mut app = house(&database, 3_600).start().await;
    let boss = app.hired("supervisor", "boss").await;
    let vip = json!({ "segment": "vip", "identifiers": [{ "kind": "phone", "value": number(WAITING) }] });
    let (status, body) = boss.put("/v1/clients/by-external-id/crm/1", &vip).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let mut agents = Vec::new();
    for name in ["anna", "ben", "cleo", "dora", "emil"] {
        agents.push((name, app.hired("agent", name).await));
    }
    for nth in 0..=WAITING {
        app.pbx().tells(&calls(nth).missed()).await;
    }
    let rows = waiting(&boss, WAITING + 1).await;
    let ranks: Vec<_> = rows.iter().map(|row| row["rank"].as_i64()).collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert_eq!(rows[0]["queue"], "key-accounts", "who is valued stands first, though they called last");

    let id = text(&rows[1]["id"]);
    let path = format!("/v1/conversations/{id}/claim");
    let claims = (0..100).map(|nth| {
        let (name, agent) = &agents[nth % agents.len()];
        let path = &path;
        async move { (*name, agent.post(path, &Value::Null).await) }
    });
    let mut winners = BTreeSet::new();
    let mut owners = BTreeSet::new();
    for (name, (status, body)) in join_all(claims).await {
        if status == StatusCode::OK {
            winners.insert(name.to_owned());
        } else {
            assert_eq!(status, StatusCode::CONFLICT, "{body}");
            owners.insert(text(&body["owner"]));
        }
    }
    assert_eq!((winners.len(), &winners), (1, &owners), "one has it, and the others are told who");

    // Whoever asks what is next gets something of their own, the valued first.
    let (_, first) = agents[0].1.post("/v1/me/next", &Value::Null).await;
    assert_eq!(first["conversation"]["id"], rows[0]["id"], "{first}");
    let asked = (0..30).map(|nth| agents[nth % agents.len()].1.post("/v1/me/next", &Value::Null));
    let (mut given, mut none) = (Vec::new(), 0);
    for (status, body) in join_all(asked).await {
        assert_eq!(status, StatusCode::OK, "{body}");
        match &body["conversation"]["id"] {
            Value::Null => none += 1,
            id => given.push(text(id)),
        }
    }
    let distinct: BTreeSet<_> = given.iter().collect();
    assert_eq!((given.len(), distinct.len(), none), (WAITING - 1, WAITING - 1, 30 - (WAITING - 1)));
    assert_eq!(waiting(&boss, 0).await.len(), 0);
    replays(&app).await;
    app.stop().await;
}

pub(crate) async fn what_somebody_claims_is_offered_to_nobody_any_more(database: Database) {
    let mut app = house(&database, 3_600).start().await;
    let boss = app.hired("supervisor", "boss").await;
    let anna = hire(&app, "anna", &["default"], &[], 1).await;
    let annas = console(&anna).await;
    app.pbx().tells(&calls(1).missed()).await;
    let asked_first = annas.hears("reservation", "Anna is asked", |told| !told.is_empty()).await;
    let offer = &asked_first[0].data["reservation"];
    let claim = format!("/v1/conversations/{}/claim", text(&offer["conversation"]["id"]));
    let (status, body) = boss.post(&claim, &Value::Null).await;
    assert_eq!((status, &body["assignee"]), (StatusCode::OK, &json!("boss")), "{body}");
    let told = annas.hears("reservation", "she is told that it is over", |told| told.len() >= 2).await;
    let over = &told[1].data["reservation"];
    assert_eq!((&over["id"], &over["state"]), (&offer["id"], &json!("rescinded")));
    assert_eq!(asked(&anna).await.expect("what she is asked"), [] as [Value; 0]);
    let accept = format!("/v1/reservations/{}/accept", text(&offer["id"]));
    let (status, body) = anna.post(&accept, &Value::Null).await;
    assert_eq!((status, &body["owner"]), (StatusCode::CONFLICT, &json!("boss")), "{body}");
    // And what comes next is hers.
    app.pbx().tells(&calls(2).missed()).await;
    annas.hears("reservation", "Anna is asked again", |told| told.len() >= 3).await;
    replays(&app).await;
    app.stop().await;
}

pub(crate) async fn who_is_gone_is_asked_no_more_and_what_they_had_is_offered_to_others(database: Database) {
    let mut app = house(&database, 3_600).start().await;
    let reader = app.agent("reader").await;
    let watch = reader.follow();
    let anna = hire(&app, "anna", &["default"], &[], 2).await;
    let annas = console(&anna).await;
    app.pbx().tells(&calls(1).missed()).await;
    let first = annas.hears("reservation", "Anna is asked", |told| !told.is_empty()).await;
    let had = text(&first[0].data["reservation"]["conversation"]["id"]);
    let accept = format!("/v1/reservations/{}/accept", text(&first[0].data["reservation"]["id"]));
    let (status, body) = anna.post(&accept, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    app.pbx().tells(&calls(2).missed()).await;
    let of = |told: &Told, name: &str| told.data["reservation"]["agent"] == name;
    watch
        .hears("reservation", "Anna is asked again", |told| {
            told.iter().filter(|told| of(told, "anna")).count() >= 3
        })
        .await;

    let ben = hire(&app, "ben", &["default"], &[], 2).await;
    let _bens = console(&ben).await;
    drop(annas);
    // Both come to Ben, one after the other, though no offer of Anna's has ended by itself: they stand for an hour.
    let mut came = Vec::new();
    for _ in 0..2 {
        let row = eventually("Ben is asked", PATIENCE, async || {
            asked(&ben).await?.pop().ok_or_else(|| format!("nothing after {came:?}"))
        })
        .await;
        let accept = format!("/v1/reservations/{}/accept", text(&row["id"]));
        let (status, body) = ben.post(&accept, &Value::Null).await;
        assert_eq!((status, &body["assignee"]), (StatusCode::OK, &json!("ben")), "{body}");
        came.push(text(&row["conversation"]["id"]));
    }
    assert!(came.contains(&had) && came[0] != came[1], "{came:?}");
    assert_eq!(anna.get("/v1/reservations").await["items"], json!([]));
    assert_eq!(anna.get("/v1/me").await["connected"], false);
    replays(&app).await;
    app.stop().await;
}

pub(crate) async fn a_telephone_that_rings_shows_its_client(database: Database) {
    let mut app = house(&database, 3_600).start().await;
    let boss = app.hired("supervisor", "boss").await;
    let anna = hire(&app, "anna", &["default"], &[], 1).await;
    let annas = console(&anna).await;
    let olena = json!({ "name": "Олена", "segment": "gold", "identifiers": [{ "kind": "phone", "value": number(1) }] });
    let (status, client) = boss.put("/v1/clients/by-external-id/crm/1", &olena).await;
    assert_eq!(status, StatusCode::OK, "{client}");
    let before = calls(0).from(&number(1));
    app.pbx().tells(&before.missed()).await;
    annas.hears("reservation", "the missed call is offered", |told| !told.is_empty()).await;

    // The line rings, and then Anna's telephone.
    let call = calls(1);
    app.pbx().tells(&[call.ringing()]).await;
    eventually("the call is on the feed", PATIENCE, async || {
        let calls = annas.seen().calls;
        when(calls.contains_key(&call.id), calls)
    })
    .await;
    let mut leg = call.ringing();
    for (name, value) in &mut leg {
        match name.as_str() {
            "CallSid" => *value = format!("CA{:032x}", 0xfeed),
            "To" => "client:anna".clone_into(value),
            "Direction" => "outbound-dial".clone_into(value),
            _ => {}
        }
    }
    leg.push(("ParentCallSid".to_owned(), call.id.clone()));
    app.pbx().tells(&[leg]).await;
    let rings = annas.hears("entry", "Anna's telephone rings", |told| !told.is_empty()).await;
    let [ring] = rings.as_slice() else { panic!("once: {rings:?}") };
    assert_eq!(ring.data["rings"], json!(["anna"]));
    let card = &ring.data["client"];
    assert_eq!((&card["client"]["id"], &card["client"]["name"]), (&client["id"], &json!("Олена")), "{card}");
    assert_eq!(card["conversations"].as_array().map(Vec::len), Some(1), "what is open: {card}");
    assert!(card["last_contacts"]["phone"].is_object() && card["stage"].is_string(), "{card}");
    let asked = anna.get(&format!("/v1/clients/{}/card", text(&client["id"]))).await;
    assert_eq!(asked["client"], card["client"], "the same as who asks is told");

    // It is answered, and rings no more.
    app.pbx().tells(&call.answered()[1..]).await;
    annas.sees(&[(before.id, 2), (call.id, 4)].into()).await;
    assert_eq!(annas.seen().told.iter().filter(|told| told.event == "entry").count(), 1);
    replays(&app).await;
    app.stop().await;
}
