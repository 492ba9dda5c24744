//! Offers and promises outlive whoever dies in the middle of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::follow::Told;
use tests::wait::{PATIENCE, when};
use tests::{Agent, Call, Database, Follower, Random, eventually};

use crate::house::{asked, calls, console, hire, house, moment, number, replays, text, waiting};

pub(crate) async fn an_offer_outlives_the_process_that_made_it(database: Database) {
    /// Agents of a process that says nothing for 15 seconds are gone; of one that was killed, after 10 or more.
    const BELIEVED: Duration = Duration::from_secs(9);
    let mut app = house(&database, 3_600).start().await;
    let anna = hire(&app, "anna", &["default"], &[], 2).await;
    let annas = console(&anna).await;
    app.pbx().tells(&calls(1).missed()).await;
    let first = annas.hears("reservation", "Anna is asked", |told| !told.is_empty()).await;
    let offer = first[0].data["reservation"].clone();
    let killed_at = Instant::now();
    app.kill9().await;
    app.again().await;
    annas.connects(2).await;
    // A machine too slow for Anna to be back before she is taken for gone shows nothing.
    let stayed = killed_at.elapsed() < BELIEVED;
    // Whoever decides now has looked at what there was, and asks somebody else about the next.
    let ben = hire(&app, "ben", &["default"], &[], 2).await;
    let _bens = console(&ben).await;
    app.pbx().tells(&calls(2).missed()).await;
    let rows = eventually("both are offered", PATIENCE, async || {
        let rows = [asked(&anna).await?, asked(&ben).await?].concat();
        if rows.len() == 2 { Ok(rows) } else { Err(json!(rows).to_string()) }
    })
    .await;
    let stands = rows.iter().find(|row| row["conversation"]["id"] == offer["conversation"]["id"]);
    let stands = stands.expect("what she was asked about");
    if stayed {
        assert_eq!((&stands["id"], &stands["until"]), (&offer["id"], &offer["until"]), "{rows:?}");
    }
    for row in &rows {
        let path = format!("/v1/reservations/{}/accept", text(&row["id"]));
        let agent = if row["agent"] == "anna" { &anna } else { &ben };
        let (status, body) = agent.post(&path, &Value::Null).await;
        assert_eq!((status, &body["assignee"]), (StatusCode::OK, &row["agent"]), "{body}");
    }
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

pub(crate) async fn killed_in_the_middle_of_offers_and_clocks_nothing_is_lost_and_nothing_said_twice(
    database: Database,
) {
    const CALLERS: usize = 10;
    const KILLS: usize = 5;
    let mut random = Random::new();
    let mut app = house(&database, 2).start().await;
    let reader = app.agent("reader").await;
    let watch = reader.follow();
    let names = ["anna", "ben", "cleo"];
    let mut agents = Vec::new();
    for name in names {
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
    let passed = |told: &Told| {
        let row = &told.data["reservation"];
        row["state"] == "timed_out" && !story.taken.contains(&text(&row["conversation"]["id"]))
    };
    let told =
        story.watch.hears("reservation", "some offer was not answered", |told| told.iter().any(passed)).await;
    // Who was too slow is too late, though nobody else has it yet.
    let late = told.iter().find(|told| passed(told)).expect("it was told").data["reservation"].clone();
    let whose = names.iter().position(|name| late["agent"] == *name).expect("one of them");
    let path = format!("/v1/reservations/{}/accept", text(&late["id"]));
    let (status, body) = story.agents[whose].post(&path, &Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
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
    let offers = story
        .watch
        .hears("reservation", "every offer was told to begin and to end", |told| {
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            for id in told.iter().filter_map(|told| told.data["reservation"]["id"].as_str()) {
                *times.entry(id).or_default() += 1;
            }
            let taken = told.iter().filter(|told| told.data["reservation"]["state"] == "accepted");
            let taken = taken.filter_map(|told| told.data["reservation"]["conversation"]["id"].as_str());
            taken.collect::<BTreeSet<_>>().len() == CALLERS && times.values().all(|times| *times >= 2)
        })
        .await;
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
