//! `frontdesk run --role …`: a part of the house, with NATS and PostgreSQL outside.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use crate::cli::RoleName;
use crate::config::{Config, Wrong};
use crate::{lock, metric, stop, wire};

pub(super) async fn run(config: Config, roles: wire::Roles) -> anyhow::Result<ExitCode> {
    if config.nats.url.is_empty() {
        bail!(Wrong(vec![
            "[nats] url: `run` needs a NATS that other processes reach too; give its URL, or use `frontdesk up`"
                .to_owned()
        ]));
    }
    let stored = roles.contains(&RoleName::Core) || roles.contains(&RoleName::Api);
    if stored && !config.is_shared_store() {
        bail!(Wrong(vec![
            "[store] url: roles that run apart share a PostgreSQL; SQLite has room for one process, which is `frontdesk up`"
                .to_owned()
        ]));
    }
    if roles.contains(&RoleName::Phone) && config.phone.is_empty() {
        bail!(Wrong(vec!["[phone.…]: the role phone needs at least one line".to_owned()]));
    }
    // The journal is the only thing of a folder that two processes must not share.
    let data = config.data.clone();
    let locked = roles.contains(&RoleName::Phone);
    let _lock = tokio::task::spawn_blocking(move || locked.then(|| lock::take(&data)).transpose())
        .await
        .context("could not wait for the lock")??;
    let metrics = metric::install()?;
    let token = CancellationToken::new();
    stop::on_signals(token.clone())?;
    wire::run(config, roles, metrics, token, None).await?;
    Ok(ExitCode::SUCCESS)
}
