//! Who waits is offered to somebody, one has it, and what was promised is told once: also to those who are
//! killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::follow::Told;
use tests::wait::{PATIENCE, when};
use tests::{Agent, App, Call, Database, Follower, Random, Setup, eventually, over_both_stores};

over_both_stores!(
    a_valued_caller_is_offered_with_a_deadline_and_has_one_agent,
    a_hundred_who_want_it_are_one_who_has_it,
    who_is_gone_is_asked_no_more_and_what_they_had_is_offered_to_others,
    a_telephone_that_rings_shows_its_client,
    killed_in_the_middle_of_offers_and_clocks_nothing_is_lost_and_nothing_said_twice,
);

const RULES: &str = r#"
[routing.segments]
vip = 30

[routing.rules.vip-calls]
order = 1
when = "event.channel == 'phone' && client.segment == 'vip'"
queue = "key-accounts"
skills = ["contracts"]
promises.callback = { within_s = 3600 }

[routing.rules.calls]
order = 2
when = "event.channel == 'phone'"
promises.callback = { within_s = 5 }
"#;

/// A program with these rules and offers that stand for so long.
fn house(database: &Database, offer_s: u32) -> Setup {
    let setup = Setup::up().line().on(database);
    let file = setup.folder().join("routing.toml");
    fs::write(&file, RULES).expect("could not write the rules");
    setup
        .variable("FRONTDESK_CONFIG", file.to_str().expect("a path of letters"))
        .with("offers.offer_s.phone", offer_s)
        .with("offers.rest_s", 1)
        .with("offers.grace_s", 1)
        .with("offers.missed_offers", 1_000)
}

#[expect(clippy::disallowed_methods, reason = "who calls now is promised something from now on")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The `nth` call of a story, of a caller of its own, at this moment.
fn calls(nth: usize) -> Call {
    let began_s = now().duration_since(Call::epoch()).as_secs();
    Call { began_s, ..Call::nth(nth).from(&number(nth)) }
}

fn number(nth: usize) -> String {
    format!("+38050200{nth:04}")
}

