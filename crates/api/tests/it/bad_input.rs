//! Whatever is wrong is a problem that names the field and says a sentence, and nothing of ours leaks.

use std::sync::atomic::Ordering;

use timeline::Role;

use crate::house::House;

#[tokio::test]
async fn every_bad_request_is_told_what_is_wrong_with_it() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let long = "x".repeat(101);
    let long_name = format!(r#"{{"name":"{long}","role":"agent"}}"#);
    let long_text = format!(r#"{{"text":"{}"}}"#, "й".repeat(20_001));
    let requests = [
        ("GET", "/v1/clients?limit=many", ""),
        ("GET", "/v1/clients?cursor=abc", ""),
        ("GET", "/v1/clients?phone=0441234567", ""),
        ("GET", "/v1/clients?phone=", ""),
        ("GET", "/v1/clients?email=nobody", ""),
        ("GET", "/v1/clients?email=a@b&phone=%2B380441234567", ""),
        ("GET", "/v1/clients?q=%00", ""),
        ("GET", "/v1/clients?name=Olena", ""),
        ("GET", "/v1/clients?q=a&q=b", ""),
        ("GET", "/v1/clients/12", ""),
        ("GET", "/v1/clients/%FF", ""),
        ("GET", "/v1/clients/con_00000000000000000000000000000000", ""),
        ("GET", "/v1/clients/cli_00000000000000000000000000000000", ""),
        ("GET", "/v1/clients/cli_00000000000000000000000000000000/timeline", ""),
        ("GET", "/v1/clients/cli_00000000000000000000000000000000/timeline?channel=fax", ""),
        ("GET", "/v1/contacts?source=main-line", ""),
        ("GET", "/v1/contacts?client=cli_1", ""),
        ("GET", "/v1/contacts/con_00000000000000000000000000000000", ""),
        ("GET", "/v1/contacts/con_00000000000000000000000000000000/raw", ""),
        ("GET", "/v1/conversations?status=lost", ""),
        ("GET", "/v1/conversations?client=mia", ""),
        ("GET", "/v1/conversations?assignee=%00", ""),
        ("GET", "/v1/conversations/cnv_00000000000000000000000000000000", ""),
        ("GET", "/v1/events?after=-1", ""),
        ("GET", "/v1/events?after=x", ""),
        ("GET", "/v1/events?after=1", ""),
        ("GET", "/v1/dead-letters?state=odd", ""),
        ("GET", "/v1/dead-letters/XYZ", ""),
        ("GET", "/v1/dead-letters/00000000000000000000000000000000", ""),
        ("POST", "/v1/dead-letters/00000000000000000000000000000000/retry", ""),
        ("GET", "/v1/quarantine?source=x", ""),
        ("POST", "/v1/quarantine/00000000000000000000000000000000/release?unverified=yes", ""),
        ("POST", "/v1/quarantine/00000000000000000000000000000000/release", ""),
        ("DELETE", "/v1/quarantine/00000000000000000000000000000000", ""),
        ("POST", "/v1/tokens", ""),
        ("POST", "/v1/tokens", r#"["Mia","agent"]"#),
        ("POST", "/v1/tokens", r#"{"name":"#),
        ("POST", "/v1/tokens", r#"{"name":"Mia"}"#),
        ("POST", "/v1/tokens", r#"{"name":7,"role":"agent"}"#),
        ("POST", "/v1/tokens", r#"{"name":"Mia","role":"boss"}"#),
        ("POST", "/v1/tokens", r#"{"name":"Mia","role":"agent","secret":"fd_mine"}"#),
        ("POST", "/v1/tokens", r#"{"name":"Mia","role":"agent"} {}"#),
        ("POST", "/v1/tokens", r#"{"name":" ","role":"agent"}"#),
        ("POST", "/v1/tokens", r#"{"name":"a\u0000b","role":"agent"}"#),
        ("POST", "/v1/tokens", &long_name),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/notes", r#"{"text":"Hm."}"#),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/notes", r#"{"text":""}"#),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/notes", r#"{"text":"\u0000\r\n"}"#),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/notes", r#"{"text":null}"#),
        (
            "POST",
            "/v1/clients/cli_00000000000000000000000000000000/notes",
            r#"{"text":"a","conversation":"c"}"#,
        ),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/notes", &long_text),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", "{}"),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", r#"{"name":"Olena"}"#),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", r#"{"segment":"gold"}"#),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", r#"{"permissions":{"desk":"deny"}}"#),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", r#"{"permissions":{"fax":"deny"}}"#),
        ("PATCH", "/v1/clients/cli_00000000000000000000000000000000", r#"{"permissions":{"email":"no"}}"#),
        ("GET", "/v1/clients/cli_00000000000000000000000000000000/candidates", ""),
        ("GET", "/v1/clients/cli_00000000000000000000000000000000/merges", ""),
        (
            "POST",
            "/v1/clients/cli_00000000000000000000000000000000/merge",
            r#"{"client":"cli_1","reason":"a"}"#,
        ),
        ("POST", "/v1/clients/cli_00000000000000000000000000000000/merge", r#"{"reason":"a"}"#),
        (
            "POST",
            "/v1/clients/cli_00000000000000000000000000000000/apart",
            r#"{"client":"cli_00000000000000000000000000000000","reason":" "}"#,
        ),
        ("POST", "/v1/merges/mrg_00000000000000000000000000000000/undo", r#"{"reason":"a"}"#),
        ("POST", "/v1/merges/cli_00000000000000000000000000000000/undo", r#"{"reason":"a"}"#),
        ("POST", "/v1/contacts/con_00000000000000000000000000000000/move", r#"{"reason":"a"}"#),
        ("GET", "/v1/contacts/con_00000000000000000000000000000000/attachments/abc", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/replies", r#"{"text":"a"}"#),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/claim", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/assign", "{}"),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/assign", r#"{"to":null}"#),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/resolve", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/reopen", ""),
        ("GET", "/v1/conversations?waiting=yes", ""),
        ("GET", "/v1/conversations?waiting=true&status=open", ""),
        ("GET", "/v1/conversations?waiting=true&cursor=dgAAAAAAAAAAAAAAAAAAAAAA", ""),
        ("GET", "/v1/conversations/cnv_00000000000000000000000000000000/timeline", ""),
        ("GET", "/v1/conversations/cnv_00000000000000000000000000000000/timeline?channel=phone", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/snooze", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/snooze", "{}"),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/snooze", r#"{"until":"tomorrow"}"#),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/snooze", r#"{"until":1}"#),
        (
            "POST",
            "/v1/conversations/cnv_00000000000000000000000000000000/snooze",
            r#"{"until":"2026-11-21T11:00:00Z"}"#,
        ),
        (
            "POST",
            "/v1/conversations/cnv_00000000000000000000000000000000/snooze",
            r#"{"until":"2026-11-22T11:00:00Z"}"#,
        ),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/callback", ""),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/callback", r#"{"note":" "}"#),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/callback", r#"{"at":"6 pm"}"#),
        ("POST", "/v1/conversations/cnv_00000000000000000000000000000000/callback/done", ""),
        ("GET", "/v1/agents?name=Mia", ""),
        ("GET", "/v1/reservations?agent=Mia", ""),
        ("PUT", "/v1/me", ""),
        ("PUT", "/v1/me", r#"{"queues":"sales"}"#),
        ("PUT", "/v1/me", r#"{"queues":null}"#),
        ("PUT", "/v1/me", r#"{"capacity":{"chat":"three"}}"#),
        ("PUT", "/v1/me", r#"{"capacity":{"chat":1.5}}"#),
        ("PUT", "/v1/me", r#"{"role":"admin"}"#),
        ("PUT", "/v1/me/presence", r#"{"presence":"busy"}"#),
        ("PUT", "/v1/me/presence", "{}"),
        ("PUT", "/v1/agents/nobody", "{}"),
        ("PUT", "/v1/agents/%00", "{}"),
        ("PUT", "/v1/agents/%FF", "{}"),
        ("DELETE", "/v1/agents/nobody", ""),
        ("POST", "/v1/reservations/rsv_00000000000000000000000000000000/accept", ""),
        ("POST", "/v1/reservations/rsv_00000000000000000000000000000000/decline", ""),
        ("POST", "/v1/reservations/cnv_00000000000000000000000000000000/accept", ""),
        ("PUT", "/v1/clients", ""),
        ("GET", "/v1/nothing", ""),
        ("GET", "/", ""),
    ];
    let mut table = String::new();
    for (method, path, body) in requests {
        let answer = ada.send(method, path, &[], body).await;
        assert!(answer.status.is_client_error(), "{method} {path} {body}");
        let body = if body.len() > 100 { "(long)" } else { body };
        table += &format!("{method} {path} {body}\n    {}\n", answer.problem());
    }
    insta::assert_snapshot!(table);
    assert_eq!(ada.send("PUT", "/v1/tokens", &[], "").await.header("allow"), "GET,HEAD,POST");
}

#[tokio::test]
async fn too_much_is_refused_unread() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let body = format!(r#"{{"name":"{}","role":"agent"}}"#, "x".repeat(262_144));
    assert_eq!(ada.post("/v1/tokens", &body).await.problem(), "413 the body is larger than 262144 bytes");
    let query: String = (0..100_000).map(|n| format!("{n}=&")).collect();
    let query = query.chars().take(60_000).collect::<String>();
    let answer = ada.get(&format!("/v1/clients?{query}")).await;
    assert_eq!(answer.problem(), "400 the query has more than 20 parameters");
    let deep = "[".repeat(60_000);
    assert_eq!(ada.post("/v1/tokens", &deep).await.status, 400);
}

#[tokio::test]
async fn a_store_that_is_away_is_a_503_and_a_broken_one_says_nothing_of_itself() {
    let house = House::new();
    let mia = house.person(Role::Agent).await;
    assert_eq!(mia.get("/v1/clients").await.status, 200);
    house.store.away.store(true, Ordering::Relaxed);
    for path in ["/v1/clients", "/v1/contacts", "/v1/conversations", "/v1/events", "/v1/dead-letters"] {
        let away = mia.get(path).await;
        assert_eq!(away.problem(), "503 the store is away at the moment; try again", "{path}");
        assert_eq!(away.header("retry-after"), "2");
    }
    let stranger = house.stranger().with_secret("fd_unknown").get("/v1/clients").await;
    assert_eq!(stranger.status, 503, "a token that cannot be looked up is not called wrong");
    house.store.away.store(false, Ordering::Relaxed);
    house.store.broken.store(true, Ordering::Relaxed);
    let broken = mia.get("/v1/clients").await;
    let problem = broken.problem();
    assert_eq!(problem, "500 this failed on our side; the header X-Request-Id finds it in the log");
    assert!(!broken.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_next_request_is_served() {
    let house = House::new();
    house.desk.panics.store(true, Ordering::Relaxed);
    let fell = house.stranger().get("/metrics").await;
    assert_eq!(fell.problem(), "500 this failed on our side; the header X-Request-Id finds it in the log");
    house.desk.panics.store(false, Ordering::Relaxed);
    assert_eq!(house.stranger().get("/metrics").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_given_up() {
    let house = House::new();
    house.desk.hangs.store(true, Ordering::Relaxed);
    let slow = house.stranger().get("/healthz").await;
    assert_eq!(slow.problem(), "503 this took longer than 30 seconds and was given up");
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own_or_the_one_it_came_with() {
    let house = House::new();
    let stranger = house.stranger();
    let (first, second) = (stranger.get("/nothing").await, stranger.get("/nothing").await);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    for (given, kept) in [("edge-1.7_b", true), ("a b", false), ("", false)] {
        let answer = stranger.send("GET", "/nothing", &[("X-Request-Id", given)], "").await;
        assert_eq!(answer.header("x-request-id") == given, kept, "{given:?}");
    }
}
