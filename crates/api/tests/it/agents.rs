//! Who of us answers: what they can take, and whether they are here.

use serde_json::json;
use timeline::Role;

use crate::live::{Listener, data};
use crate::sqlite::real;

#[tokio::test]
async fn an_agent_says_who_they_are_and_what_they_can_take() {
    let real = real().await;
    let bo = real.person("Bo", Role::Agent).await;
    let stranger = bo.get("/v1/me").await.json();
    let unknown = json!({ "name": "Bo", "role": "agent", "profile": null, "presence": "offline",
        "connected": false, "load": {}, "rev": 0 });
    assert_eq!(stranger, unknown);
    let mut listener = Listener::open(&real.person("Rea", Role::Reader).await, "", &[]).await;
    let profile = json!({ "queues": ["sales", "default", "sales"], "skills": ["spanish"],
        "capacity": { "chat": 3, "phone": 0 }, "extensions": ["101", "bo@pbx.example"] });
    let said = bo.send("PUT", "/v1/me", &[], &profile.to_string()).await.json();
    insta::assert_json_snapshot!(said);
    let mut told = data(&listener.next_of("agent").await)["agent"].clone();
    told["role"] = "agent".into();
    assert_eq!(told, said);
    let here = bo.send("PUT", "/v1/me/presence", &[], r#"{"presence":"available"}"#).await.json();
    assert_eq!((&here["presence"], &here["profile"]), (&"available".into(), &said["profile"]));
    assert_eq!(bo.get("/v1/me").await.json(), here);
    let nothing = bo.send("PUT", "/v1/me", &[], "{}").await.json();
    assert_eq!(nothing["profile"]["queues"], json!([]), "what is not given is none");
}

#[tokio::test]
async fn a_supervisor_describes_those_who_have_a_token_and_lets_them_go() {
    let real = real().await;
    let sue = real.person("Sue", Role::Supervisor).await;
    let (bo, body) = (real.person("Bo d'Arc", Role::Agent).await, r#"{"queues":["sales"]}"#);
    real.person("Rea", Role::Reader).await;
    let names = async || {
        let items = sue.get("/v1/agents").await.items();
        items.iter().map(|agent| agent["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["Bo d'Arc", "Mia", "Sue"], "whoever may answer, before they ever came");
    let path = "/v1/agents/Bo%20d'Arc";
    let described = sue.send("PUT", path, &[], body).await.json();
    assert_eq!(
        (&described["name"], &described["profile"]["queues"]),
        (&"Bo d'Arc".into(), &json!(["sales"]))
    );
    assert_eq!(bo.get("/v1/me").await.json()["profile"], described["profile"]);
    assert_eq!(sue.get("/v1/agents").await.items()[0], described);
    for nobody in ["Bob", "Rea"] {
        for (method, body) in [("PUT", body), ("DELETE", "")] {
            let answer = sue.send(method, &format!("/v1/agents/{nobody}"), &[], body).await;
            assert_eq!(answer.problem(), format!("404 no agent has a token of the name `{nobody}`"));
        }
    }
    let refused = bo.send("PUT", path, &[], body).await;
    assert_eq!(refused.problem(), "403 this needs the role supervisor, and the token has agent");
    for _ in 0..2 {
        assert_eq!(sue.send("DELETE", path, &[], "").await.status, 204, "twice is once");
    }
    assert!(bo.get("/v1/me").await.json()["profile"].is_null());
    let admin = &real.mia;
    admin.send("DELETE", &format!("/v1/tokens/{}", bo.id()), &[], "").await;
    assert_eq!(names().await, ["Mia", "Sue"], "without profile and token nobody works here");
}

#[tokio::test]
async fn a_profile_has_bounds_and_names_what_is_beyond_them() {
    let real = real().await;
    let many: Vec<String> = (0..51).map(|n| format!("q{n}")).collect();
    let longest = format!("q{}", "-".repeat(39));
    for (profile, problem) in [
        (json!({ "queues": many }), "[queues] these are 51; there are at most 50"),
        (json!({ "extensions": many }), "[extensions] these are 51; there are at most 50"),
        (
            json!({ "queues": ["a", "B"] }),
            "[queues[1]] it reads `[a-z][a-z0-9-]{0,39}`, as the rules name them",
        ),
        (json!({ "queues": [""] }), "[queues[0]] it reads `[a-z][a-z0-9-]{0,39}`, as the rules name them"),
        (
            json!({ "skills": [format!("{longest}-")] }),
            "[skills[0]] it reads `[a-z][a-z0-9-]{0,39}`, as the rules name them",
        ),
        (
            json!({ "skills": ["німецька"] }),
            "[skills[0]] it reads `[a-z][a-z0-9-]{0,39}`, as the rules name them",
        ),
        (json!({ "extensions": ["1 1"] }), "[extensions[0]] it reads `[A-Za-z0-9@._-]{1,64}`"),
        (json!({ "extensions": ["1".repeat(65)] }), "[extensions[0]] it reads `[A-Za-z0-9@._-]{1,64}`"),
        (json!({ "capacity": { "fax": 1 } }), "[capacity] nobody is reached so; it is email, phone or chat"),
        (json!({ "capacity": { "desk": 1 } }), "[capacity] nobody is reached so; it is email, phone or chat"),
        (json!({ "capacity": { "chat": 1_001 } }), "[capacity.chat] it is 0 to 1000 conversations"),
        (json!({ "capacity": { "chat": -1 } }), "[capacity.chat] it is 0 to 1000 conversations"),
    ] {
        for path in ["/v1/me", "/v1/agents/Mia"] {
            let answer = real.mia.send("PUT", path, &[], &profile.to_string()).await;
            assert_eq!(answer.problem(), format!("400 {problem}"), "{profile}");
        }
    }
    let good = json!({ "queues": [longest], "capacity": { "chat": 1_000 }, "extensions": ["1".repeat(64)] });
    assert_eq!(real.mia.send("PUT", "/v1/me", &[], &good.to_string()).await.status, 200);
}
