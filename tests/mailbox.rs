//! A mailbox that several processes watch, and that is made anew under them.

use tests::post::mail;
use tests::wait::{PATIENCE, when};
use tests::{Agent, Database, Nats, Post, Random, Setup, eventually};

const MAILS: usize = 240;

/// Waits until so many mails are on the timeline, each once.
async fn arrive(agent: &Agent, count: usize) {
    eventually("every mail is there, once", PATIENCE, async || {
        let mails = agent.all("/v1/contacts?channel=email").await?;
        let mut subjects: Vec<_> = mails.iter().map(|mail| mail["content"]["subject"].to_string()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        when(mails.len() == count && subjects.len() == count, format!("{} of {count}", mails.len()))
    })
    .await;
}

fn nth(nth: usize) -> String {
    mail(&format!("client-{}@client.example", nth % 9), &format!("m{nth}"), &format!("Mail {nth}"), "")
}

/// Two processes watch it over one cursor; whichever is killed, the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_watch_it_and_either_is_killed() {
    let (Some(database), Some(post)) = (Database::postgres(), Post::start()) else { return };
    let mut random = Random::new();
    let nats = Nats::start().await;
    let mut desk = Setup::run("core,api", &database, &nats).start().await;
    let watcher = || post.serves(Setup::run("email", &database, &nats));
    let mut watchers = [watcher().start().await, watcher().start().await];
    let agent = desk.agent("reader").await;
    for half in 0..4 {
        for one in 0..MAILS / 4 {
            post.deliver(&nth(half * MAILS / 4 + one));
        }
        let victim = &mut watchers[random.below(2)];
        victim.kill9().await;
        if half % 2 == 0 {
            // The other one alone brings everything.
            arrive(&agent, (half + 1) * MAILS / 4).await;
        }
        victim.again().await;
    }
    arrive(&agent, MAILS).await;
    for watcher in &mut watchers {
        watcher.stop().await;
    }
    desk.stop().await;
}

/// The mailbox is deleted and made again, with other numbers for its mails: what is there again is the same
/// mail, what is new is told, nothing is told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_numbers_begin_anew() {
    let Some(post) = Post::start() else { return };
    let mut app = post.serves(Setup::up()).start().await;
    let agent = app.agent("reader").await;
    for one in 0..20 {
        post.deliver(&nth(one));
    }
    arrive(&agent, 20).await;
    app.stop().await;
    post.made_anew();
    for one in 10..30 {
        post.deliver(&nth(one));
    }
    app.again().await;
    arrive(&agent, 30).await;
    let check = app.setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    app.stop().await;
}
