//! Which nats-server: the one configured, or a child of ours.

use std::path::PathBuf;

use anyhow::Context as _;
use bus::{Auth, server, topology};
use secrecy::ExposeSecret as _;

use crate::config::{self, Config};

/// Where a local nats-server may be.
pub(crate) fn server_search(config: &Config) -> server::Search {
    let path = Some(config.nats.server_path.clone()).filter(|path| !path.as_os_str().is_empty());
    server::Search::usual(path, &config.data)
}

/// Starts the supervised nats-server, unless one outside is configured.
pub(crate) async fn local_server(config: &Config) -> anyhow::Result<Option<server::Server>> {
    if !config.nats.url.is_empty() {
        return Ok(None);
    }
    let program = own_program()?;
    let started = server::Server::start(server::Options {
        dir: config.data.join("nats"),
        search: server_search(config),
        max_file_store: topology::reserved_bytes(stream_bytes(config)),
        launcher: Some(server::Launcher { program, args: vec!["nats-child".into()] }),
    })
    .await?;
    Ok(Some(started))
}

/// The program that runs now, even when an upgrade has taken its file away since.
fn own_program() -> anyhow::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe().context("could not find our own program"),
    }
}

fn stream_bytes(config: &Config) -> u64 {
    u64::try_from(config.nats.max_bytes).unwrap_or(0)
}

/// How to reach NATS: the local server, or the one configured.
pub(crate) fn bus_options(config: &Config, server: Option<&server::Server>) -> anyhow::Result<bus::Options> {
    let mut options = match server {
        Some(server) => bus::Options::new(server.url(), server.credentials()),
        None => {
            let password = config::secret(&config.nats.password, config.nats.password_file.as_deref())?;
            let auth = match (config.nats.user.as_str(), password) {
                ("", None) => Auth::None,
                ("", Some(token)) => Auth::Token(token.expose_secret().to_owned()),
                (user, password) => Auth::User {
                    name: user.to_owned(),
                    password: password.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default(),
                },
            };
            bus::Options::new(config.nats.url.clone(), auth)
        }
    };
    options.max_bytes = stream_bytes(config);
    options.replicas = config.nats.replicas;
    Ok(options)
}
