//! Requests of every kind: each is answered by what was asked for or by a problem, and never by a failure of
//! ours.

use axum::body::to_bytes;
use contact::IdentifierKind;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use timeline::Role;

use crate::house::{House, missed};

const ID: &str = "00000000000000000000000000000000";

/// Every path, with `{}` for what a caller fills in.
const PATHS: [&str; 45] = [
    "/v1/clients",
    "/v1/clients/{}",
    "/v1/clients/{}/timeline",
    "/v1/clients/{}/notes",
    "/v1/clients/{}/merge",
    "/v1/clients/{}/apart",
    "/v1/clients/{}/candidates",
    "/v1/clients/{}/merges",
    "/v1/merges/{}/undo",
    "/v1/contacts",
    "/v1/contacts/{}",
    "/v1/contacts/{}/raw",
    "/v1/contacts/{}/move",
    "/v1/contacts/{}/attachments/{}",
    "/v1/conversations",
    "/v1/conversations/{}",
    "/v1/conversations/{}/claim",
    "/v1/conversations/{}/assign",
    "/v1/conversations/{}/replies",
    "/v1/conversations/{}/resolve",
    "/v1/conversations/{}/reopen",
    "/v1/clients/{}/card",
    "/v1/clients/by-external-id/{}/{}",
    "/v1/conversations/{}/timeline",
    "/v1/conversations/{}/snooze",
    "/v1/conversations/{}/callback",
    "/v1/conversations/{}/callback/done",
    "/v1/me",
    "/v1/me/presence",
    "/v1/me/next",
    "/v1/agents",
    "/v1/agents/{}",
    "/v1/reservations",
    "/v1/reservations/{}/accept",
    "/v1/reservations/{}/decline",
    "/v1/stats/{}",
    "/v1/events",
    "/v1/dead-letters",
    "/v1/dead-letters/{}/retry",
    "/v1/quarantine",
    "/v1/quarantine/{}/release",
    "/v1/tokens",
    "/v1/sources",
    "/v1/{}",
    "/{}",
];

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        (select(vec!["cli", "con", "cnv", "ent", "mrg", "rsv", "clI", ""]), "[0-9a-f]{32}")
            .prop_map(|(kind, id)| format!("{kind}_{id}")),
        Just(format!("cli_{ID}")),
        Just(ID.to_owned()),
        select(vec!["waiting", "response", "service-level", "calls", "promises", "a%20admin"])
            .prop_map(str::to_owned),
        "[0-9a-f]{64}",
        "[a-z0-9._~%-]{0,40}".prop_map(|text| text.replace('%', "%25")),
        select(vec!["..", "%2e%2e", "%00", "%ff%fe", "%2F", "%F0%9F%98%80", "-1", "*"])
            .prop_map(str::to_owned),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = select(vec![
        "limit",
        "cursor",
        "phone",
        "email",
        "q",
        "channel",
        "status",
        "queue",
        "assignee",
        "client",
        "source",
        "state",
        "after",
        "event",
        "unverified",
        "waiting",
        "from",
        "to",
        "by",
        "format",
        "within_s",
        "",
        "%00",
    ]);
    let value = prop_oneof![
        "[A-Za-z0-9_-]{0,60}",
        ".{0,20}".prop_map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        select(vec![
            "-1",
            "0",
            "9223372036854775807",
            "99999999999999999999",
            "%2B380441234567",
            "%",
            "%ff",
            "true",
            "phone",
            "open",
            "1e9"
        ])
        .prop_map(str::to_owned),
    ];
    let sound = |pairs: Vec<(&str, String)>| {
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    prop_oneof![4 => prop::collection::vec((name, value), 0..4).prop_map(sound), 1 => Just("a=b&".repeat(500)), 1 => Just("&".repeat(1000))]
}

fn body() -> impl Strategy<Value = String> {
    let field = select(vec![
        "text",
        "to",
        "client",
        "reason",
        "name",
        "role",
        "segment",
        "permissions",
        "conversation",
        "until",
        "note",
        "queues",
        "skills",
        "capacity",
        "extensions",
        "presence",
        "preferred_channel",
        "language",
        "hours",
        "value",
        "owner",
        "identifiers",
        "x",
    ]);
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        select(vec![
            "agent",
            "admin",
            "me",
            "deny",
            "\0",
            "\u{202e}",
            "cli_00000000000000000000000000000000"
        ])
        .prop_map(Value::from),
        Just(Value::from("й".repeat(30_000))),
        Just(serde_json::json!({"email": "deny", "phone": [[[]]]})),
    ];
    let object = prop::collection::vec((field, value), 0..5).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
    });
    prop_oneof![
        6 => object,
        1 => ".{0,60}",
        1 => Just("{\"text\":".repeat(20_000)),
        1 => Just("[".repeat(200_000)),
        1 => Just(String::new()),
    ]
}

