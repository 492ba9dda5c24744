//! `frontdesk demo`: a day at a dental clinic, played through the real doors: signed webhooks, mails as a mail
//! system hands them in, chats over the socket, agents over the public API. It needs nothing but the program:
//! where no instance runs, it runs one, until Ctrl-C.

mod caller;
mod day;
mod exchange;
mod play;
mod stage;
mod summary;
mod teller;
mod visitor;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Context as _;
use clap::ValueEnum as _;
use jiff::SignedDuration;
use timeline::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::caller::Caller;
use self::day::Day;
use self::play::{Player, SUPERVISOR};
use self::stage::House;
use self::teller::print;
use crate::cli::{Demo, RoleName};
use crate::config::Config;
use crate::story::{Scene, Story};
use crate::{demo, metric, stop, wire};

/// Where a house that runs in this process writes its log: the terminal is the story's.
const LOG: &str = "demo.log";

pub(super) async fn run(config: Config, asked: Demo) -> anyhow::Result<ExitCode> {
    stage::refuse_real_sources(&config)?;
    let stop = CancellationToken::new();
    stop::on_signals(stop.clone())?;
    let house = tokio::select! {
        house = stage::find(&config) => house?,
        () = stop.cancelled() => return Ok(interrupted()),
    };
    let _lock = match house {
        House::Running => {
            return tokio::select! {
                told = told_there(config, &asked) => told.map(|()| ExitCode::SUCCESS),
                () = stop.cancelled() => Ok(interrupted()),
            };
        }
        House::Ours(lock) => lock,
    };
    let config = furnished(config)?;
    let log = log_to_file(&config)?;
    print(format_args!("No frontdesk runs here, so one is started in this process; its log is {log}"));
    let metrics = metric::install()?;
    let roles = RoleName::value_variants().iter().copied().collect();
    let mut house = TaskTracker::new().spawn(wire::run(config.clone(), roles, metrics, stop.clone(), None));
    let told = tokio::select! {
        told = told(&config, &asked) => told,
        ended = &mut house => {
            ended.context("the house broke")??;
            return Ok(interrupted());
        }
    };
    match &told {
        Err(_) if stop.is_cancelled() => {
            house.await.context("the house broke")??;
            return Ok(interrupted());
        }
        Ok(()) => {
            print("Ctrl-C stops; everything is kept, and `frontdesk up` or `frontdesk demo` goes on with it.")
        }
        Err(_) => stop.cancel(),
    }
    house.await.context("the house broke")??;
    told.map(|()| ExitCode::SUCCESS)
}

/// The same to a house that is somebody else's process.
async fn told_there(config: Config, asked: &Demo) -> anyhow::Result<()> {
    stage::answers(&config).await?;
    told(&furnished(config)?, asked).await
}

fn furnished(mut config: Config) -> anyhow::Result<Config> {
    demo::furnish(&mut config)?;
    Ok(config)
}

/// Plays a day if one is due, and tells what came of it.
async fn told(config: &Config, asked: &Demo) -> anyhow::Result<()> {
    let story = Story::day()?;
    stage::answers(config).await?;
    let _playing = day::lock(&config.data)?;
    let mut names = BTreeSet::new();
    for step in &story.steps {
        if let Scene::Arrive { agent, .. } | Scene::Claim { agent, .. } = &step.scene {
            names.insert(agent.as_str());
        }
    }
    let mut ours: Vec<_> = names.into_iter().map(|name| (name, Role::Agent)).collect();
    ours.push((SUPERVISOR, Role::Supervisor));
    let keys = stage::keys(config, &ours).await?;
    let supervisor: &Caller = keys.get(SUPERVISOR).context("there is a supervisor")?;
    stage::ready(config, supervisor).await?;

    let program = std::env::current_exe().context("could not find our own program")?.display().to_string();
    let speed = if asked.live { 1 } else { asked.speed };
    let latest = Day::latest(&config.data)?;
    let (number, ended) = latest.as_ref().map_or((0, true), |day| (day.number, day.ended_at.is_some()));
    let accepted = if number > 0 && ended && !asked.again {
        let at = latest.as_ref().and_then(|day| day.ended_at).unwrap_or_default();
        print(format_args!(
            "The day was played here already, {at:.0}, and is not played again without --again."
        ));
        latest.map_or(0, |day| day.accepted)
    } else {
        let day = match latest {
            Some(day) if !ended => {
                print(format_args!("Day {number} was broken off; it goes on where it was."));
                day
            }
            _ => {
                print(format_args!(
                    "Day {} at a dental clinic with one phone line, one mailbox and a chat:",
                    number + 1
                ));
                // Played faster than it happens, it has happened by the end: no call lies in the future.
                let length = i64::from(story.length_s());
                let lead = SignedDuration::from_secs(length)
                    - SignedDuration::from_secs(length) / speed.try_into()?;
                Day::begin(&config.data, number + 1, wire::real_clock()() - lead)?
            }
        };
        if asked.live {
            print(format_args!("\nWatch it: {}/console/#token={}\n", supervisor.base, supervisor.secret));
        }
        Player::new(config, &story, &keys, day)?.play(speed).await?.accepted
    };
    summary::print_all(supervisor, &story, accepted).await?;
    summary::print_ways_on(supervisor, &program, demo::NAME);
    Ok(())
}

/// Asked to stop in the middle.
fn interrupted() -> ExitCode {
    print("Stopped; `frontdesk demo` goes on from there.");
    ExitCode::from(130)
}

/// The log of a house in this process goes into a file. Returns where that is.
fn log_to_file(config: &Config) -> anyhow::Result<String> {
    let path = config.data.join(LOG);
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    super::start_log_in(&config.log, Mutex::new(file))?;
    Ok(path.display().to_string())
}
