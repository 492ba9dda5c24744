//! `frontdesk simulate`: the part of a source, played against a running instance through its real doors.

pub(super) mod chat;
pub(super) mod email;
pub(super) mod phone;

use anyhow::{Context as _, bail};

use super::say;
use crate::config::Config;
use crate::demo;

pub(super) use chat::run as chat;
pub(super) use email::run as email;
pub(super) use phone::run as phone;

/// The configuration, with the demo's sources where there are none.
fn furnished(config: &Config) -> anyhow::Result<Config> {
    let mut config = config.clone();
    if demo::is_wanted(&config) {
        demo::furnish(&mut config)?;
    }
    Ok(config)
}

/// The source that was named, or the only one there is.
fn chosen<'a>(
    given: Option<&'a str>,
    mut names: impl Iterator<Item = &'a String>,
) -> anyhow::Result<&'a str> {
    if let Some(name) = given {
        return Ok(name);
    }
    let first = names.next().context("no such source is configured")?;
    if names.next().is_some() {
        bail!("several are configured; say which with --source");
    }
    Ok(first)
}
