//! `frontdesk journal drain DIR`: what an orphaned journal still holds is sent in.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use intake::Pace;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::say;
use crate::broker::Lane;
use crate::config::{Config, Wrong};
use crate::{doors, nats, stop, storeroom, wire};

/// Ends when core has confirmed everything, or at Ctrl-C; what is left stays in the folder.
pub(super) async fn drain(config: &Config, dir: &Path) -> anyhow::Result<ExitCode> {
    if config.nats.url.is_empty() {
        bail!(Wrong(vec!["[nats] url: say which NATS the journal is to be drained into".to_owned()]));
    }
    if !dir.is_dir() {
        bail!("{} is no folder", dir.display());
    }
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    stop::on_signals(token.clone())?;
    let bus = bus::Bus::connect(nats::bus_options(config, None)?, tracker.clone(), token.clone()).await?;
    let blobs = storeroom::blob_store(config)?;
    // Everything in it is old: nothing new waits behind it.
    let pace = Pace { republish_per_second: 20_000, ..Pace::default() };
    // The journal of imports is told by its name.
    let broker = if dir.ends_with("imports") { Lane::imports(bus) } else { Lane::contacts(bus) };
    let (door, task) = doors::open_door(dir, config, "contacts", broker, &blobs, &wire::real_clock(), pace)?;
    say(format_args!("{} records to send", door.status().unretired));
    let door_stop = CancellationToken::new();
    tracker.spawn(task.run(door_stop.clone()));
    tokio::select! {
        () = door.drained() => {}
        () = token.cancelled() => {}
    }
    let left = door.status().unretired;
    door_stop.cancel();
    token.cancel();
    tracker.close();
    tracker.wait().await;
    say(format_args!("{left} records left"));
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
