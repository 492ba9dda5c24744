//! With the broker and the database away nothing is refused and nothing is lost, until the journal is full.

use std::time::Duration;

use serde_json::Value;
use tests::account::balances;
use tests::wait::PATIENCE;
use tests::wait::when;
use tests::{Call, Database, Facts, Load, Nats, Random, Setup, eventually, over_both_stores};

/// A flush takes milliseconds; a wait for a broker that does not answer would take many seconds.
const AT_ONCE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_and_database_are_away_for_a_while() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut app = Setup::up().line().on(&database).beside(&nats).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[app.pbx()], 0..50, &mut random).finish().await;
    agent.sees(&told).await;

    // They do not answer, which is worse than gone.
    nats.freeze();
    database.freeze();
    told.extend(Load::start(&[app.pbx()], 50..350, &mut random).finish_at_once(AT_ONCE).await);
    // They are gone.
    database.thaw();
    database.kill9();
    nats.kill9().await;
    told.extend(Load::start(&[app.pbx()], 350..650, &mut random).finish_at_once(AT_ONCE).await);
    eventually("readiness tells that bus and store are away", PATIENCE, async || {
        let (ready, body) = app.readiness().await;
        let away = |part: &str| body[part]["ok"] == Value::Bool(false);
        // What arrives is kept, so it is ready all the same.
        when(ready && away("bus") && away("store"), body.to_string())
    })
    .await;

    // And frontdesk itself is killed and started in the middle of it.
    app.kill9().await;
    app.launch();
    app.listens().await;
    told.extend(Load::start(&[app.pbx()], 650..800, &mut random).finish_at_once(AT_ONCE).await);
    let (ready, body) = app.readiness().await;
    assert!(!ready && body["journal"]["ok"] == Value::Bool(true), "no tables yet, but a journal: {body}");

    nats.up().await;
    database.up();
    app.ready().await;
    balances(&app.setup, &agent, &follower, &told).await;
    in_order_of_occurrence(&agent).await;
    app.stop().await;
}

/// However late and mixed they came, the calls of a client stand where they happened.
async fn in_order_of_occurrence(agent: &tests::Agent) {
    let client = agent.client_by_phone(&Call::nth(7).from).await;
    let path = format!("/v1/clients/{}/timeline", client["id"].as_str().expect("an id"));
    let entries = agent.all(&path).await.expect("the API answers");
    let calls: Vec<_> = entries.iter().map(|entry| entry["content"]["call_id"].clone()).collect();
    let expected: Vec<_> = (0..20).rev().map(|n| Value::from(Call::nth(7 + 40 * n).id)).collect();
    assert_eq!(calls, expected, "newest first");
}

over_both_stores!(
    the_broker_is_away_at_a_start,
    somebody_holds_the_database,
    the_broker_loses_its_last_messages,
    the_journal_is_full,
);

async fn the_broker_is_away_at_a_start(database: Database) {
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut app = Setup::up().line().on(&database).beside(&nats).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    nats.freeze();
    let mut told = Load::start(&[app.pbx()], 0..100, &mut random).finish_at_once(AT_ONCE).await;
    nats.kill9().await;
    app.stop().await;
    app.again().await;
    told.extend(Load::start(&[app.pbx()], 100..200, &mut random).finish_at_once(AT_ONCE).await);
    nats.up().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// As a copy, a repair or a careless hand at a prompt does.
async fn somebody_holds_the_database(database: Database) {
    let mut random = Random::new();
    let mut app = Setup::up().line().on(&database).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[app.pbx()], 0..50, &mut random).finish().await;
    agent.sees(&told).await;
    let held = database.hold(&app.setup).await;
    told.extend(Load::start(&[app.pbx()], 50..250, &mut random).finish_at_once(AT_ONCE).await);
    held.release().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// What a broker without a flush per message loses when the power goes: here much more than a tail.
async fn the_broker_loses_its_last_messages(database: Database) {
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut app = Setup::up().line().on(&database).beside(&nats).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[app.pbx()], 0..50, &mut random).finish().await;
    agent.sees(&told).await;
    nats.stop().await;
    let copy = nats.copy();
    nats.up().await;

    let mut next = 50;
    for _ in 0..3 {
        let load = Load::start(&[app.pbx()], next..next + 100, &mut random);
        load.reaches(20 + random.below(load.hooks() - 40)).await;
        nats.kill9().await;
        nats.set_back(&copy);
        nats.up().await;
        told.extend(load.finish().await);
        next += 100;
    }
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// All of it was published and confirmed by the broker, none of it recorded, when the broker forgets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_forgets_what_core_never_saw() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut core = Setup::run("core,api", &database, &nats).start().await;
    let mut door = Setup::run("phone", &database, &nats).start().await;
    let agent = core.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[door.pbx()], 0..50, &mut random).finish().await;
    agent.sees(&told).await;
    nats.stop().await;
    let copy = nats.copy();
    nats.up().await;

    core.stop().await;
    told.extend(Load::start(&[door.pbx()], 50..150, &mut random).finish().await);
    let hooks: usize = told.values().sum();
    eventually("everything is published", PATIENCE, async || {
        let published = door.metric("frontdesk_journal_published_total", "contacts").await.unwrap_or(0.0);
        when(published >= hooks as f64, published)
    })
    .await;
    nats.stop().await;
    nats.set_back(&copy);
    nats.up().await;
    // Others already write past the number where it lost its tail.
    told.extend(Load::start(&[door.pbx()], 150..200, &mut random).finish().await);
    core.again().await;
    balances(&core.setup, &agent, &follower, &told).await;
    door.stop().await;
    core.stop().await;
}

