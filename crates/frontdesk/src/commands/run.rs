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
    let stored = [RoleName::Core, RoleName::Api, RoleName::Chat].iter().any(|role| roles.contains(role));
    if stored && !config.is_shared_store() {
        bail!(Wrong(vec![
            "[store] url: roles that run apart share a PostgreSQL; SQLite has room for one process, which is `frontdesk up`"
                .to_owned()
        ]));
    }
    for (role, is_empty, sentence) in [
        (RoleName::Phone, config.phone.is_empty(), "[phone.…]: the role phone needs at least one line"),
        (RoleName::Email, config.email.is_empty(), "[email.…]: the role email needs at least one mailbox"),
        (RoleName::Chat, config.chat.is_empty(), "[chat.…]: the role chat needs at least one widget"),
    ] {
        if roles.contains(&role) && is_empty {
            bail!(Wrong(vec![sentence.to_owned()]));
        }
    }
    if config.blobs.url.is_empty() {
        bail!(Wrong(vec![
            "[blobs] url: processes that run apart share what is too large for an event (long mails, attachments); \
             name a folder that all of them see, such as file:///srv/frontdesk/blobs"
                .to_owned()
        ]));
    }
    // The journal is the only thing of a folder that two processes must not share.
    let data = config.data.clone();
    let locked = [RoleName::Phone, RoleName::Email, RoleName::Chat].iter().any(|role| roles.contains(role));
    let _lock = tokio::task::spawn_blocking(move || locked.then(|| lock::take(&data)).transpose())
        .await
        .context("could not wait for the lock")??;
    let metrics = metric::install()?;
    let token = CancellationToken::new();
    stop::on_signals(token.clone())?;
    wire::run(config, roles, metrics, token, None).await?;
    Ok(ExitCode::SUCCESS)
}
