//! What `frontdesk up` makes for a newcomer while no source is configured: a demo line, mailbox and widget
//! and an agent's token, their secrets generated once into `<data>/secrets`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::Config;
use crate::policy::Routing;

/// The name of each demo source.
pub(crate) const NAME: &str = "demo";

/// The number of an office, which three people of the day that `frontdesk demo` plays share.
const OFFICE: &str = "+380441234560";

/// Whether nothing is configured that people could reach us through.
pub(crate) fn is_wanted(config: &Config) -> bool {
    config.phone.is_empty() && config.email.is_empty() && config.chat.is_empty()
}

/// Whether what the data folder holds came by the demo line, mailbox and widget: nothing else is configured, and
/// they were made there.
pub(crate) fn was_played(config: &Config) -> bool {
    is_wanted(config) && config.data.join("secrets").join(LINE_TOKEN).exists()
}

/// Routes as the demo does, where nothing is said about it.
pub(crate) fn route(config: &mut Config) -> anyhow::Result<()> {
    if config.routing.rules.is_empty() && config.routing.segments.is_empty() {
        config.routing =
            toml::from_str::<Example>(ROUTING).context("could not read the demo's routing")?.routing;
    }
    Ok(())
}

/// The file of the newcomer's token, and how those begin of the people of the demo's day.
pub(crate) const AGENT_TOKEN: &str = "agent-token";
pub(crate) const TOKEN_OF: &str = "demo-token-";
/// The file of the demo line's secret.
const LINE_TOKEN: &str = "phone-demo-auth-token";

/// Adds a demo line, mailbox and widget to the configuration.
pub(crate) fn furnish(config: &mut Config) -> anyhow::Result<()> {
    let token = keep(&config.data, LINE_TOKEN, secret)?.1;
    let line = serde_json::json!({
        "provider": "twilio",
        "region": "UA",
        "zone": "Europe/Kyiv",
        "auth_token_file": token,
        "own_numbers": ["+380800500500"],
    });
    // It takes what is handed in by `frontdesk mail`, and sends nothing.
    let mailbox = serde_json::json!({ "address": "help@demo.example" });
    let identity = keep(&config.data, "chat-demo-identity-secret", secret)?.1;
    // Our own demo page, wherever it is opened from, while somebody is trying us out.
    let widget = serde_json::json!({ "origins": ["*"], "region": "UA", "identity_secret_file": identity });
    config.demo = true;
    config.identity.shared.push(OFFICE.to_owned());
    route(config)?;
    let name = || NAME.to_owned();
    config.phone.insert(name(), serde_json::from_value(line).context("could not make the demo line")?);
    config.email.insert(name(), serde_json::from_value(mailbox).context("could not make the demo mailbox")?);
    config.chat.insert(name(), serde_json::from_value(widget).context("could not make the demo widget")?);
    Ok(())
}

/// How what comes is routed, where nothing is said about it either.
const ROUTING: &str = include_str!("demo.toml");

#[derive(serde::Deserialize)]
struct Example {
    routing: Routing,
}

/// 256 random bits in the alphabet of a bearer token.
pub(crate) fn secret() -> anyhow::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random(32)?))
}

/// A bearer token.
pub(crate) fn token() -> anyhow::Result<String> {
    Ok(format!("fd_{}", secret()?))
}

/// So many random bytes, in hex.
pub(crate) fn random_hex(bytes: usize) -> anyhow::Result<String> {
    Ok(hex::encode(random(bytes)?))
}

/// A key for a connector; without randomness nothing may be handed out, and the system has none only
/// before it is up.
pub(crate) fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    #[expect(clippy::disallowed_methods, reason = "a secret")]
    getrandom::fill(&mut key).unwrap_or_else(|error| {
        tracing::error!(%error, "the system has no randomness to give");
        std::process::abort()
    });
    key
}

fn random(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut random = vec![0; bytes];
    #[expect(clippy::disallowed_methods, reason = "for secrets, and names of processes")]
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("the system has no randomness to give: {error}"))?;
    Ok(random)
}

/// The secret kept under `name`, made the first time; with the file it is in, readable by us alone.
pub(crate) fn keep(
    data: &Path,
    name: &str,
    make: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<(String, PathBuf)> {
    let folder = data.join("secrets");
    let path = folder.join(name);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    if let Ok(kept) = fs::read_to_string(&path)
        && !kept.trim().is_empty()
    {
        return Ok((kept.trim().to_owned(), path));
    }
    let made = make()?;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{made}"))
        .with_context(|| format!("could not write {}", path.display()))?;
    Ok((made, path))
}
