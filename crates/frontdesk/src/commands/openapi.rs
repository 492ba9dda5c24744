//! `frontdesk openapi`: the document of the API.

use std::process::ExitCode;

use super::say;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    say(api::openapi().to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}
