//! Whatever is killed under load, every call that was answered with 2xx is on the timeline exactly once,
//! and a reader of the feed that comes back all along sees no gap and no repetition.

use rustix::process::Signal;
use tests::account::balances;
use tests::process::Known;
use tests::wait::PATIENCE;
use tests::{App, Database, Load, Nats, Random, Setup, eventually, over_both_stores};

/// Enough that each kill meets a working house, few enough for two busy cores.
const CALLS: usize = 700;
const KILLS: usize = 6;

over_both_stores!(frontdesk_dies, the_supervised_nats_server_dies);

async fn frontdesk_dies(database: Database) {
    let mut random = Random::new();
    let mut app = Setup::up().line().on(&database).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let load = Load::start(&[app.pbx()], 0..CALLS, &mut random);
    for (nth, moment) in random.moments(KILLS, load.hooks()).into_iter().enumerate() {
        load.reaches(moment).await;
        follower.connects(nth + 1).await;
        // Every other time its nats-server goes with it, as when the power does.
        let both = app.nats_child().filter(|_| nth % 2 == 1);
        if let Some(nats) = both {
            nats.signal(Signal::KILL);
        }
        app.kill9().await;
        app.again().await;
    }
    let told = load.finish().await;
    balances(&app.setup, &agent, &follower, &told).await;
    assert!(follower.seen().connections > KILLS, "the reader was cut off by each kill");
    app.stop().await;
}

async fn the_supervised_nats_server_dies(database: Database) {
    let mut random = Random::new();
    let mut app = Setup::up().line().on(&database).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let load = Load::start(&[app.pbx()], 0..CALLS, &mut random);
    for moment in random.moments(KILLS, load.hooks()) {
        load.reaches(moment).await;
        supervised(&app).await.signal(Signal::KILL);
    }
    let told = load.finish().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// The nats-server of this moment: the one before may have just been killed.
async fn supervised(app: &App) -> Known {
    eventually("there is a nats-server", PATIENCE, async || app.nats_child().ok_or(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dies() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let mut app = Setup::up().line().on(&database).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let load = Load::start(&[app.pbx()], 0..CALLS, &mut random);
    for moment in random.moments(KILLS, load.hooks()) {
        load.reaches(moment).await;
        database.kill9();
        database.up();
    }
    let told = load.finish().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// Each role a process of its own, with NATS and PostgreSQL outside; whoever is hit is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_five_processes_dies() {
    let Some(database) = Database::postgres() else { return };
    let mut random = Random::new();
    let mut nats = Nats::start().await;
    let mut desk = Setup::run("core,api", &database, &nats).start().await;
    let mut doors = [
        Setup::run("phone", &database, &nats).start().await,
        Setup::run("phone", &database, &nats).start().await,
    ];
    let agent = desk.agent("reader").await;
    let follower = agent.follow();
    let pbxs = [doors[0].pbx(), doors[1].pbx()];
    let load = Load::start(&pbxs, 0..CALLS, &mut random);
    // Each of the five once, in any order, and then whom chance hits.
    let mut victims: Vec<usize> = (0..5).collect();
    random.shuffle(&mut victims);
    victims.extend((0..4).map(|_| random.below(5)));
    for (moment, victim) in random.moments(victims.len(), load.hooks()).into_iter().zip(victims) {
        load.reaches(moment).await;
        match victim {
            0 => {
                nats.kill9().await;
                nats.up().await;
            }
            1 => {
                database.kill9();
                database.up();
            }
            2 => {
                desk.kill9().await;
                desk.again().await;
            }
            door => {
                let door = &mut doors[door - 3];
                door.kill9().await;
                door.again().await;
            }
        }
    }
    let told = load.finish().await;
    balances(&desk.setup, &agent, &follower, &told).await;
    for door in &mut doors {
        door.stop().await;
    }
    desk.stop().await;
}
