//! What the journal needs of a disk, and the real one.
//!
//! The difference between written and flushed is the whole point of this crate, so it is visible here:
//! nothing is promised to survive a power cut before [`DiskFile::flush`], and no name before
//! [`Disk::flush_folder`]. Tests put a disk in its place that loses power.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder tree with honest flushes.
pub trait Disk: Send + Sync + 'static {
    /// Makes the folder and those above it, and flushes each new name.
    fn ensure_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a new empty file; an existing one is an error. The name is durable only after
    /// [`Disk::flush_folder`].
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The same, for a file that is written and flushed all the time: it may be found longer than what
    /// was appended, with zeros behind.
    fn create_log(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.create_new(path)
    }
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Exactly `len` bytes from `offset`; fewer is an error.
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Names and sizes of the files (not folders) in the folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>>;
    /// Cuts the file to `len` bytes and flushes that.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Gives the file another name in the same folder, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes the file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in the folder durable.
    fn flush_folder(&self, folder: &Path) -> io::Result<()>;
    /// Takes the folder for this process alone until the returned value is dropped.
    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError>;
}

/// A file that only grows.
pub trait DiskFile: Send {
    /// Writes all of it behind what is there, or errs with any part of it written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once all that was appended is on the medium (fdatasync). After an error nothing is
    /// known about what was appended since the last success, and asking again proves nothing.
    fn flush(&mut self) -> io::Result<()>;
}

/// Why a folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("it is in use by the process with id {}", pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Held { pid: Option<u32> },
    #[error("its lock file could not be used")]
    Io(#[source] io::Error),
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn ensure_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.as_os_str().is_empty() || folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent() {
            self.ensure_folder(above)?;
        }
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.flush_folder(folder.parent().unwrap_or(Path::new("")))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(LogFile { file, len: 0, zeroed: 0 }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            // A name that is not UTF-8 is none of ours.
            if let (true, Ok(name)) = (about.is_file(), entry.file_name().into_string()) {
                files.push((name, about.len()));
            }
        }
        Ok(files)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn flush_folder(&self, folder: &Path) -> io::Result<()> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(LockError::Io)?;
                return Err(LockError::Held { pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        file.set_len(0).map_err(LockError::Io)?;
        writeln!(file, "{}", std::process::id()).map_err(LockError::Io)?;
        Ok(Box::new(file))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Written over zeros that are there already, so that most flushes change no length and need no commit of
/// the file system's own journal. Beside a recording SQLite that took a fifth off the mean flush.
struct LogFile {
    file: File,
    len: u64,
    /// Up to here the file is there, in zeros where nothing was appended yet.
    zeroed: u64,
}

impl LogFile {
    const LEAST: u64 = 256 * 1024;
    const MOST: u64 = 4 * 1024 * 1024;

    fn make_room(&mut self, end: u64) -> io::Result<()> {
        while self.zeroed < end {
            let more = self.zeroed.clamp(Self::LEAST, Self::MOST);
            let zeros = vec![0; usize::try_from(more).unwrap_or(0)];
            self.file.write_all_at(&zeros, self.zeroed)?;
            self.zeroed += more;
        }
        Ok(())
    }
}

impl DiskFile for LogFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len + bytes.len() as u64;
        // Without room for the zeros there may still be room for the record.
        self.make_room(end).ok();
        self.file.write_all_at(bytes, self.len)?;
        self.len = end;
        self.zeroed = self.zeroed.max(end);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Writes a whole file so that it is either there complete and durable, or not there under this name.
pub(crate) fn write_durably(
    disk: &dyn Disk,
    folder: &Path,
    name: &str,
    temporary: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let path: PathBuf = folder.join(temporary);
    let written = (|| {
        let mut file = disk.create_new(&path)?;
        file.append(bytes)?;
        file.flush()?;
        disk.rename(&path, &folder.join(name))?;
        disk.flush_folder(folder)
    })();
    if written.is_err() {
        // Best effort: what stays is swept at the next start, by its name.
        disk.remove(&path).ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_holds_what_was_appended_and_zeros_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RealDisk.create_log(&path).unwrap();
        let mut expected = Vec::new();
        for size in [1, 100, 700_000, 5_000_000, 3] {
            let bytes: Vec<u8> = (0..size).map(|n: usize| u8::try_from(n % 251 + 1).unwrap()).collect();
            log.append(&bytes).unwrap();
            log.flush().unwrap();
            expected.extend(bytes);
            let found = RealDisk.read(&path).unwrap();
            assert_eq!(found.get(..expected.len()), Some(expected.as_slice()));
            assert!(found.iter().skip(expected.len()).all(|byte| *byte == 0));
        }
        assert!(RealDisk.create_log(&path).is_err(), "a log is made once");
    }
}
