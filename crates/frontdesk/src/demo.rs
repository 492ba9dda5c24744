//! What `frontdesk up` makes for a newcomer while no source is configured: a demo line and an agent's
//! token, their secrets generated once into `<data>/secrets`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::Config;

/// The name of the demo line.
pub(crate) const LINE: &str = "demo";

/// Whether nothing is configured that people could reach us through.
pub(crate) fn is_wanted(config: &Config) -> bool {
    config.phone.is_empty()
}

/// Adds the demo line to the configuration.
pub(crate) fn furnish(config: &mut Config) -> anyhow::Result<()> {
    let token = keep(&config.data, "phone-demo-auth-token", secret)?.1;
    let line = serde_json::json!({
        "provider": "twilio",
        "region": "UA",
        "zone": "Europe/Kyiv",
        "auth_token_file": token,
        "own_numbers": ["+380800500500"],
    });
    config.demo = true;
    config
        .phone
        .insert(LINE.to_owned(), serde_json::from_value(line).context("could not make the demo line")?);
    Ok(())
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

fn random(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut random = vec![0; bytes];
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
