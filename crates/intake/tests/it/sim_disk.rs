//! A disk in memory that keeps apart what was written and what was flushed, remembers every step, and
//! fails when told to.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use intake::disk::{Disk, DiskFile, LockError};

#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    world: Mutex<World>,
    opened: Condvar,
}

#[derive(Default)]
struct World {
    state: State,
    trace: Vec<Step>,
    locked: HashSet<PathBuf>,
    flushes: usize,
    appends: usize,
    fail_flushes: HashSet<usize>,
    fail_appends: HashSet<usize>,
    fail_creates: bool,
    capacity: Option<usize>,
    held: bool,
}

/// What lies on the disk.
#[derive(Clone, Default)]
pub(crate) struct State {
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    files: Vec<Inode>,
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    synced: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Create(PathBuf),
    Append(usize, Vec<u8>),
    Flush(usize),
    FailedFlush(usize),
    Truncate(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    FlushFolder(PathBuf),
    /// Something the test saw.
    Mark(String),
}

/// How the power goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// Nothing that was not flushed survives.
    Strict,
    /// All that was written survives.
    Kind,
    /// All names survive, and half of what was not flushed; the rest of the length is zeros.
    Torn,
    /// Names that were not flushed are gone; the bytes are there.
    Names,
}

impl Loss {
    pub(crate) const ALL: [Loss; 4] = [Loss::Strict, Loss::Kind, Loss::Torn, Loss::Names];
}

impl State {
    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Create(path) => {
                self.names.insert(path.clone(), self.files.len());
                self.files.push(Inode::default());
            }
            Step::Append(file, bytes) => self.files[*file].data.extend_from_slice(bytes),
            Step::Flush(file) => self.files[*file].synced = self.files[*file].data.len(),
            Step::FailedFlush(_) | Step::Mark(_) => {}
            Step::Truncate(path, len) => {
                let file = &mut self.files[self.names[path]];
                file.data.truncate(*len);
                file.synced = *len;
            }
            Step::Rename(from, to) => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
            }
            Step::Remove(path) => {
                self.names.remove(path);
            }
            Step::FlushFolder(folder) => {
                self.synced_names.retain(|path, _| path.parent() != Some(folder));
                for (path, file) in &self.names {
                    if path.parent() == Some(folder) {
                        self.synced_names.insert(path.clone(), *file);
                    }
                }
            }
        }
    }

    /// The disk as the next start finds it.
    pub(crate) fn after(&self, loss: Loss) -> SimDisk {
        let names = match loss {
            Loss::Strict | Loss::Names => &self.synced_names,
            Loss::Kind | Loss::Torn => &self.names,
        };
        let mut state =
            State { names: names.clone(), synced_names: names.clone(), files: self.files.clone() };
        for file in &mut state.files {
            match loss {
                Loss::Strict => file.data.truncate(file.synced),
                Loss::Torn => {
                    let kept = file.synced + (file.data.len() - file.synced) / 2;
                    file.data[kept..].fill(0);
                }
                Loss::Kind | Loss::Names => {}
            }
            file.synced = file.data.len();
        }
        let disk = SimDisk::default();
        disk.0.world.lock().unwrap().state = state;
        disk
    }
}

impl SimDisk {
    pub(crate) fn state(&self) -> State {
        self.world(|world| world.state.clone())
    }

    pub(crate) fn trace(&self) -> Vec<Step> {
        self.world(|world| world.trace.clone())
    }

    pub(crate) fn mark(&self, what: impl Into<String>) {
        let what = what.into();
        self.world(|world| world.trace.push(Step::Mark(what)));
    }

    /// Flushes of files asked for so far, the failed ones included.
    pub(crate) fn flushes(&self) -> usize {
        self.world(|world| world.flushes)
    }

    /// The flush after so many more fails.
    pub(crate) fn fail_flush_after(&self, more: usize) {
        self.world(|world| {
            world.fail_flushes.insert(world.flushes + more);
        });
    }