/// Somebody who can take so many calls, and says that they are here.
async fn hire(app: &App, name: &str, queues: &[&str], skills: &[&str], at_once: u16) -> Agent {
    let agent = app.hired("agent", name).await;
    let profile =
        json!({ "queues": queues, "skills": skills, "capacity": { "phone": at_once }, "extensions": [name] });
    let (status, body) = agent.put("/v1/me", &profile).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = agent.put("/v1/me/presence", &json!({ "presence": "available" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    agent
}

/// Opens their console, and waits until it counts.
async fn console(agent: &Agent) -> Follower {
    let follower = agent.follow();
    eventually("the console counts", PATIENCE, async || {
        let me = agent.get("/v1/me").await;
        when(me["connected"] == true, me)
    })
    .await;
    follower
}

/// What they are asked right now.
async fn asked(agent: &Agent) -> Result<Vec<Value>, String> {
    let answer = agent.try_ask(Method::GET, "/v1/reservations").await.map_err(|error| error.to_string())?;
    let mut body: Value = answer.json().await.map_err(|error| error.to_string())?;
    match body["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Err(body.to_string()),
    }
}

async fn waiting(agent: &Agent, count: usize) -> Vec<Value> {
    eventually("they wait", PATIENCE, async || {
        let rows = agent.all("/v1/conversations?waiting=true").await?;
        if rows.len() == count { Ok(rows) } else { Err(json!(rows).to_string()) }
    })
    .await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, and not {value}")).to_owned()
}

fn moment(value: &Value) -> Timestamp {
    text(value).parse().expect("a moment")
}

async fn replays(app: &App) {
    let check = app.setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
}

async fn a_valued_caller_is_offered_with_a_deadline_and_has_one_agent(database: Database) {
    let mut app = house(&database, 3_600).start().await;
    let boss = app.hired("supervisor", "boss").await;
    let anna = hire(&app, "anna", &["key-accounts"], &["contracts"], 1).await;
    let ben = hire(&app, "ben", &["key-accounts"], &[], 1).await;
    let (annas, bens) = (console(&anna).await, console(&ben).await);
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

async fn a_hundred_who_want_it_are_one_who_has_it(database: Database) {
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

async fn who_is_gone_is_asked_no_more_and_what_they_had_is_offered_to_others(database: Database) {
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
    // Both come to Ben though no offer of theirs has ended by itself: they stand for an hour.
    let rows = eventually("Ben is asked for both", PATIENCE, async || {
        let rows = asked(&ben).await?;
        if rows.len() == 2 { Ok(rows) } else { Err(json!(rows).to_string()) }
    })
    .await;
    assert!(rows.iter().any(|row| row["conversation"]["id"] == json!(had)), "{rows:?}");
    assert_eq!(anna.get("/v1/reservations").await["items"], json!([]));
    assert_eq!(anna.get("/v1/me").await["connected"], false);
    for row in rows {
        let (status, body) =
            ben.post(&format!("/v1/reservations/{}/accept", text(&row["id"])), &Value::Null).await;
        assert_eq!((status, &body["assignee"]), (StatusCode::OK, &json!("ben")), "{body}");
    }
    replays(&app).await;
    app.stop().await;
}

async fn a_telephone_that_rings_shows_its_client(database: Database) {
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

/// What a story of kills knows.
struct Story {
    reader: Agent,
    watch: Follower,
    agents: Vec<Agent>,
    /// Who waits or waited, by conversation: when their clock began.
    callers: BTreeMap<String, Timestamp>,
    /// When each offer ends, by its id.
    ends: BTreeMap<String, Timestamp>,
    taken: BTreeSet<String>,
}

impl Story {
    fn offers(&self) -> Vec<Told> {
        self.watch.seen().told.into_iter().filter(|told| told.event == "reservation").collect()
    }

    /// Waits for so many more messages about offers.
    async fn goes_on(&self, more: usize) {
        let enough = self.offers().len() + more;
        self.watch.hears("reservation", "offers go on", |told| told.len() >= enough).await;
    }

    /// One of them takes something, if they are offered anything; somebody may be faster, or it may be over.
    async fn takes(&mut self, nth: usize) {
        let agent = &self.agents[nth % self.agents.len()];
        let rows = asked(agent).await.expect("what they are offered");
        let Some(row) = rows.first() else { return };
        let (status, body) =
            agent.post(&format!("/v1/reservations/{}/accept", text(&row["id"])), &Value::Null).await;
        if status == StatusCode::OK {
            self.taken.insert(text(&body["id"]));
        } else {
            assert_eq!(status, StatusCode::CONFLICT, "{body}");
        }
    }

    /// Whoever was not taken waits, in order; an offer that stood stands until the moment it had.
    async fn is_intact(&mut self) {
        let rows = eventually("the waiting list is there", PATIENCE, async || {
            self.reader.all("/v1/conversations?waiting=true").await
        })
        .await;
        let ids: BTreeSet<_> = rows.iter().map(|row| text(&row["id"])).collect();
        let expected: BTreeSet<_> =
            self.callers.keys().filter(|id| !self.taken.contains(*id)).cloned().collect();
        assert_eq!((ids.len(), &ids), (rows.len(), &expected), "who waits");
        let ranks: Vec<_> = rows.iter().map(|row| row["rank"].as_i64()).collect();
        assert!(ranks.is_sorted() && ranks.iter().all(Option::is_some), "{ranks:?}");
        for row in rows {
            if let (Some(id), until) = (row["offer"]["id"].as_str(), &row["offer"]["until"]) {
                let until = moment(until);
                assert_eq!(
                    *self.ends.entry(id.to_owned()).or_insert(until),
                    until,
                    "{id} ends when it was to end"
                );
            }
        }
    }
}

async fn killed_in_the_middle_of_offers_and_clocks_nothing_is_lost_and_nothing_said_twice(
    database: Database,
) {
    const CALLERS: usize = 10;
    const KILLS: usize = 5;
    let mut random = Random::new();
    let mut app = house(&database, 2).start().await;
    let reader = app.agent("reader").await;
    let watch = reader.follow();
    let mut agents = Vec::new();
    for name in ["anna", "ben", "cleo"] {
        agents.push(hire(&app, name, &["default"], &[], 100).await);
    }
    let mut consoles = Vec::new();
    for agent in &agents {
        consoles.push(console(agent).await);
    }
    let mut began = BTreeMap::new();
    for nth in 0..CALLERS {
        let call = calls(nth);
        app.pbx().tells(&call.missed()).await;
        began.insert(number(nth), Call::epoch() + SignedDuration::from_secs(call.began_s));
    }
    let rows = waiting(&reader, CALLERS).await;
    let mut callers = BTreeMap::new();
    for row in &rows {
        let since = moment(&row["waiting_since"]);
        assert!(began.values().any(|at| *at == since), "{row}");
        callers.insert(text(&row["id"]), since);
    }
    let mut story = Story { reader, watch, agents, callers, ends: BTreeMap::new(), taken: BTreeSet::new() };

    for nth in 0..KILLS {
        story.goes_on(1 + random.below(6)).await;
        if random.below(2) == 0 {
            story.takes(random.below(3)).await;
        }
        story.is_intact().await;
        match (nth % 3, &database) {
            (2, Database::Postgres(_)) => {
                database.kill9();
                database.up();
                app.well().await;
            }
            (which, _) => {
                // Every other time its nats-server goes with it, as when the power does.
                if let Some(nats) = app.nats_child().filter(|_| which == 1) {
                    nats.signal(Signal::KILL);
                }
                app.kill9().await;
                app.again().await;
            }
        }
        story.is_intact().await;
    }
    let passed = |told: &[Told]| told.iter().any(|told| told.data["reservation"]["state"] == "timed_out");
    story.watch.hears("reservation", "some offer was not answered", passed).await;
    // Everybody takes what they are offered, until nobody waits.
    eventually("everybody is served", PATIENCE, async || {
        for nth in 0..3 {
            story.takes(nth).await;
        }
        when(story.taken.len() == CALLERS, story.taken.len())
    })
    .await;
    assert_eq!(waiting(&story.reader, 0).await.len(), 0);
    story.is_intact().await;

    // What was promised of each warned and broke, once each, at its moment.
    let told =
        story.watch.hears("deadline", "every promise is broken", |told| told.len() >= 2 * CALLERS).await;
    let mut notices: BTreeMap<String, usize> = BTreeMap::new();
    for Told { data, at, .. } in &told {
        let id = text(&data["conversation"]["id"]);
        let due = story.callers[&id] + SignedDuration::from_secs(5);
        assert_eq!((&data["promise"], moment(&data["due_at"])), (&json!("callback"), due), "{data}");
        assert!(data["notice"] == "warned" || *at >= due, "told before it was so: {data}");
        *notices.entry(id).or_default() += 1;
    }
    assert!(notices.values().all(|count| *count == 2) && notices.len() == CALLERS, "{notices:?}");
    for id in story.callers.keys() {
        let row = story.reader.get(&format!("/v1/conversations/{id}")).await;
        let [promise] = row["promises"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            panic!("{row}")
        };
        assert_eq!((&promise["state"], &row["status"]), (&json!("breached"), &json!("open")), "{row}");
    }

    // Of each conversation one offer at a time: it begins, it ends, and then the next begins.
    let offers = story.offers();
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for Told { data, at, .. } in &offers {
        let row = &data["reservation"];
        let (id, conversation) = (text(&row["id"]), text(&row["conversation"]["id"]));
        let until = moment(&row["until"]);
        assert_eq!(*story.ends.entry(id.clone()).or_insert(until), until, "{row}");
        assert!(row["state"] != "timed_out" || *at >= until, "it ended before its time: {row}");
        if begun.insert(id.clone()) {
            let before = open.insert(conversation.clone(), id);
            assert_eq!(before, None, "{conversation} is offered twice at once");
        } else {
            assert_eq!(
                open.remove(&conversation).as_ref(),
                Some(&id),
                "another offer than the open one ended"
            );
            assert!(ended.insert(id), "it ended twice: {row}");
        }
    }
    assert_eq!((open.len(), begun.len()), (0, ended.len()), "every offer has ended");
    assert!(begun.len() > CALLERS, "{} offers were passed on", begun.len());
    replays(&app).await;
    let (status, _) = story.reader.ask(Method::GET, "/readyz").await;
    assert!(status.is_success());
    drop(consoles);
    app.stop().await;
}
