//! `frontdesk replay`: clients, contacts, entries and conversations made again from the log.

use std::process::ExitCode;

use anyhow::Context as _;
use timeline::replay;

use super::say;
use crate::config::Config;
use crate::storeroom::{self, Tables};

/// Everything happens in one transaction that keeps the recorder waiting; hooks go on into the journal.
pub(super) async fn run(config: &Config, check: bool) -> anyhow::Result<ExitCode> {
    let store = storeroom::open_store(config, Tables::AsTheyAre).await?;
    let replayed = replay(store.as_ref(), !check).await.context("could not replay the log")?;
    let clients = replayed.after.keys().filter(|client| client.is_some()).count();
    say(format_args!("{} events, {clients} clients", replayed.events));
    let mut different: Vec<_> = replayed
        .before
        .iter()
        .filter(|(client, digest)| replayed.after.get(client) != Some(digest))
        .map(|(client, _)| *client)
        .collect();
    different.extend(replayed.after.keys().filter(|client| !replayed.before.contains_key(client)));
    for client in &different {
        match client {
            Some(client) => say(format_args!("differs: {client}")),
            None => say("differs: what belongs to nobody"),
        }
    }
    match (different.is_empty(), check) {
        (true, _) => say("every digest is equal"),
        (false, false) => say(format_args!("{} rebuilt", different.len())),
        (false, true) => {
            say(format_args!("{} would be rebuilt", different.len()));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
