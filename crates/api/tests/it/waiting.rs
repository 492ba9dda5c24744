//! What waits for an agent: in which order, what is promised, and who takes it.

use std::sync::atomic::Ordering;

use contact::Content;
use routing::calendar::Calendars;
use routing::rules::Rules;
use serde_json::{Value, json};
use timeline::{Policy, Role};

use crate::house::{Person, missed};
use crate::live::{Listener, data};
use crate::sqlite::{Real, each, real, with};
use crate::written::{ADDRESS, mail};

/// Mails are for those who can write, and promised an answer within ten minutes; calls are given back within a
/// quarter of an hour.
pub(crate) fn policy() -> Policy {
    let config = serde_json::from_value(json!({ "rules": {
        "mails": {
            "when": "event.channel == 'email'", "queue": "mails", "priority": 70, "skills": ["writing"],
            "promises": { "first_response": { "within_s": 600 } },
        },
        "calls": { "when": "event.channel == 'phone'", "promises": { "callback": { "within_s": 900 } } },
    }}));
    let calendars = Calendars::default();
    Policy { rules: Rules::compile(&config.unwrap(), &calendars).unwrap(), calendars, ..Policy::default() }
}

/// A missed call at noon and a mail a minute later, which is the more urgent.
pub(crate) async fn call_and_mail() -> (Real, Person) {
    let real = with(policy()).await;
    real.records(missed("CA1", Some("+380441234567"), 0)).await;
    real.records(vec![mail("m1", ADDRESS, 60, Vec::new())]).await;
    real.clock.store(60, Ordering::Relaxed);
    let bo = real.person("Bo", Role::Agent).await;
    (real, bo)
}

fn path(conversation: &Value) -> String {
    format!("/v1/conversations/{}", conversation["id"].as_str().unwrap())
}

