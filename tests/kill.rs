//! Whatever is killed under load, every call that was answered with 2xx is on the timeline exactly once,
//! and a reader of the feed that comes back all along sees no gap and no repetition.

use std::fs;

use rustix::process::Signal;
use tests::account::{balances, balances_beside};
use tests::post::mail;
use tests::process::Known;
use tests::setup::frontdesk;
use tests::wait::{PATIENCE, when};
use tests::{App, Database, Load, Nats, Post, Random, Setup, Visitor, eventually, over_both_stores};
use tokio_util::task::TaskTracker;

/// Enough that each kill meets a working house, few enough for two busy cores.
const CALLS: usize = 700;
const KILLS: usize = 6;

over_both_stores!(frontdesk_dies, the_supervised_nats_server_dies, every_door_keeps_its_word);

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

/// An upgrade may take the program's file away while it runs; its nats-server dies all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_supervised_nats_server_dies_after_an_upgrade() {
    let original = frontdesk();
    let folder =
        tempfile::tempdir_in(original.parent().expect("it is in a folder")).expect("could not make a folder");
    let program = folder.path().join("frontdesk");
    fs::hard_link(&original, &program).expect("could not link the program");
    let mut app = Setup::up().program(&program).start().await;
    fs::remove_file(&program).expect("could not take the program away");
    let before = supervised(&app).await;
    before.signal(Signal::KILL);
    eventually("another nats-server works", PATIENCE, async || match app.nats_child() {
        Some(now) if now.pid != before.pid && app.readiness().await.0 => Ok(()),
        other => Err(other.map(|now| now.pid)),
    })
    .await;
    app.stop().await;
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

/// Calls, mails in a mailbox and handed in, and chats, while everything is killed in turn: whatever was
/// answered "got it" is on the timeline once.
async fn every_door_keeps_its_word(database: Database) {
    const MAILS: usize = 60;
    const VISITORS: usize = 3;
    const LINES: usize = 20;
    let Some(post) = Post::start() else { return };
    let mut random = Random::new();
    let mut app = post.serves(Setup::up().line().widget().on(&database)).start().await;
    let agent = app.agent("reader").await;
    let follower = agent.follow();
    let load = Load::start(&[app.pbx()], 0..CALLS / 2, &mut random);
    let visitors = TaskTracker::new();
    let chats: Vec<_> = (0..VISITORS)
        .map(|nth| {
            let mut visitor = Visitor::new(&app.url());
            visitors.spawn(async move {
                visitor.connect().await;
                for line in 0..LINES {
                    visitor.say(&format!("v{nth}-{line}"), &format!("line {line} of {nth}")).await;
                }
            })
        })
        .collect();
    let mut mails = (0..MAILS).map(|nth| {
        mail(&format!("client-{}@client.example", nth % 7), &format!("m{nth}"), &format!("Mail {nth}"), "")
    });
    for (nth, moment) in random.moments(KILLS, load.hooks()).into_iter().enumerate() {
        load.reaches(moment).await;
        for mail in mails.by_ref().take(MAILS / KILLS) {
            post.deliver(&mail);
        }
        match nth % 3 {
            0 => {
                follower.connects(1).await;
                app.kill9().await;
                app.again().await;
            }
            1 => supervised(&app).await.signal(Signal::KILL),
            _ => {
                post.dovecot.kill9().expect("Dovecot is killed");
                post.dovecot.restart().expect("Dovecot is up again");
            }
        }
    }
    for chat in chats {
        chat.await.expect("a visitor said everything");
    }
    let told = load.finish().await;
    // What stood in the mailbox at the first start is imported, the rest is live: it is all recorded.
    let entries = MAILS + VISITORS * LINES;
    eventually("every mail and every line is there", PATIENCE, async || {
        let mails = agent.all("/v1/contacts?channel=email").await?.len();
        let mut lines = 0;
        for client in agent.all("/v1/clients").await? {
            let id = client["id"].as_str().unwrap_or_default().to_owned();
            lines += agent.all(&format!("/v1/clients/{id}/timeline?channel=chat")).await?.len();
        }
        when(mails == MAILS && lines == VISITORS * LINES, format!("{mails} mails, {lines} lines"))
    })
    .await;
    balances_beside(&app.setup, &agent, &follower, &told, entries).await;
    app.stop().await;
}
