//! `frontdesk check-config`: what is in force, with secrets hidden.

use std::process::ExitCode;

use super::say;
use crate::config::Config;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    say(config.shown()?);
    Ok(ExitCode::SUCCESS)
}
