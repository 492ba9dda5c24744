//! The decision alone, in memory: 500 agents, 5,000 conversations nobody can take, and one after the other
//! that comes, is offered, accepted and done with.

use anyhow::Context as _;
use contact::{Channel, ConversationId, EventKey};
use jiff::{SignedDuration, Timestamp};
use routing::agent::{AgentName, Presence, Profile, Seat};
use routing::desk::{Arrival, Change, Desk, Standing, Work};
use routing::offer::Terms;
use routing::order::{Ageing, Priority};

use crate::figures::{Figure, Report, Target};
use crate::machine::micros;

const AGENTS: usize = 500;
const WAITING: usize = 5_000;
const ROUNDS: usize = 2_000;

pub(crate) fn measure(report: &Report) -> anyhow::Result<()> {
    let (terms, mut now) = (Terms::default(), Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1));
    let mut desk = Desk::default();
    let profile = Profile {
        queues: ["calls", "back"].map(str::to_owned).into(),
        capacity: [(Channel::Phone, 3)].into(),
        ..Profile::default()
    };
    for place in 0..AGENTS {
        let seat = Seat {
            profile: profile.clone(),
            presence: Presence::Available,
            connected: true,
            gone_since: None,
            idle_since: now,
            missed: 0,
        };
        desk.seat(&AgentName(format!("agent-{place:03}")), seat);
    }
    for number in 0..WAITING {
        desk.place(waiting("back", number, now)?);
    }
    let (mut slowest, began) = (0, micros());
    for number in WAITING..WAITING + ROUNDS {
        now += SignedDuration::from_millis(50);
        let since = micros();
        let mut work = waiting("calls", number, now)?;
        let conversation = work.arrival.place.conversation;
        desk.place(work.clone());
        let offer = desk.decide(&terms, now).changes.into_iter().find_map(|change| match change {
            Change::Offered { conversation: about, agent, .. } if about == conversation => Some(agent),
            _ => None,
        });
        work.standing = Standing::Assigned { agent: offer.context("nobody was asked")? };
        desk.place(work);
        desk.decide(&terms, now);
        desk.remove(conversation);
        desk.decide(&terms, now);
        desk.next_deadline(&terms);
        slowest = slowest.max(micros() - since);
    }
    let mean = (micros() - began) as f64 / ROUNDS as f64;
    report.heading(&format!("The decision alone, in memory: {AGENTS} agents, {WAITING} wait in vain"));
    let figure = |name: &str, value| Figure::ours(name, "us", vec![value], Target::None);
    report.figure(&figure("it comes, is offered, accepted, done with: mean", mean));
    report.figure(&figure("the slowest of these", slowest as f64));
    Ok(())
}

fn waiting(queue: &str, number: usize, now: Timestamp) -> anyhow::Result<Work> {
    let source = "phone/bench".parse().context("no source")?;
    let conversation = ConversationId::derived(&EventKey { source, id: number.to_string() }, now);
    let arrival = Arrival {
        channel: Channel::Phone,
        queue: queue.to_owned(),
        skills: if queue == "back" { ["nobody-has-it".to_owned()].into() } else { [].into() },
        place: Ageing::default().place(conversation, Priority::USUAL, now),
        knows: None,
    };
    Ok(Work { arrival, standing: Standing::Waiting, waits_since: now, resting: [].into() })
}
