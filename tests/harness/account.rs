//! Count in, count out.

use crate::agent::Agent;
use crate::follow::Follower;
use crate::load::Facts;
use crate::setup::Setup;

/// Waits until everything that was told is recorded, and holds every view of it against the others: the
/// contacts, the feed as one reader saw it all along, the log, and the projections made again from it.
///
/// # Panics
/// When something is missing, there twice, or different.
pub async fn balances(setup: &Setup, agent: &Agent, follower: &Follower, told: &Facts) {
    balances_beside(setup, agent, follower, told, 0).await;
}

/// The same, where so many mails and chat lines were told too, each of which is one event and one entry.
///
/// # Panics
/// As [`balances`].
pub async fn balances_beside(setup: &Setup, agent: &Agent, follower: &Follower, told: &Facts, others: usize) {
    agent.sees(told).await;
    follower.sees(told).await;
    let facts: usize = told.values().sum::<usize>() + others;
    let head = feed_head(setup).await;
    // What the feed shows is the present state, so the last one may be seen before the last change is told.
    let seen = follower.reaches(head).await;
    assert_eq!(seen.events.get("entry"), Some(&facts), "the feed tells of each fact once");
    assert_eq!(seen.last, head, "the follower is at the head of the feed");

    let check = setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check.stdout.starts_with(&format!("{facts} events, ")),
        "the log holds {facts} events: {check:?}"
    );
    assert!(check.stdout.contains("every digest is equal"), "{check:?}");
}

/// The last position of the feed.
///
/// # Panics
/// When the store cannot be asked.
pub async fn feed_head(setup: &Setup) -> u64 {
    let answer = setup.ask(&["doctor"]).await;
    let told =
        answer.stdout.lines().find_map(|line| line.split_once("the feed is at ")?.1.trim().parse().ok());
    told.unwrap_or_else(|| panic!("the doctor does not tell where the feed is: {answer:?}"))
}
