//! One process at a time holds a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tracing::warn;

/// A predecessor that is ending gets this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lock of a data folder; free when dropped, and when we die.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

/// Takes `<data>/lock`, waiting up to 10 s for a predecessor that is ending, then refusing with its pid.
pub(crate) fn take(data: &Path) -> anyhow::Result<DataLock> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("could not create the data folder {}", data.display()))?;
    let path = data.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)
                    .with_context(|| format!("could not read {}", path.display()))?;
                bail!(
                    "the data folder {} is held by another frontdesk (pid {}); end it first, or choose another folder with FRONTDESK__DATA",
                    data.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("could not lock {}", path.display()));
            }
        }
    }
    // For people alone: a disk that is full must not keep the door shut.
    let noted =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = noted {
        warn!(%error, "could not note our process in {}", path.display());
    }
    Ok(DataLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_keeps_nobody_from_the_lock() {
        let data = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", data.path().join("lock")).unwrap();
        take(data.path()).unwrap();
    }
}