    /// The append after so many more writes half and fails.
    pub(crate) fn fail_append_after(&self, more: usize) {
        self.world(|world| {
            world.fail_appends.insert(world.appends + more);
        });
    }

    pub(crate) fn fail_creates(&self, fail: bool) {
        self.world(|world| world.fail_creates = fail);
    }

    /// How many bytes fit on the disk.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.world(|world| world.capacity = bytes);
    }

    /// While held, a flush does not return.
    pub(crate) fn hold_flushes(&self, held: bool) {
        self.world(|world| world.held = held);
        self.0.opened.notify_all();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.world(|world| {
            world
                .state
                .names
                .keys()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        })
    }

    /// Changes a byte of a file behind everybody's back.
    pub(crate) fn flip(&self, path: &Path, at: usize) {
        self.world(|world| {
            let file = world.state.names[path];
            world.state.files[file].data[at] ^= 0x55;
        });
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.world.lock().unwrap())
    }
}

impl World {
    fn step(&mut self, step: Step) {
        self.state.apply(&step);
        self.trace.push(step);
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.state.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn used(&self) -> usize {
        self.state.names.values().map(|file| self.state.files[*file].data.len()).sum()
    }
}

impl Disk for SimDisk {
    fn ensure_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.world(|world| {
            if world.fail_creates {
                return Err(io::Error::other("the disk is gone"));
            }
            if world.find(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let file = world.state.files.len();
            world.step(Step::Create(path.to_path_buf()));
            Ok(Box::new(SimFile(self.clone(), file)) as Box<dyn DiskFile>)
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.world(|world| Ok(world.state.files[world.find(path)?].data.clone()))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let (whole, offset) = (self.read(path)?, usize::try_from(offset).unwrap());
        whole.get(offset..offset + len).map(<[u8]>::to_vec).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        self.world(|world| {
            let here = world.state.names.iter().filter(|(path, _)| path.parent() == Some(folder));
            let about = |(path, file): (&PathBuf, &usize)| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, world.state.files[*file].data.len() as u64)
            };
            Ok(here.map(about).collect())
        })
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.world(|world| {
            world.find(path)?;
            world.step(Step::Truncate(path.to_path_buf(), usize::try_from(len).unwrap()));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world(|world| {
            world.find(from)?;
            world.step(Step::Rename(from.to_path_buf(), to.to_path_buf()));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.world(|world| {
            world.find(path)?;
            world.step(Step::Remove(path.to_path_buf()));
            Ok(())
        })
    }

    fn flush_folder(&self, folder: &Path) -> io::Result<()> {
        self.world(|world| world.step(Step::FlushFolder(folder.to_path_buf())));
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        self.world(|world| match world.locked.insert(path.to_path_buf()) {
            true => Ok(Box::new(SimLock(self.clone(), path.to_path_buf())) as Box<dyn Send + Sync>),
            false => Err(LockError::Held { pid: Some(4711) }),
        })
    }
}

struct SimFile(SimDisk, usize);

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.world(|world| {
            let nth = world.appends;
            world.appends += 1;
            let room = world.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(world.used()));
            if room < bytes.len() {
                world.step(Step::Append(self.1, bytes[..room].to_vec()));
                return Err(ErrorKind::StorageFull.into());
            }
            if world.fail_appends.contains(&nth) {
                world.step(Step::Append(self.1, bytes[..bytes.len() / 2].to_vec()));
                return Err(io::Error::other("a write failed"));
            }
            world.step(Step::Append(self.1, bytes.to_vec()));
            Ok(())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut world = self.0.0.world.lock().unwrap();
        let nth = world.flushes;
        world.flushes += 1;
        while world.held {
            world = self.0.0.opened.wait(world).unwrap();
        }
        if world.fail_flushes.contains(&nth) {
            world.step(Step::FailedFlush(self.1));
            return Err(io::Error::other("a flush failed"));
        }
        world.step(Step::Flush(self.1));
        Ok(())
    }
}

struct SimLock(SimDisk, PathBuf);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.world(|world| world.locked.remove(&self.1));
    }
}