/// Neither waits a stop for them: what is asked of a server that stands still is never answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_no_server_that_stands_still() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut app = Setup::up().line().widget().mailbox().on(&database).beside(&nats).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[app.pbx()], 0..20, &mut random).finish().await;
    agent.sees(&told).await;
    database.freeze();
    nats.freeze();
    told.extend(Load::start(&[app.pbx()], 20..60, &mut random).finish_at_once(AT_ONCE).await);
    app.stop().await;
    database.thaw();
    nats.kill9().await;
    nats.up().await;
    app.again().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// A disk that is full remains so for nats-server when there is room again: it has to be started anew. Here no file
/// of its process may grow, which the next one knows nothing of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_our_own_broker_is_full() {
    let mut random = Random::new();
    let mut app = Setup::up().line().start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let mut told = Load::start(&[app.pbx()], 0..20, &mut random).finish().await;
    agent.sees(&told).await;
    let broker = app.nats_child().expect("a nats-server of its own");
    broker.may_write_no_more();
    told.extend(Load::start(&[app.pbx()], 20..60, &mut random).finish_at_once(AT_ONCE).await);
    eventually("the broker that cannot write is ended", PATIENCE, async || {
        when(!broker.lives(), app.log().lines().filter(|line| line.contains("write error")).count())
    })
    .await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

async fn the_journal_is_full(database: Database) {
    let mut nats = Nats::start().await;
    let setup = Setup::up().line().on(&database).beside(&nats);
    let setup = setup.with("journal.segment_bytes", 65_536).with("journal.max_bytes", 131_072);
    let mut app = setup.start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    nats.kill9().await;

    let pbx = app.pbx();
    let mut told = Facts::new();
    let mut nth = 0;
    let refusal = loop {
        assert!(nth < 2_000, "131,072 bytes hold 2,000 hooks");
        let answer = pbx.try_send(&Call::nth(nth).ringing()).await.expect("no answer to a hook");
        if !answer.status().is_success() {
            break answer;
        }
        told.insert(Call::nth(nth).id, 1);
        nth += 1;
    };
    assert!(nth > 50, "it was full after {nth} hooks");
    assert_eq!(refusal.status(), 503);
    let pause = refusal.headers().get("retry-after").expect("503 says when to come back");
    assert!(pause.to_str().is_ok_and(|pause| pause.parse::<u32>().is_ok_and(|s| s > 0)), "{pause:?}");
    let problem: Value = refusal.json().await.expect("a problem");
    assert_eq!(problem["status"], 503);
    eventually("the alarm is given", PATIENCE, async || {
        let full = app.metric("frontdesk_journal_full", "contacts").await;
        let (ready, body) = app.readiness().await;
        let told = app.log().lines().any(|line| line.contains("journal") && line.contains("full"));
        when(full == Some(1.0) && !ready && told, format!("{full:?}, told: {told}, {body}"))
    })
    .await;

    nats.up().await;
    let tries = pbx.insists(&Call::nth(nth).ringing()).await;
    told.insert(Call::nth(nth).id, 1);
    eprintln!("taken again after {tries} tries");
    balances(&app.setup, &agent, &follower, &told).await;
    eventually("it is ready again", PATIENCE, async || {
        let (ready, body) = app.readiness().await;
        let full = app.metric("frontdesk_journal_full", "contacts").await;
        when(ready && full == Some(0.0), format!("{full:?}: {body}"))
    })
    .await;
    app.stop().await;
}
