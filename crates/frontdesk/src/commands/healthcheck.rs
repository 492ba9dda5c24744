//! `frontdesk healthcheck`: exit 0 when an instance is ready.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::{http, say};
use crate::config::Config;

pub(super) async fn run(config: &Config, url: Option<String>) -> anyhow::Result<ExitCode> {
    let url = url.unwrap_or_else(|| format!("http://{}/readyz", config.http.listen));
    let answer = http()
        .timeout(Duration::from_secs(5))
        .build()?
        .get(&url)
        .send()
        .await
        .with_context(|| format!("could not ask {url}"))?;
    let status = answer.status();
    say(answer.text().await.unwrap_or_default());
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
