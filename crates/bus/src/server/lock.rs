//! The lock of the data folder.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

/// Why the folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("{} is in use by {holder}; stop it first", .path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// `process 17`, or what is known of it.
        holder: String,
    },
    /// The lock file could not be opened, locked or written.
    #[error("could not lock {}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
}

/// The held lock. It goes when this and every copy of its descriptor are closed, also by death.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Takes the lock, waiting up to `patience` for a holder that is ending.
pub(crate) async fn take(path: &Path, patience: Duration) -> Result<Lock, LockError> {
    let failed = |cause| LockError::Io { path: path.to_owned(), cause };
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let deadline = Instant::now() + patience;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(LockError::Held { path: path.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    told = true;
                    info!("waiting for {} to leave {}", holder(&mut file), path.display());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let mut lock = Lock { file };
    lock.write(None).map_err(failed)?;
    Ok(lock)
}

impl Lock {
    /// A copy for the child, so that the lock lives as long as either of us.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Notes who holds it: us, and our child.
    pub(crate) fn write(&mut self, child: Option<u32>) -> io::Result<()> {
        let mut text = format!("{}\n", std::process::id());
        if let Some(child) = child {
            text.push_str(&format!("{child}\n"));
        }
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

/// Who holds it, as a few words: first us, then the child.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
        return "another process".to_owned();
    }
    let mut pids = text.lines();
    match (pids.next(), pids.next()) {
        (Some(owner), Some(child)) => format!("process {owner} (or its nats-server, process {child})"),
        (Some(owner), None) => format!("process {owner}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_lock_names_its_holder_and_is_free_with_the_last_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut lock = take(&path, Duration::ZERO).await.unwrap();
        lock.write(Some(4711)).unwrap();
        let copy = lock.share().unwrap();
        drop(lock);
        let error = take(&path, Duration::ZERO).await.unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("process 4711"), "{error}");
        drop(copy);
        take(&path, Duration::ZERO).await.unwrap();
    }
}