fn channels(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["channel"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn those_who_wait_stand_in_the_order_in_which_they_are_taken() {
    let (real, bo) = call_and_mail().await;
    real.records(missed("CA2", Some("+15550100"), 10)).await;
    let list = bo.get("/v1/conversations?waiting=true").await.items();
    assert_eq!(channels(&list), ["email", "phone", "phone"]);
    assert!(list.windows(2).all(|pair| pair[0]["rank"].as_i64() < pair[1]["rank"].as_i64()), "{list:?}");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bo.get(&format!("/v1/conversations?waiting=true&limit=1&cursor={cursor}")).await;
        seen.extend(page.items());
        match page.json()["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, list);
    let mails = bo.get("/v1/conversations?waiting=true&queue=mails").await.items();
    assert_eq!(channels(&mails), ["email"]);
    let claimed = bo.post(&format!("{}/claim", path(&list[0])), "").await.json();
    assert!(claimed["rank"].is_null(), "{claimed}");
    let rest = bo.get("/v1/conversations?waiting=true").await.items();
    assert_eq!(channels(&rest), ["phone", "phone"], "what somebody has waits no more");
    assert_eq!(bo.get("/v1/conversations?waiting=false").await.items().len(), 3);
}

#[tokio::test]
async fn a_conversation_says_how_it_came_to_whom_and_what_is_promised() {
    let (real, bo) = call_and_mail().await;
    let [mail, call] = bo.get("/v1/conversations?waiting=true").await.items().try_into().unwrap();
    let state = async |at: i64| {
        real.clock.store(at, Ordering::Relaxed);
        bo.get(&path(&mail)).await.json()["promises"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(539).await, "running");
    assert_eq!(state(540).await, "warned", "four fifths of ten minutes after 12:01");
    assert_eq!(state(660).await, "breached");
    real.clock.store(60, Ordering::Relaxed);
    insta::assert_json_snapshot!(bo.get(&path(&mail)).await.json());
    bo.post(&format!("{}/replies", path(&mail)), r#"{"text":"Yes."}"#).await;
    let answered = bo.get(&path(&mail)).await.json();
    assert_eq!(answered["promises"][0]["state"], "kept");
    assert!(answered["due_at"].is_null() && answered["waiting_since"].is_null(), "{answered}");
    let owed = bo.get(&path(&call)).await.json();
    assert_eq!(
        (&owed["promises"][0]["kind"], &owed["due_at"]),
        (&"callback".into(), &"2026-11-21T12:15:00Z".into())
    );
}

#[tokio::test]
async fn a_conversation_has_a_history_of_its_own() {
    let (real, bo) = call_and_mail().await;
    let [mail, call] = bo.get("/v1/conversations?waiting=true").await.items().try_into().unwrap();
    real.clock.store(90, Ordering::Relaxed);
    bo.post(&format!("{}/replies", path(&mail)), r#"{"text":"Yes."}"#).await;
    let whole = bo.get(&format!("{}/timeline", path(&mail))).await.items();
    let kinds: Vec<_> = whole.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reply", "contact"], "newest first");
    let first = bo.get(&format!("{}/timeline?limit=1", path(&mail))).await.json();
    let next = first["next"].as_str().unwrap();
    let second = bo.get(&format!("{}/timeline?limit=1&cursor={next}", path(&mail))).await.json();
    assert_eq!((&first["items"][0], &second["items"][0]), (&whole[0], &whole[1]));
    let other = bo.get(&format!("{}/timeline", path(&call))).await.items();
    assert_eq!((other.len(), &other[0]["channel"]), (1, &"phone".into()));
    // Made one, the younger goes on in the older and shows what both said.
    let sue = real.person("Sue", Role::Supervisor).await;
    real.records(missed("CA2", Some("+15550100"), 100)).await;
    let younger = bo.get("/v1/conversations").await.items()[0].clone();
    let body = format!(r#"{{"client":{},"reason":"His two phones."}}"#, younger["client"]["id"]);
    let older = call["client"]["id"].as_str().unwrap();
    assert_eq!(sue.post(&format!("/v1/clients/{older}/merge"), &body).await.status, 201);
    let calls = bo.get(&format!("{}/timeline", path(&younger))).await.items();
    assert_eq!(channels(&calls), ["phone", "phone"]);
}

#[tokio::test]
async fn beside_its_conversation_a_mail_stands_in_brief() {
    for real in each().await {
        for (id, html) in [("m1", "<p>Hi</p>".to_owned()), ("m2", "<p>Hi</p>".repeat(1_000))] {
            let mut event = mail(id, ADDRESS, 0, Vec::new());
            if let Content::Email(email) = &mut event.content {
                email.text = "Є".repeat(3_000);
                email.html = Some(html.clone());
                (email.quoted, email.signature) = (Some("> Hi".to_owned()), Some("Olena".to_owned()));
            }
            let mut listener = Listener::open(&real.mia, "", &[]).await;
            real.records(vec![event]).await;
            let whole = data(&listener.next_of("entry").await)["entry"].clone();
            assert_eq!(whole["content"]["html"], *html);
            let mut brief = whole.clone();
            let content = brief["content"].as_object_mut().unwrap();
            for name in ["html", "quoted", "signature"] {
                assert!(content.remove(name).is_some(), "{name}");
            }
            content.insert("text".to_owned(), "Є".repeat(1_000).into());
            let told = data(&listener.next_of("conversation").await)["conversation"].clone();
            assert_eq!(told["last_entry"], brief);
            let listed = real.mia.get("/v1/conversations?waiting=true").await.items().pop().unwrap();
            assert_eq!(listed["last_entry"], brief);
            let read = real.mia.get(&format!("{}/timeline", path(&listed))).await.items().remove(0);
            assert_eq!(read, whole, "opened it is whole");
        }
    }
}

#[tokio::test]
async fn what_comes_next_is_what_suits_whoever_asks() {
    let (real, bo) = call_and_mail().await;
    let next = async |person: &Person| person.post("/v1/me/next", "").await.json()["conversation"].clone();
    let is = async |person: &Person, profile: Value| {
        assert_eq!(person.send("PUT", "/v1/me", &[], &profile.to_string()).await.status, 200);
    };
    is(&bo, json!({ "queues": ["mails"], "capacity": { "email": 5 } })).await;
    assert!(next(&bo).await.is_null(), "Bo cannot write");
    is(&bo, json!({ "queues": ["default"], "skills": ["writing"], "capacity": { "email": 5 } })).await;
    assert!(next(&bo).await.is_null(), "his queue has calls, and he takes none");
    is(&bo, json!({ "queues": ["mails"], "skills": ["writing", "singing"], "capacity": { "email": 1 } }))
        .await;
    let taken = next(&bo).await;
    assert_eq!((&taken["channel"], &taken["assignee"]), (&"email".into(), &"Bo".into()));
    real.records(vec![mail("m2", "iryna@example.com", 61, Vec::new())]).await;
    assert!(next(&bo).await.is_null(), "he has no room for another");
    let ann = real.person("Ann", Role::Agent).await;
    assert_eq!(next(&ann).await["client"]["name"], Value::Null, "who said nothing takes the first");
    assert_eq!(next(&ann).await["channel"], "phone");
    assert!(next(&ann).await.is_null(), "nothing waits any more");
}

#[tokio::test]
async fn what_comes_next_comes_once_though_the_answer_was_lost() {
    let house = crate::house::House::new();
    house.records(missed("CA1", Some("+380441234567"), 0)).await;
    house.records(missed("CA2", Some("+15550100"), 10)).await;
    let (bo, key) = (house.person(Role::Agent).await, [("Idempotency-Key", "k")]);
    // After it he has no room for another.
    let profile = json!({ "queues": ["default"], "capacity": { "phone": 1 } }).to_string();
    assert_eq!(bo.send("PUT", "/v1/me", &[], &profile).await.status, 200);
    house.store.forgets.store(true, Ordering::Relaxed);
    let first = bo.send("POST", "/v1/me/next", &key, "").await.json();
    let again = bo.send("POST", "/v1/me/next", &key, "").await;
    assert_eq!((again.header("idempotency-replayed"), again.json()), ("", first.clone()));
    assert_eq!(bo.get("/v1/conversations?assignee=a%20agent").await.items().len(), 1);
    assert!(first["conversation"]["id"].is_string(), "{first}");
    assert!(bo.post("/v1/me/next", "").await.json()["conversation"].is_null(), "he has no room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_that_begins_together_takes_each_conversation_once() {
    let real = real().await;
    for n in 0..25 {
        real.records(missed(&format!("CA{n}"), Some(&format!("+3804412345{n:02}")), n)).await;
    }
    let mut people = Vec::new();
    for n in 0..30 {
        people.push(real.person(&format!("Agent {n}"), Role::Agent).await);
    }
    let answers = futures::future::join_all(people.iter().map(|person| person.post("/v1/me/next", ""))).await;
    let mut taken: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.json()["conversation"]["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(taken.len(), 25);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 25, "nothing was given twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_who_claim_at_once_one_wins_and_the_others_are_told_who() {
    for real in each().await {
        real.records(missed("CA1", Some("+380441234567"), 0)).await;
        let claim = format!("{}/claim", path(&real.mia.get("/v1/conversations").await.items()[0]));
        let mut people = Vec::new();
        for n in 0..100 {
            people.push(real.person(&format!("Agent {n}"), Role::Agent).await);
        }
        let answers = futures::future::join_all(people.iter().map(|person| person.post(&claim, ""))).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        let owner = won[0].json()["assignee"].as_str().unwrap().to_owned();
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(answer.problem(), format!("409 {owner} has this conversation already"));
            assert_eq!(answer.problem_json()["owner"], owner);
        }
    }
}

#[tokio::test]
async fn what_rests_comes_back_and_its_promise_waits_with_it() {
    let (real, bo) = call_and_mail().await;
    real.clock.store(70, Ordering::Relaxed);
    let mail = bo.get("/v1/conversations?waiting=true").await.items()[0].clone();
    let snooze = format!("{}/snooze", path(&mail));
    let rests = bo.post(&snooze, r#"{"until":"2026-11-21T13:00:00Z"}"#).await.json();
    assert_eq!(
        (&rests["status"], &rests["snoozed_until"]),
        (&"snoozed".into(), &"2026-11-21T13:00:00Z".into())
    );
    assert_eq!((&rests["promises"][0]["state"], &rests["due_at"]), (&"paused".into(), &Value::Null));
    assert_eq!(bo.get("/v1/conversations?waiting=true&queue=mails").await.items().len(), 0);
    for (until, sentence) in [
        ("2026-11-21T12:01:10Z", "this has passed already"),
        ("2027-11-23T12:00:00Z", "nothing rests for more than 366 days"),
    ] {
        let refused = bo.post(&snooze, &format!(r#"{{"until":"{until}"}}"#)).await;
        assert_eq!(refused.problem(), format!("400 [until] {sentence}"));
    }
    real.clock.store(3_599, Ordering::Relaxed);
    real.turns().await;
    assert_eq!(bo.get(&path(&mail)).await.json()["status"], "snoozed");
    real.clock.store(3_600, Ordering::Relaxed);
    real.turns().await;
    let awake = bo.get(&path(&mail)).await.json();
    assert_eq!((&awake["status"], &awake["snoozed_until"]), (&"open".into(), &Value::Null));
    assert_eq!(awake["due_at"], "2026-11-21T13:09:50Z", "of its ten minutes ten seconds were gone");
    bo.post(&format!("{}/resolve", path(&mail)), "").await;
    let over = bo.post(&snooze, r#"{"until":"2026-11-21T14:00:00Z"}"#).await;
    assert_eq!(over.problem(), "409 the conversation is resolved already");
}

#[tokio::test]
async fn a_call_is_owed_until_it_is_done() {
    let (_real, bo) = call_and_mail().await;
    let mail = bo.get("/v1/conversations?waiting=true").await.items()[0].clone();
    let done = format!("{}/callback/done", path(&mail));
    assert_eq!(bo.post(&done, "").await.problem(), "409 no call is owed here");
    let owe = format!("{}/callback", path(&mail));
    let key = [("Idempotency-Key", "k")];
    let owed = bo.send("POST", &owe, &key, r#"{"note":"Wants a price\nfor two."}"#).await.json();
    assert_eq!((&owed["callback"]["attempts"], &owed["callback"]["done_at"]), (&0.into(), &Value::Null));
    let noted = bo.get(&format!("{}/timeline", path(&mail))).await.items();
    let notes: Vec<_> = noted.iter().filter(|entry| entry["kind"] == "note").collect();
    assert_eq!((notes.len(), &notes[0]["content"]["text"]), (1, &"Wants a price for two.".into()));
    assert_eq!(bo.post(&owe, "").await.status, 200, "without a word, and though it is owed already");
    let now = bo.post(&done, "").await.json();
    assert!(now["callback"]["done_at"].is_string(), "{now}");
    assert_eq!(bo.post(&done, "").await.status, 409);
}

#[tokio::test]
async fn a_promise_that_warns_and_breaks_is_told_to_everybody() {
    let (real, bo) = call_and_mail().await;
    let mut listener = Listener::open(&bo, "", &[]).await;
    for (at, notice, state) in [(540, "warned", "warned"), (660, "breached", "breached")] {
        real.clock.store(at, Ordering::Relaxed);
        real.turns().await;
        let told = data(&listener.next_of("deadline").await);
        assert_eq!((&told["promise"], &told["notice"]), (&"first_response".into(), &notice.into()));
        assert_eq!(told["due_at"], "2026-11-21T12:11:00Z");
        assert_eq!(told["conversation"]["promises"][0]["state"], state);
        assert_eq!(told["client"]["identifiers"][0]["value"], ADDRESS);
    }
}

#[tokio::test]
async fn what_was_told_in_one_look_is_told_each_as_it_was_however_late_it_is_read() {
    let (real, bo) = call_and_mail().await;
    let head = real.store.feed_head().await.unwrap();
    real.clock.store(2_000, Ordering::Relaxed);
    real.turns().await;
    // The mail's promise warned and broke, and the call's, before anybody looked.
    let told = async || -> Vec<String> {
        let mut listener = Listener::open(&bo, &format!("?after={head}"), &[]).await;
        let mut told = Vec::new();
        for _ in 0..4 {
            let data = data(&listener.next_of("deadline").await);
            told.push(format!("{} {} {}", data["promise"], data["notice"], data["due_at"]).replace('"', ""));
        }
        told.sort();
        told
    };
    let expected = [
        "callback breached 2026-11-21T12:15:00Z",
        "callback warned 2026-11-21T12:15:00Z",
        "first_response breached 2026-11-21T12:11:00Z",
        "first_response warned 2026-11-21T12:11:00Z",
    ];
    assert_eq!(told().await, expected);
    for item in bo.get("/v1/conversations?waiting=true").await.items() {
        assert_eq!(bo.post(&format!("{}/resolve", path(&item)), "").await.status, 200);
    }
    assert_eq!(told().await, expected);
}
