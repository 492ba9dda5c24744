//! Where the day is played: the running instance of the data folder, or one that is started for it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use timeline::{Role, Token};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::caller::Caller;
use crate::config::{Config, Wrong};
use crate::lock::{self, DataLock};
use crate::pipe::frame;
use crate::storeroom::{self, Tables};
use crate::{demo, wire};

/// Until a house that starts is ready: its first start makes the store and the streams.
const START: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whose house it is.
pub(super) enum House {
    /// It runs, and goes on running.
    Running,
    /// Nobody has the data folder: we do now, and run it ourselves.
    Ours(DataLock),
}

/// Nothing invented is told to real sources.
pub(super) fn refuse_real_sources(config: &Config) -> anyhow::Result<()> {
    if demo::is_wanted(config) {
        return Ok(());
    }
    let names = (config.phone.keys().map(|name| format!("[phone.{name}]")))
        .chain(config.email.keys().map(|name| format!("[email.{name}]")))
        .chain(config.chat.keys().map(|name| format!("[chat.{name}]")));
    bail!(Wrong(vec![format!(
        "{} configured: the demo plays on a line, a mailbox and a chat of its own, which there are only while no \
         source is; run it in an empty folder, without --config and FRONTDESK__…",
        is_or_are(&names.collect::<Vec<_>>())
    )]))
}

fn is_or_are(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// How it is reached from this machine.
pub(super) fn base(config: &Config) -> String {
    let mut listen = config.http.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{listen}")
}

/// Finds the house: one that answers, also one that only starts at this moment, else ours.
pub(super) async fn find(config: &Config) -> anyhow::Result<House> {
    if is_there(config).await {
        return Ok(House::Running);
    }
    let data = config.data.clone();
    let taken = tokio::task::spawn_blocking(move || lock::take(&data));
    tokio::select! {
        lock = taken => Ok(House::Ours(lock.context("could not wait for the lock")??)),
        () = async { while !is_there(config).await { sleep(LOOK_EVERY).await } } => Ok(House::Running),
    }
}

async fn is_there(config: &Config) -> bool {
    timeout(Duration::from_secs(1), TcpStream::connect(config.http.listen)).await.is_ok_and(|one| one.is_ok())
}

/// The keys of those of us who act, each valid: the same at every start, unless it was revoked.
pub(super) async fn keys(
    config: &Config,
    names: &[(&str, Role)],
) -> anyhow::Result<BTreeMap<String, Caller>> {
    let store = storeroom::open_store(config, Tables::Migrated).await?;
    let mut keys = BTreeMap::new();
    for (name, role) in names {
        let file = format!("{}{name}", demo::TOKEN_OF);
        let (mut secret, path) = demo::keep(&config.data, &file, demo::token)?;
        let mut known = store.token(&api::token_id(&secret)).await?;
        if known.as_ref().is_some_and(|token| token.revoked_at.is_some()) {
            std::fs::remove_file(&path).with_context(|| format!("could not remove {}", path.display()))?;
            (secret, known) = (demo::keep(&config.data, &file, demo::token)?.0, None);
        }
        if known.is_none() {
            let token = Token {
                id: api::token_id(&secret),
                name: (*name).to_owned(),
                role: *role,
                created_at: contact::micros((wire::real_clock())()),
                revoked_at: None,
            };
            store.add_token(&token).await.context("could not keep a token")?;
        }
        keys.insert((*name).to_owned(), Caller::new(&base(config), secret)?);
    }
    Ok(keys)
}

/// Waits until the house answers, and makes sure that its data are where we would write, and that it has the
/// demonstration's sources. Nothing is written before: it may be somebody's real house.
pub(super) async fn answers(config: &Config) -> anyhow::Result<()> {
    let http = crate::commands::http().timeout(START).build()?;
    let until = Instant::now() + START;
    // Of one that only starts the port is taken before it can answer, and everything is open when it does.
    let page = loop {
        match http.get(format!("{}/chat/{}/demo", base(config), demo::NAME)).send().await {
            Ok(page) => break page,
            Err(error) if error.is_connect() && Instant::now() < until => sleep(LOOK_EVERY).await,
            Err(_) => bail!("{}", elsewhere(config)),
        }
    };
    if !frame::socket(&config.data).exists() {
        bail!("{}", elsewhere(config));
    }
    if !page.status().is_success() {
        bail!(real_sources(config));
    }
    Ok(())
}

fn elsewhere(config: &Config) -> String {
    format!(
        "what answers at {} is no frontdesk with its data in {}; run the demo with the same --config and \
         FRONTDESK__DATA, or choose another port with FRONTDESK__HTTP__LISTEN",
        base(config),
        std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone()).display(),
    )
}

fn real_sources(config: &Config) -> Wrong {
    Wrong(vec![format!(
        "the frontdesk at {} has real sources, and nothing invented is told to those; run the demo in an empty \
         folder, on another port (FRONTDESK__HTTP__LISTEN)",
        base(config),
    )])
}

/// Waits until the house takes this key, and makes sure that all its sources are the demonstration's.
pub(super) async fn ready(config: &Config, caller: &Caller) -> anyhow::Result<()> {
    let until = Instant::now() + START;
    let sources = loop {
        match caller.ask("/v1/sources").await {
            Ok((status, body)) if status.is_success() => break body,
            Ok((status, _)) if status.as_u16() == 401 => bail!("{}", elsewhere(config)),
            Ok((_, body)) if Instant::now() > until => bail!("the house is not ready: {body}"),
            Err(error) if Instant::now() > until => return Err(error),
            Ok(_) | Err(_) => sleep(LOOK_EVERY).await,
        }
    };
    if sources["items"].as_array().is_some_and(|all| all.iter().all(|source| source["demo"] == true)) {
        return Ok(());
    }
    bail!(real_sources(config))
}

/// The text of a field, or nothing.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
