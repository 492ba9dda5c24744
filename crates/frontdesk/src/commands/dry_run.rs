//! `frontdesk dry-run`: what the configured rules would have done to the conversations of the last days.

use std::process::ExitCode;

use anyhow::Context as _;
use jiff::SignedDuration;
use timeline::rehearse;

use super::say;
use crate::config::Config;
use crate::storeroom::{self, Tables};
use crate::{demo, policy, wire};

pub(super) async fn run(config: &Config, days: u16) -> anyhow::Result<ExitCode> {
    let mut config = config.clone();
    if demo::was_played(&config) {
        demo::route(&mut config)?;
        say("Nothing is configured here, and the demonstration was: asked are its rules.");
    }
    let (config, policy) = (&config, policy::read(&config)?);
    let store = storeroom::open_store(config, Tables::AsTheyAre).await?;
    let since = (wire::real_clock())() - SignedDuration::from_hours(24 * i64::from(days));
    let run = rehearse(store.as_ref(), &policy, since).await.context("could not try the rules on the log")?;
    say(format_args!(
        "{} conversations of the last {days} days; {} would go another way, by what is known of the clients today",
        run.contacts, run.changed
    ));
    for (rule, count) in &run.by_rule {
        let rule = rule.as_deref().map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
        say(format_args!("{count:>8}  {rule}"));
    }
    for (queue, count) in &run.by_queue {
        say(format_args!("{count:>8}  queue {queue}"));
    }
    for (rule, count) in &run.failed {
        say(format_args!("{count:>8}  times rule {rule} gave no answer"));
    }
    Ok(ExitCode::SUCCESS)
}
