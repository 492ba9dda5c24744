//! Processes that we started, and theirs.

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::wait::{LOOK_EVERY, PATIENCE, eventually};

/// A process by its id and the moment it began, so that a later one with the same id is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub pid: u32,
    pub name: String,
    began: String,
}

impl Known {
    /// The process with this id, if there is one that has not ended.
    pub fn of(pid: u32) -> Option<Self> {
        let (known, _) = stat(pid)?;
        Some(known)
    }

    /// It has not ended.
    pub fn lives(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.began == self.began)
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.lives() {
            signal_to(self.pid, signal);
        }
    }

    /// No file of it may grow from here on: what a full disk is to it.
    ///
    /// # Panics
    /// When the system does not let us.
    pub fn may_write_no_more(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let none = Rlimit { current: Some(0), maximum: None };
        prlimit(pid, Resource::Fsize, none).expect("could not limit a process of ours");
    }

    /// The processes it started that live now.
    pub fn children(&self) -> Vec<Known> {
        let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(stat).filter(|(_, parent)| *parent == self.pid).map(|(known, _)| known).collect()
    }
}

/// What the kernel says of a process that is no zombie, and its parent.
fn stat(pid: u32) -> Option<(Known, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; what follows the last bracket holds none.
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some((Known { pid, name, began: (*fields.get(19)?).to_owned() }, fields.get(1)?.parse().ok()?))
}

/// Sends a signal to a process that cannot have ended unnoticed: our own child.
///
/// # Panics
/// When there is no such process.
pub fn signal_to(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("could not send a signal to a process of ours");
}

/// Stops a process of ours; it stands still when this returns.
///
/// # Panics
/// When there is no such process, or it goes on.
pub fn freeze(pid: u32) {
    signal_to(pid, Signal::STOP);
    let begun = Instant::now();
    while !stands_still(pid) {
        assert!(begun.elapsed() < PATIENCE, "process {pid} does not stop");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A signal stops the threads of a process one by one, each when it next looks. One that ended stands still.
fn stands_still(pid: u32) -> bool {
    let stopped = |task: std::io::Result<fs::DirEntry>| {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        Ok::<_, std::io::Error>(stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    tasks.into_iter().all(|task| stopped(task).unwrap_or(true))
}

/// Waits until a child of ours has ended.
///
/// # Panics
/// When it has not within `within`.
pub async fn ended(child: &mut Child, within: Duration) -> ExitStatus {
    let pid = child.id();
    eventually("a process of ours ends", within, async || {
        child.try_wait().expect("could not wait for a child").ok_or(format!("process {pid} lives"))
    })
    .await
}

/// Kills a child of ours, and what it leaves behind, without looking at how it goes: for the end of a test.
pub fn clear_away(child: &mut Child) {
    let theirs = Known::of(child.id()).map(|known| known.children()).unwrap_or_default();
    // They may be stopped, and a stopped process hears nothing else.
    child.kill().ok();
    child.wait().ok();
    for one in theirs {
        one.signal(Signal::KILL);
    }
}
