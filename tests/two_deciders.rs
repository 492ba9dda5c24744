//! Several cores on one database: one decides, the others stand by, and each call is recorded once.

use tests::account::balances;
use tests::{Database, Load, Nats, Random, Setup};

const CALLS: usize = 400;
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cores_never_decide_at_once_and_either_may_die() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let nats = Nats::start().await;
    let mut api = Setup::run("api", &database, &nats).start().await;
    let mut door = Setup::run("phone", &database, &nats).start().await;
    let mut cores = [
        Setup::run("core", &database, &nats).start().await,
        Setup::run("core", &database, &nats).start().await,
    ];
    let agent = api.agent("reader").await;
    let follower = agent.follow();
    let load = Load::start(&[door.pbx()], 0..CALLS, &mut random);
    for (nth, moment) in random.moments(KILLS, load.hooks()).into_iter().enumerate() {
        load.reaches(moment).await;
        let core = &mut cores[nth % 2];
        core.kill9().await;
        core.again().await;
    }
    let told = load.finish().await;
    balances(&api.setup, &agent, &follower, &told).await;

    // Without any of them nothing is recorded and nothing is lost; with one, all of it is.
    for core in &mut cores {
        core.stop().await;
    }
    let more = Load::start(&[door.pbx()], CALLS..CALLS + 50, &mut random).finish().await;
    assert_eq!(agent.calls().await.expect("the API answers"), told, "nobody decides");
    cores[0].again().await;
    let told = told.into_iter().chain(more).collect();
    balances(&api.setup, &agent, &follower, &told).await;
    cores[0].stop().await;
    door.stop().await;
    api.stop().await;
}
