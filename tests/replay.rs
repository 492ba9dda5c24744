//! The log is the truth: everything shown can be made again from it, and is then the same.

use reqwest::Method;
use tests::account::balances;
use tests::agent::ARRIVAL;
use tests::setup::{Answer, LINE};
use tests::wait::when;
use tests::{Call, Database, Load, Random, Setup, eventually, over_both_stores};

over_both_stores!(what_is_shown_can_be_made_again);

async fn what_is_shown_can_be_made_again(database: Database) {
    let mut random = Random::new();
    let mut app = Setup::up().line().on(&database).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    for (story, from) in
        [("voicemail", "+380671112233"), ("missed", "anonymous"), ("ringing", "+380671112244")]
    {
        let played = app.setup.ask(&["simulate", "phone", story, "--source", LINE, "--from", from]).await;
        assert_eq!(played.code, Some(0), "{played:?}");
    }
    let load = Load::start(&[app.pbx()], 0..200, &mut random);
    load.reaches(load.hooks() / 2).await;
    // While it is at work.
    is_equal(&app.setup.ask(&["replay", "--check"]).await);
    let mut told = load.finish().await;
    let calls = eventually("every call is recorded", ARRIVAL, async || {
        let calls = agent.calls().await?;
        when(calls.len() == told.len() + 3, calls.len().to_string()).map(|()| calls)
    })
    .await;
    // The simulated ones have ids of their own.
    told.extend(calls.into_iter().filter(|(id, _)| !told.contains_key(id)).collect::<Vec<_>>());
    balances(&app.setup, &agent, &follower, &told).await;

    // Somebody changes a row behind our back.
    let number = Call::nth(3).from;
    let client = agent.client_by_phone(&number).await;
    let id = client["id"].as_str().expect("an id").to_owned();
    let hex = id.trim_start_matches("cli_");
    let key = match &database {
        Database::Sqlite => format!("x'{hex}'"),
        Database::Postgres(_) => format!("'{hex}'::uuid"),
    };
    for forgery in [
        format!("update client set name = 'Mallory' where id = {key}"),
        format!("update entry set summary = 'nothing happened' where client_id = {key}"),
        format!("delete from identifier where client_id = {key}"),
    ] {
        assert!(database.tamper(&app.setup, &forgery).await > 0, "{forgery}");
        let check = app.setup.ask(&["replay", "--check"]).await;
        assert_eq!(check.code, Some(1), "{forgery}: {check:?}");
        let named: Vec<_> = check.stdout.lines().filter(|line| line.starts_with("differs: ")).collect();
        assert_eq!(named, [format!("differs: {id}")], "{forgery}: {check:?}");

        let healed = app.setup.ask(&["replay"]).await;
        assert_eq!(healed.code, Some(0), "{forgery}: {healed:?}");
        is_equal(&app.setup.ask(&["replay", "--check"]).await);
        assert_eq!(agent.client_by_phone(&number).await, client, "{forgery}");
    }
    let timeline = agent.get(&format!("/v1/clients/{id}/timeline")).await;
    assert!(!timeline.to_string().contains("nothing happened"), "{timeline}");

    // And it goes on as if nothing had been.
    let more = Load::start(&[app.pbx()], 200..230, &mut random).finish().await;
    told.extend(more);
    balances(&app.setup, &agent, &follower, &told).await;
    let (status, _) = agent.ask(Method::GET, "/readyz").await;
    assert_eq!(status, 200);
    app.stop().await;
}

fn is_equal(check: &Answer) {
    assert!(check.code == Some(0) && check.stdout.contains("every digest is equal"), "{check:?}");
}
