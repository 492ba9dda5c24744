//! `frontdesk migrate`: the store's tables as this version wants them.

use std::process::ExitCode;

use super::say;
use crate::config::Config;
use crate::storeroom::{self, Tables};

pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    storeroom::open_store(config, Tables::Migrated).await?;
    say("the store is up to date");
    Ok(ExitCode::SUCCESS)
}
