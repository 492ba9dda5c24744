//! `frontdesk journal drain DIR`: what an orphaned journal still holds is sent in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use intake::Pace;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::say;
use crate::broker::Lane;
use crate::config::{Config, Wrong};
use crate::{doors, nats, stop, storeroom, wire};

/// A journal, by the name of its folder, which says whose it is.
const LANES: [&str; 3] = ["contacts", "imports", "quarantine"];

/// Ends when core has confirmed everything, or at Ctrl-C; what is left stays in the folder.
pub(super) async fn drain(config: &Config, dir: &Path) -> anyhow::Result<ExitCode> {
    if config.nats.url.is_empty() {
        bail!(Wrong(vec!["[nats] url: say which NATS the journal is to be drained into".to_owned()]));
    }
    let journals = journals(dir)?;
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    stop::on_signals(token.clone())?;
    let bus = bus::Bus::connect(nats::bus_options(config, None)?, tracker.clone(), token.clone()).await?;
    let blobs = storeroom::blob_store(config)?;
    // Everything in it is old: nothing new waits behind it.
    let pace = Pace { republish_per_second: 20_000, ..Pace::default() };
    let mut left = 0;
    for (lane, folder) in journals {
        let broker = match lane {
            "imports" => Lane::imports(bus.clone()),
            "quarantine" => Lane::quarantine(bus.clone()),
            _ => Lane::contacts(bus.clone()),
        };
        let (door, task) =
            doors::open_door(&folder, config, lane, broker, &blobs, &wire::real_clock(), pace.clone())?;
        say(format_args!("{lane}: {} records to send", door.status().unretired));
        let door_stop = CancellationToken::new();
        let sending = tracker.spawn(task.run(door_stop.clone()));
        tokio::select! {
            () = door.drained() => {}
            () = token.cancelled() => {}
        }
        let behind = door.status().unretired;
        door_stop.cancel();
        sending.await.context("could not wait for the journal")?;
        say(format_args!("{lane}: {behind} records left"));
        left += behind;
    }
    token.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The journals of a data folder, or one of them by itself.
fn journals(dir: &Path) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let whole = dir.canonicalize().with_context(|| format!("could not find {}", dir.display()))?;
    let within = |folder: PathBuf| LANES.map(|lane| (lane, folder.join(lane)));
    let alone = LANES.into_iter().find(|lane| whole.ends_with(lane)).map(|lane| (lane, whole.clone()));
    let all = within(whole.join("journal")).into_iter().chain(within(whole.clone())).chain(alone);
    let found: Vec<_> = all.filter(|(_, folder)| is_journal(folder)).collect();
    if found.is_empty() {
        bail!(
            "{} is no data folder with a journal in it, and no journal called {}",
            dir.display(),
            LANES.join(", ")
        );
    }
    Ok(found)
}

fn is_journal(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| PathBuf::from(file.file_name())).any(|name| {
        name.extension().is_some_and(|extension| extension == "seg") || name.as_os_str() == "journal.lock"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_its_journals_and_what_is_none_is_refused() {
        let data = tempfile::tempdir().unwrap();
        for lane in ["contacts", "quarantine"] {
            let folder = data.path().join("journal").join(lane);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("0000000001.seg"), "").unwrap();
        }
        fs::create_dir_all(data.path().join("journal/imports")).unwrap();
        let lanes = |dir: &str| {
            journals(&data.path().join(dir)).map(|all| all.into_iter().map(|(lane, _)| lane).collect())
        };
        for (dir, found) in [
            ("", vec!["contacts", "quarantine"]),
            ("journal", vec!["contacts", "quarantine"]),
            ("journal/contacts", vec!["contacts"]),
            ("journal/contacts/../quarantine", vec!["quarantine"]),
        ] {
            let lanes: Vec<_> = lanes(dir).unwrap();
            assert_eq!(lanes, found, "{dir}");
        }
        for dir in ["journal/imports", "nowhere"] {
            let refused: anyhow::Result<Vec<_>> = lanes(dir);
            refused.unwrap_err();
        }
    }
}
