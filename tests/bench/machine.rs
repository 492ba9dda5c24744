//! What the machine says: one clock for all processes, their CPU time, their memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;

/// `CLOCK_MONOTONIC` in microseconds: the same in every process of this machine.
pub(crate) fn micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

/// User and system time of these processes so far, in seconds.
pub(crate) fn cpu_s(pids: &[u32]) -> f64 {
    let ticks: f64 = pids
        .iter()
        .filter_map(|pid| {
            let fields = stat(*pid)?;
            Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
        })
        .sum();
    ticks / 100.0
}

/// Resident memory of these processes, in MiB.
pub(crate) fn rss_mib(pids: &[u32]) -> f64 {
    let kib: f64 = pids
        .iter()
        .filter_map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .sum();
    kib / 1024.0
}

/// The processes that `parent` started and that still run.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).and_then(|fields| fields.get(1)?.parse().ok()) == Some(parent))
        .collect()
}

/// The fields of `/proc/<pid>/stat` behind the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Watches the memory of some processes and keeps the most it saw.
pub(crate) struct Peak {
    done: Arc<AtomicBool>,
    watcher: JoinHandle<f64>,
}

impl Peak {
    pub(crate) fn watch(pids: Vec<u32>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let ended = done.clone();
        let watcher = thread::spawn(move || {
            let mut most: f64 = 0.0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(rss_mib(&pids));
                thread::sleep(Duration::from_millis(100));
            }
            most
        });
        Self { done, watcher }
    }

    pub(crate) fn mib(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap_or(0.0)
    }
}

/// How busy the machine is with other things, as the kernel averages it over a minute.
pub(crate) fn load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// Waits until everything that was written so far is on the disk, so that what one line left behind does
/// not slow down the next.
pub(crate) async fn settle() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(rustix::fs::sync).await.context("could not wait for the disk")
}

/// Appends of 1 KiB, each flushed, a second: what kind of disk this is. Every durable figure is to be
/// read against it.
pub(crate) fn flushes_per_s(folder: &std::path::Path) -> std::io::Result<f64> {
    use std::io::Write as _;
    let path = folder.join("flush.probe");
    let mut file = std::fs::File::create(&path)?;
    let (began, mut count) = (micros(), 0.0);
    while micros() - began < 500_000 {
        file.write_all(&[b'x'; 1024])?;
        file.sync_data()?;
        count += 1.0;
    }
    let took = (micros() - began) as f64 / 1e6;
    std::fs::remove_file(path)?;
    Ok(count / took)
}
