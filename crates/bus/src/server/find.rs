//! Which nats-server to run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tracing::{debug, warn};

use crate::version::{OLDEST, Version};

const NAME: &str = "nats-server";
/// `--version` answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(5);

/// Where to look, in this order. The first that is new enough is taken.
#[derive(Clone, Debug, Default)]
pub struct Search {
    places: Vec<PathBuf>,
    configured: Option<PathBuf>,
}

/// None is good enough: one sentence that says how to get one.
#[derive(Debug, thiserror::Error)]
#[error(
    "no nats-server {OLDEST} or newer was found{found}: run deploy/install-nats.sh, or set nats.server_path to one, \
     or nats.url to a running one"
)]
pub struct NotFound {
    found: String,
}

impl Search {
    /// The configured one; beside our executable; in `.tools/bin` of the folders above it and
    /// above the current folder; in `bin` of the data folder; on PATH; in `/usr/sbin`, where
    /// Debian puts it and a user's PATH does not look.
    pub fn usual(configured: Option<PathBuf>, data: &Path) -> Self {
        let executable = std::env::current_exe().ok();
        let beside = executable.as_deref().and_then(Path::parent).map(Path::to_owned);
        let current = std::env::current_dir().ok();
        let above = [&beside, &current].into_iter().flatten().flat_map(|dir| dir.ancestors());
        let tools: Vec<PathBuf> = above.map(|dir| dir.join(".tools/bin")).collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = beside
            .iter()
            .cloned()
            .chain(tools)
            .chain([data.join("bin")])
            .chain(std::env::split_paths(&path))
            .chain([PathBuf::from("/usr/sbin")]);
        let mut search = Self::only(folders.map(|dir| dir.join(NAME)));
        search.places.splice(0..0, configured.clone());
        search.configured = configured;
        search
    }

    /// These files and no others.
    pub fn only(places: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut seen = Vec::new();
        for place in places {
            if !seen.contains(&place) {
                seen.push(place);
            }
        }
        Self { places: seen, configured: None }
    }

    /// The first that is new enough, and its version.
    pub async fn find(&self) -> Result<(PathBuf, Version), NotFound> {
        let mut found = String::new();
        for place in &self.places {
            let is_configured = self.configured.as_ref() == Some(place);
            if !place.is_file() {
                if is_configured {
                    warn!("there is no file {}, which nats.server_path names", place.display());
                    found.push_str(&format!(" ({} is no file)", place.display()));
                }
                continue;
            }
            match version(place).await {
                Some(version) if version.is_new_enough() => {
                    debug!("found nats-server {version} at {}", place.display());
                    return Ok((place.clone(), version));
                }
                answer => {
                    let what = match answer {
                        Some(version) => format!("{} is {version}", place.display()),
                        None => format!("{} does not say its version", place.display()),
                    };
                    if is_configured {
                        warn!("{what}, so the next nats-server is taken instead of the configured one");
                    }
                    found.push_str(&format!(" ({what})"));
                }
            }
        }
        Err(NotFound { found })
    }
}

async fn version(program: &Path) -> Option<Version> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ANSWER, output).await.ok()?.ok()?;
    Version::parse(std::str::from_utf8(&output.stdout).ok()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(dir: &Path, name: &str, says: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn the_first_new_enough_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let old = script(dir.path(), "old", "nats-server: v2.9.10");
        let mute = script(dir.path(), "mute", "");
        let good = script(dir.path(), "good", "nats-server: v2.12.0");
        let better = script(dir.path(), "better", "nats-server: v2.15.1");
        let search = Search::only([dir.path().join("none"), old, mute, good.clone(), better]);
        let (found, version) = search.find().await.unwrap();
        assert_eq!((found, version), (good, OLDEST));
    }

    #[tokio::test]
    async fn too_old_is_refused_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let old = script(dir.path(), "nats-server", "nats-server: v2.9.10");
        let error = Search::only([old.clone()]).find().await.unwrap_err().to_string();
        assert!(error.contains(&format!("({} is 2.9.10)", old.display())), "{error}");
        assert!(error.contains("2.12.0 or newer") && error.contains("deploy/install-nats.sh"), "{error}");
    }

    #[test]
    fn the_configured_one_is_first_and_debians_last() {
        let search = Search::usual(Some("/opt/x/nats-server".into()), Path::new("/srv/data"));
        let places: Vec<_> = search.places.iter().map(|place| place.to_string_lossy()).collect();
        assert_eq!(places.first().unwrap(), "/opt/x/nats-server");
        let place = |end: &str| places.iter().position(|place| place.ends_with(end)).unwrap();
        assert!(place(".tools/bin/nats-server") < place("/srv/data/bin/nats-server"));
        assert!(place("/srv/data/bin/nats-server") < place("/usr/sbin/nats-server"));
    }
}
