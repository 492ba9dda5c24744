//! How far a day has been played, so that it is never played twice by mistake, and a day that was broken off
//! goes on where it was.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::demo;

/// The latest day, as `<data>/demo.json` keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Day {
    pub(super) number: u32,
    /// What its ids are made of, so that what is told again is the same.
    seed: String,
    /// When it began, by its own clock: what happens in it is so many seconds later.
    pub(super) began_at: Timestamp,
    /// The first cue that has not been played.
    pub(super) next: usize,
    pub(super) ended_at: Option<Timestamp>,
    /// Offers that were accepted.
    pub(super) accepted: u32,
    /// The secrets of those who chat as strangers.
    visitors: BTreeMap<String, String>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Day {
    /// The latest day that was begun here, if one was.
    pub(super) fn latest(data: &Path) -> anyhow::Result<Option<Self>> {
        let file = data.join(FILE);
        let kept = match fs::read(&file) {
            Ok(kept) => kept,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("could not read {}", file.display())),
        };
        let day: Self =
            serde_json::from_slice(&kept).with_context(|| format!("{} is not ours", file.display()))?;
        Ok(Some(Self { folder: data.to_owned(), ..day }))
    }

    pub(super) fn begin(data: &Path, number: u32, began_at: Timestamp) -> anyhow::Result<Self> {
        let day = Self {
            number,
            seed: demo::random_hex(16)?,
            began_at,
            next: 0,
            ended_at: None,
            accepted: 0,
            visitors: BTreeMap::new(),
            folder: data.to_owned(),
        };
        day.keep()?;
        Ok(day)
    }

    /// 32 hex digits for `what`: the same whenever they are asked for in this day.
    pub(super) fn id(&self, what: &str) -> String {
        let full: [u8; 32] = Sha256::digest(format!("{}/{what}", self.seed)).into();
        hex::encode(full.get(..16).unwrap_or(&full))
    }

    pub(super) fn visitor(&self, who: &str) -> Option<&String> {
        self.visitors.get(who)
    }

    /// The secret a stranger was given.
    pub(super) fn remember(&mut self, who: &str, secret: String) -> anyhow::Result<()> {
        self.visitors.insert(who.to_owned(), secret);
        self.keep()
    }

    /// Everything before `next` has been played.
    pub(super) fn played(&mut self, next: usize) -> anyhow::Result<()> {
        self.next = next;
        self.keep()
    }

    pub(super) fn end(&mut self, at: Timestamp) -> anyhow::Result<()> {
        self.ended_at = Some(at);
        self.keep()
    }

    /// Whole or not at all. Nothing is lost with it but the place in a story, so it is not flushed.
    fn keep(&self) -> anyhow::Result<()> {
        let (file, new) = (self.folder.join(FILE), self.folder.join(format!("{FILE}.new")));
        let text = serde_json::to_vec_pretty(self)?;
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut opened| opened.write_all(&text))
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("could not write {}", file.display()))
    }
}

const FILE: &str = "demo.json";

/// Two must not play one day at once. Free when dropped, and when we die.
pub(super) fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("demo.lock");
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another `frontdesk demo` is playing in {} at this moment", data.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("could not lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_goes_on_where_it_was_with_the_same_ids() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Day::latest(folder.path()).unwrap().is_none());
        let mut day = Day::begin(folder.path(), 1, Timestamp::UNIX_EPOCH).unwrap();
        day.remember("emma", "secret".into()).unwrap();
        day.played(7).unwrap();
        let again = Day::latest(folder.path()).unwrap().unwrap();
        assert_eq!((again.next, again.number, again.ended_at), (7, 1, None));
        assert_eq!(again.visitor("emma").map(String::as_str), Some("secret"));
        assert_eq!(again.id("call/3"), day.id("call/3"));
        assert_ne!(again.id("call/3"), again.id("call/4"));
        let other = Day::begin(folder.path(), 2, Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(other.id("call/3"), day.id("call/3"), "another day is another day");
    }

    #[test]
    fn one_at_a_time_plays() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(lock(folder.path()).unwrap_err().to_string().contains("at this moment"));
        drop(held);
        lock(folder.path()).unwrap();
    }
}
