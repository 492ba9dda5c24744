//! `frontdesk token create`: a key to the API, written straight into the store and valid at once.

use std::process::ExitCode;

use anyhow::Context as _;
use timeline::{Role, Token};

use super::say;
use crate::config::Config;
use crate::storeroom::{self, Tables};
use crate::{demo, wire};

pub(super) async fn create(config: &Config, role: Role, name: String) -> anyhow::Result<ExitCode> {
    let store = storeroom::open_store(config, Tables::AsTheyAre).await?;
    let secret = demo::token()?;
    let token = Token {
        id: api::token_id(&secret),
        name,
        role,
        created_at: contact::micros((wire::real_clock())()),
        revoked_at: None,
    };
    store.add_token(&token).await.context("could not keep the token")?;
    say(secret);
    Ok(ExitCode::SUCCESS)
}
