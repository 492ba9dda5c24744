//! `frontdesk doctor`: everything we depend on, asked one by one.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{http, say};
use crate::config::Config;
use crate::nats;
use crate::sources::Sources;
use crate::storeroom::{self, Tables};

/// A disk slower than this holds every promise back.
const SLOW_FLUSH: Duration = Duration::from_millis(10);

/// Prints a line for each thing; exits 1 when one of them would keep us from working.
pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let mut well = true;
    let mut tell = |what: &str, found: anyhow::Result<String>| match found {
        Ok(fine) => say(format_args!("ok      {what}: {fine}")),
        Err(error) => {
            well = false;
            say(format_args!("FAILED  {what}: {error:#}"));
        }
    };
    tell("data folder", flush(&config.data));
    match Sources::read(config) {
        Err(wrong) => tell("sources", Err(wrong.into())),
        Ok(sources) => {
            tell(
                "sources",
                Ok(match sources.count() {
                    0 => "none is configured; `frontdesk up` makes a line, a mailbox and a chat to try"
                        .to_owned(),
                    n => format!("{n} configured"),
                }),
            );
            for mailbox in sources.mailboxes.values() {
                if mailbox.polls() {
                    let looked = connector_email::look(mailbox).await.map_err(anyhow::Error::msg);
                    tell(
                        &format!("{} imap", mailbox.name()),
                        looked.map(|()| "the mailbox can be read".to_owned()),
                    );
                }
                if let Some(looked) = connector_email::look_out(mailbox).await {
                    let looked = looked.map_err(anyhow::Error::msg);
                    tell(
                        &format!("{} smtp", mailbox.name()),
                        looked.map(|()| "answers are taken".to_owned()),
                    );
                }
            }
        }
    }
    tell("nats", nats(config).await);
    tell("store", store(config).await);
    tell("blobs", flush(&config.blob_folder()));
    tell("address", address(config).await);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How long this disk takes to promise 1 KiB.
fn flush(data: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(data).with_context(|| format!("could not create {}", data.display()))?;
    let path = data.join(format!(".doctor-{}", std::process::id()));
    let measured = (|| {
        let mut file = std::fs::File::create(&path)?;
        let mut slowest = Duration::ZERO;
        for _ in 0..16 {
            let began = Instant::now();
            std::io::Write::write_all(&mut file, &[b'x'; 1024])?;
            file.sync_data()?;
            slowest = slowest.max(began.elapsed());
        }
        std::io::Result::Ok(slowest)
    })();
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("could not remove {}", path.display()))?;
    }
    let slowest = measured.with_context(|| format!("could not write in {}", data.display()))?;
    let note = if slowest > SLOW_FLUSH { "; a hook waits that long for its answer" } else { "" };
    Ok(format!("a flush takes up to {:.1} ms{note}", slowest.as_secs_f64() * 1e3))
}

async fn nats(config: &Config) -> anyhow::Result<String> {
    if config.nats.url.is_empty() {
        let (program, version) = nats::server_search(config).find().await?;
        return Ok(format!("{} {version}, to be supervised", program.display()));
    }
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    bus::Bus::connect(nats::bus_options(config, None)?, tracker, stop.clone()).await?;
    stop.cancel();
    Ok("reached; its streams are as declared".to_owned())
}

async fn store(config: &Config) -> anyhow::Result<String> {
    let file = storeroom::sqlite_file(config);
    if let Some(file) = file.filter(|file| !file.exists()) {
        return Ok(format!("{} is not there yet; the first start makes it", file.display()));
    }
    let store = match storeroom::open_store(config, Tables::AsTheyAre).await {
        Ok(store) => store,
        Err(error) if matches!(error.downcast_ref(), Some(store::OpenError::Behind { .. })) => {
            return Ok("reached; the next start makes its tables, or brings them to this version".to_owned());
        }
        Err(error) => return Err(error),
    };
    store.ping().await?;
    Ok(format!("reached and up to date; the feed is at {}", store.feed_head().await?))
}

async fn address(config: &Config) -> anyhow::Result<String> {
    match crate::serve::bind(&config.http).await {
        Ok(_) => Ok(format!("{} is free", config.http.listen)),
        Err(error) => {
            // A running instance of ours holds it, which is as it should be.
            let url = format!("http://{}/readyz", config.http.listen);
            let client = http().timeout(Duration::from_secs(2)).build()?;
            match client.get(url).send().await {
                Ok(answer) if answer.status().is_success() => Ok("a ready instance listens".to_owned()),
                _ => Err(error),
            }
        }
    }
}
