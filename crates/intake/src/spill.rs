//! Raws too large to ride along: each in a file named by its digest, until it is in the blob store and
//! its record retired.
//!
//! The file and its name are durable before the record that points at it is written, so a record never
//! points at nothing. Records with the same raw share one file; the last one takes it away. A crash
//! between file and record leaves a file nobody was promised; the next start sweeps it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use crate::disk::{Disk, write_durably};
use crate::ledger::RecordId;

type Sha256 = [u8; 32];

/// The spilled raws of one journal.
pub(crate) struct Spill {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: HashMap<Sha256, File>,
    of: HashMap<RecordId, Sha256>,
    bytes: u64,
    temporaries: u64,
}

struct File {
    holders: u32,
    size: u64,
    durable: bool,
    /// Put in the blob store by this process.
    uploaded: bool,
}

/// Keeps a spill file from being taken away. Bound to a record, or dropped with the attempt.
pub(crate) struct Hold {
    spill: Arc<Spill>,
    sha256: Sha256,
    bound: bool,
}

impl Spill {
    /// Takes the folder over: `records` are those that were found to point into it; what no record
    /// points at is removed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        records: Vec<(RecordId, Sha256, u64)>,
    ) -> io::Result<Arc<Self>> {
        disk.ensure_folder(&folder)?;
        let names: Vec<String> = disk.list(&folder)?.into_iter().map(|(name, _)| name).collect();
        let there: HashSet<Sha256> = names.iter().filter_map(|name| decode(name)).collect();
        let mut state = State::default();
        for (id, sha256, size) in records {
            // A file is gone before its record when the record was retired and its segment still stood:
            // its raw has long been in the blob store.
            let there = there.contains(&sha256);
            let file = state.files.entry(sha256).or_insert(File {
                holders: 0,
                size,
                durable: there,
                uploaded: !there,
            });
            file.holders += 1;
            state.of.insert(id, sha256);
        }
        state.bytes = state.files.values().map(|file| file.size).sum();
        for name in names {
            let wanted = decode(&name).is_some_and(|sha256| state.files.contains_key(&sha256));
            if !wanted {
                disk.remove(&folder.join(&name))?;
            }
        }
        Ok(Arc::new(Self { disk, folder, state: Mutex::new(state) }))
    }

    /// Announces that a record with this raw is on its way.
    pub(crate) fn hold(self: &Arc<Self>, sha256: Sha256, size: u64) -> Hold {
        let mut state = self.lock();
        let file =
            state.files.entry(sha256).or_insert(File { holders: 0, size, durable: false, uploaded: false });
        file.holders += 1;
        if file.holders == 1 {
            state.bytes += size;
        }
        Hold { spill: self.clone(), sha256, bound: false }
    }

    /// The record was written: its hold now lasts until it is retired.
    pub(crate) fn bind(&self, id: RecordId, mut hold: Hold) {
        hold.bound = true;
        self.lock().of.insert(id, hold.sha256);
    }

    /// The record is retired.
    pub(crate) fn retired(&self, id: RecordId) {
        let mut state = self.lock();
        if let Some(sha256) = state.of.remove(&id) {
            self.release(&mut state, sha256);
        }
    }

    /// The digest of the raw beside this record, if it is not yet in the blob store.
    pub(crate) fn awaits_upload(&self, id: RecordId) -> Option<Sha256> {
        let state = self.lock();
        let sha256 = *state.of.get(&id)?;
        state.files.get(&sha256).is_some_and(|file| !file.uploaded).then_some(sha256)
    }

    pub(crate) fn uploaded(&self, sha256: Sha256) {
        if let Some(file) = self.lock().files.get_mut(&sha256) {
            file.uploaded = true;
        }
    }

    pub(crate) fn read(&self, sha256: Sha256) -> io::Result<Vec<u8>> {
        self.disk.read(&self.path(sha256))
    }

    /// Bytes of all spill files.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Unlinks under the lock, so that a new holder of the same digest sees either the durable file or
    /// that it must write one.
    fn release(&self, state: &mut State, sha256: Sha256) {
        let Some(file) = state.files.get_mut(&sha256) else { return };
        file.holders -= 1;
        if file.holders > 0 {
            return;
        }
        let (size, durable) = (file.size, file.durable);
        state.files.remove(&sha256);
        state.bytes -= size;
        match self.disk.remove(&self.path(sha256)) {
            // An attempt that failed may have left nothing.
            Err(error) if durable => warn!(%error, "could not remove a spill file; the next start will"),
            _ => {}
        }
    }

    fn path(&self, sha256: Sha256) -> PathBuf {
        self.folder.join(hex::encode(sha256))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Returns once the raw lies in its file, durably. Blocks on the disk.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = {
            let mut state = self.spill.lock();
            if state.files.get(&self.sha256).is_some_and(|file| file.durable) {
                return Ok(());
            }
            state.temporaries += 1;
            format!("{}.{}", hex::encode(self.sha256), state.temporaries)
        };
        // Two holders of one digest may both write: the names differ, and the second rename changes
        // nothing.
        let folder: &Path = &self.spill.folder;
        write_durably(&*self.spill.disk, folder, &hex::encode(self.sha256), &temporary, bytes)?;
        if let Some(file) = self.spill.lock().files.get_mut(&self.sha256) {
            file.durable = true;
            // What was in the blob store when its file was taken away may have been erased since.
            file.uploaded = false;
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.bound {
            let mut state = self.spill.lock();
            self.spill.release(&mut state, self.sha256);
        }
    }
}

fn decode(name: &str) -> Option<Sha256> {
    hex::decode(name).ok()?.try_into().ok()
}