type Asked = (String, Vec<String>, String, &'static str, Vec<(&'static str, String)>, String);

fn request() -> impl Strategy<Value = Asked> {
    let header = (
        select(vec![
            "Idempotency-Key",
            "Last-Event-ID",
            "If-Match",
            "If-None-Match",
            "Range",
            "Accept",
            "Content-Type",
            "Content-Length",
            "Cookie",
        ]),
        prop_oneof![
            "[ -~]{0,300}",
            select(vec![
                "0",
                "-1",
                "1",
                "99999999999999999999",
                "bytes=0-",
                "text/event-stream",
                "*/*;q=nan"
            ])
            .prop_map(str::to_owned)
        ],
    );
    (
        select(PATHS.to_vec()).prop_map(str::to_owned),
        prop::collection::vec(segment(), 2),
        query(),
        select(vec!["GET", "GET", "POST", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"]),
        prop::collection::vec(header, 0..3),
        body(),
    )
}

async fn is_answered(requests: &[Asked]) -> Result<(), TestCaseError> {
    let house = House::new();
    house.records(missed("CA1", Some("+380441234567"), 0)).await;
    let people = [house.person(Role::Admin).await, house.person(Role::Reader).await, house.stranger()];
    for (nth, (path, segments, query, method, headers, body)) in requests.iter().enumerate() {
        let filled = segments.iter().fold(path.clone(), |path, segment| path.replacen("{}", segment, 1));
        let uri = if query.is_empty() { filled } else { format!("{filled}?{query}") };
        if uri.parse::<axum::http::Uri>().is_err() {
            continue;
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.trim())).collect();
        // Most as somebody who may do everything: others get less far.
        let person = people.get(nth % 4).unwrap_or(&people[0]);
        let answer = person.open(method, &uri, &headers, body).await;
        let (status, media) = (answer.status(), answer.headers().get("content-type").cloned());
        prop_assert!(!status.is_server_error(), "{} {}: {}", method, uri, status);
        if status.is_success() && media.as_ref().is_some_and(|media| media == "text/event-stream") {
            // It has no end.
            continue;
        }
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        if status.is_client_error() && *method != "HEAD" {
            prop_assert_eq!(media.as_ref().unwrap(), "application/problem+json", "{} {}", method, uri);
            let problem: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&problem["status"], status.as_u16());
            prop_assert!(body.len() < 20_000, "{} {}: {} bytes of a problem", method, uri, body.len());
        }
    }
    // And the house is as it was.
    let found = people[0].get("/v1/clients?phone=%2B380441234567").await;
    prop_assert_eq!(found.items().len(), 1);
    house.stop.cancel();
    Ok(())
}

proptest! {
    // A case is a house and a dozen requests: a quarter of what others try by default.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(4)))]

    #[test]
    fn fuzz_every_request_is_answered(requests in prop::collection::vec(request(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(is_answered(&requests))?;
    }

    /// What connectors took from strangers is shown as it is kept, whatever it is.
    #[test]
    fn fuzz_what_strangers_are_called_is_shown(name in prop::option::of(".{0,60}"), raw in ".{0,60}", value in prop::option::of(".{1,40}")) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let mut event = missed("CA1", None, 0).remove(0);
            // A store keeps no NUL: connectors take it out.
            let clean = |text: String| text.replace('\0', "");
            let party = event.from.as_mut().unwrap();
            (party.name, party.raw, party.value) = (name.map(clean), clean(raw), value.map(clean));
            party.kind = IdentifierKind::External;
            house.records(vec![event]).await;
            let mia = house.person(Role::Reader).await;
            for path in ["/v1/contacts", "/v1/conversations", "/v1/clients"] {
                for item in mia.get(path).await.items() {
                    let id = item["id"].as_str().unwrap();
                    let answer = mia.get(&format!("{path}/{id}")).await;
                    prop_assert!(answer.status.is_success(), "{:?}", answer);
                }
            }
            house.stop.cancel();
            Ok(())
        })?;
    }
}
