//! Frontdesk as a user runs it: the built program, a configuration file, signed hooks, a token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::hooks::{PUBLIC_URL, TOKEN};
use crate::http;
use crate::machine::{children, micros};
use crate::process::{PATIENCE, Process, free_addr};

/// How a Frontdesk is started.
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: PathBuf,
    /// Empty: SQLite in the folder.
    pub(crate) store_url: String,
    /// Empty: `frontdesk up` with its own nats-server. Else the telephone's role alone, beside this one.
    pub(crate) nats_url: String,
    /// Sources besides the line: tables of the configuration.
    pub(crate) sources: String,
}

/// A running Frontdesk.
pub(crate) struct Product {
    process: Process,
    pub(crate) addr: SocketAddr,
    program: PathBuf,
    config: PathBuf,
    /// From the start of the process until `/readyz` said yes.
    pub(crate) start_s: f64,
}

impl Product {
    pub(crate) async fn start(setup: &Setup<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&setup.folder).context("could not make a folder")?;
        let addr = free_addr();
        let config = setup.folder.join("frontdesk.toml");
        std::fs::write(&config, configuration(setup, addr)).context("could not write a configuration")?;
        let mut command = Command::new(setup.program);
        command.current_dir(&setup.folder).arg("--config").arg(&config);
        let name = if setup.nats_url.is_empty() {
            command.arg("up");
            "frontdesk-up"
        } else {
            command.args(["run", "--role", "phone"]);
            "frontdesk-phone"
        };
        let began = micros();
        let mut process = Process::start(name, &mut command, &setup.folder)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            process.check()?;
            if matches!(http::get(addr, "/readyz", "").await, Ok((200, _))) {
                break;
            }
            if Instant::now() > deadline {
                bail!("frontdesk was not ready within two minutes; its log is in {}", setup.folder.display());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let start_s = (micros() - began) as f64 / 1e6;
        Ok(Self { process, addr, program: setup.program.to_owned(), config, start_s })
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.process.stop()
    }

    /// Its own process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its own process and the nats-server it supervises.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.pid()];
        pids.extend(children(self.pid()));
        pids
    }

    /// A token that reads.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        self.token_of("reader")
    }

    /// A token with this role.
    pub(crate) fn token_of(&self, role: &str) -> anyhow::Result<String> {
        let made = Command::new(&self.program)
            .arg("--config")
            .arg(&self.config)
            .args(["token", "create", "--role", role, "--name", "bench"])
            .output()
            .context("could not run `frontdesk token create`")?;
        if !made.status.success() {
            bail!("`frontdesk token create` failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
    }

    pub(crate) async fn metrics(&self) -> anyhow::Result<Metrics> {
        let (status, body) = http::get(self.addr, "/metrics", "").await?;
        if status != 200 {
            bail!("/metrics answered {status}");
        }
        Ok(Metrics(String::from_utf8_lossy(&body).into_owned()))
    }

    /// Waits until a counter has reached this, and says when it had.
    pub(crate) async fn counted(&self, name: &str, least: f64) -> anyhow::Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.metrics().await?.sum(name);
            if now >= least {
                return Ok(micros());
            }
            if Instant::now() > deadline {
                bail!("{name} stood at {now} of {least} for too long");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn configuration(setup: &Setup<'_>, addr: SocketAddr) -> String {
    let data = setup.folder.join("data");
    let data = data.display();
    let (store, nats, sources) = (&setup.store_url, &setup.nats_url, &setup.sources);
    format!(
        r#"data = "{data}"
[http]
listen = "{addr}"
public_url = "{PUBLIC_URL}"
[store]
url = "{store}"
[nats]
url = "{nats}"
[blobs]
url = "file://{data}/blobs"
[journal]
max_bytes = 8589934592
[phone.bench]
provider = "twilio"
region = "UA"
zone = "Europe/Kyiv"
auth_token = "{TOKEN}"
own_numbers = ["+380800500500"]
{sources}"#
    )
}

/// A reading of `/metrics`.
pub(crate) struct Metrics(String);

impl Metrics {
    /// All values of this name together, whatever their labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.series(name).map(|(_, value)| value).sum()
    }

    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some(())?;
            Some((labels, value.parse().ok()?))
        })
    }

    /// The value below which this part of what a histogram took since `before` lies: between the bounds
    /// of its bucket, as if its values were spread evenly.
    pub(crate) fn quantile(&self, before: &Self, name: &str, part: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let bounds = |metrics: &Self| -> Vec<(f64, f64)> {
            let mut found: Vec<(f64, f64)> = Vec::new();
            for (labels, value) in metrics.series(&bucket) {
                let le =
                    labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("+Inf");
                let le = le.parse().unwrap_or(f64::INFINITY);
                match found.iter_mut().find(|(bound, _)| *bound == le) {
                    Some((_, sum)) => *sum += value,
                    None => found.push((le, value)),
                }
            }
            found.sort_by(|a, b| a.0.total_cmp(&b.0));
            found
        };
        let then = bounds(before);
        let taken: Vec<(f64, f64)> = bounds(self)
            .into_iter()
            .map(|(le, value)| {
                (le, value - then.iter().find(|(bound, _)| *bound == le).map_or(0.0, |(_, v)| *v))
            })
            .collect();
        let wanted = taken.last()?.1 * part;
        let (mut low, mut below) = (0.0, 0.0);
        for (le, count) in taken {
            if count >= wanted && count > below {
                return Some(if le.is_finite() {
                    low + (le - low) * (wanted - below) / (count - below)
                } else {
                    low
                });
            }
            (low, below) = (le, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read() {
        let before = Metrics("a_bucket{le=\"0.001\"} 0\na_bucket{le=\"+Inf\"} 0\n".to_owned());
        let now = Metrics(
            "# HELP n x\nn{lane=\"a\"} 2\nn{lane=\"b\"} 3\nn_more 9\n\
             a_bucket{le=\"0.001\"} 50\na_bucket{le=\"0.003\"} 100\na_bucket{le=\"+Inf\"} 100\n"
                .to_owned(),
        );
        assert_eq!(now.sum("n"), 5.0);
        assert_eq!(now.quantile(&before, "a", 0.5), Some(0.001));
        assert_eq!(now.quantile(&before, "a", 0.75), Some(0.002));
    }
}
