//! Where things are kept: the store, when it can be had, and the folder for what is large.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use secrecy::ExposeSecret as _;
use timeline::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use url::Url;

use crate::config::{self, Config};

/// The store as soon as it can be reached; what needs it waits, the hooks do not.
pub(crate) type StoreSlot = watch::Receiver<Option<Arc<dyn Store>>>;

/// The store when it comes; `None` when we are stopped first.
pub(crate) async fn opened(slot: &mut StoreSlot, stop: &CancellationToken) -> Option<Arc<dyn Store>> {
    tokio::select! {
        () = stop.cancelled() => None,
        store = slot.wait_for(Option::is_some) => store.ok()?.clone(),
    }
}

/// Tries until the store can be reached. Hooks are accepted meanwhile.
pub(crate) async fn keep_opening(
    config: Config,
    slot: watch::Sender<Option<Arc<dyn Store>>>,
    stop: CancellationToken,
) {
    let mut pause = Duration::from_millis(250);
    let mut told = String::new();
    loop {
        match open_store(&config, Tables::Migrated).await {
            Ok(store) => {
                slot.send_replace(Some(store));
                return;
            }
            Err(error) => {
                let reason = format!("{error:#}");
                // Once a reason: it may be away for a long time.
                if reason != told {
                    warn!(%reason, "the store cannot be opened yet; hooks are accepted meanwhile");
                    told = reason;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// What becomes of the store's tables when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// They are made, or brought to this version.
    Migrated,
    /// They must be there and of this version: for commands beside a house that runs, or does not yet.
    AsTheyAre,
}

/// SQLite's file, where that is the store.
pub(crate) fn sqlite_file(config: &Config) -> Option<PathBuf> {
    config.store_url().strip_prefix("sqlite://").map(PathBuf::from)
}

/// The store.
pub(crate) async fn open_store(config: &Config, tables: Tables) -> anyhow::Result<Arc<dyn Store>> {
    let mut url = config.store_url();
    if let Some(password) = config::secret(&config.store.password, config.store.password_file.as_deref())? {
        let mut parsed = Url::parse(&url).context("[store] url is no URL")?;
        parsed
            .set_password(Some(password.expose_secret()))
            .map_err(|()| anyhow::anyhow!("[store] url has no place for a password"))?;
        url = parsed.into();
    }
    if let Some(path) = sqlite_file(config) {
        if tables == Tables::AsTheyAre && !path.exists() {
            bail!(
                "there is no database at {} yet: `frontdesk up` makes it, or `frontdesk migrate`; or is it looked for \
                 in another folder?",
                std::path::absolute(&path).unwrap_or(path).display()
            );
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("could not create {}", folder.display()))?;
        }
    }
    let options = store::Options {
        sqlite_cache_mib: config.store.sqlite_cache_mib,
        migrate: tables == Tables::Migrated,
        ..store::Options::default()
    };
    Ok(store::open(&url, options).await?)
}

/// The folder for what is too large for an event. Flushed, because a promise may stand on it.
pub(crate) fn blob_store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let folder = config.blob_folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
}
