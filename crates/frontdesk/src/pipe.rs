//! Where a mail system on this machine hands in mails: the socket `run/frontdesk.sock` of the data folder.
//!
//! `frontdesk mail` is the other side; [`frame`] is what they say to each other. "Kept" is said only after
//! the mail is durable, so that the mail system may forget it.

pub(crate) mod frame;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use frame::{Answer, LARGEST, MAGIC};

/// Its owner and its group may hand in: put the mail system's user into that group.
const MODE: u32 = 0o660;
/// Requests at a time. More wait in the kernel's queue.
const MOST_REQUESTS: usize = 64;
/// Bytes of all mails at a time. A mail waits for its room before it is read.
const MOST_BYTES: usize = 256 << 20;
/// In what pieces room is given.
const PIECE: usize = 64 << 10;
/// A request must be here within this time, its wait for room included.
const RECEIVE: Duration = Duration::from_secs(30);
/// Keeping it may take this long. With the above it stays within the minute that the other side waits.
const KEEP: Duration = Duration::from_secs(25);
/// An answer must be taken within this time.
const ANSWER: Duration = Duration::from_secs(3);
/// At a stop, requests that are still coming get this long.
const GRACE: Duration = Duration::from_secs(3);

/// Takes one mail for the source of this name. Returns once it is durable. Safe to repeat.
pub(crate) type HandIn = Arc<dyn Fn(&str, Vec<u8>) -> BoxFuture<'static, Result<(), Refused>> + Send + Sync>;

/// Why a mail was not kept, in a sentence for whoever runs the mail system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The journal is full or broken, the source unknown: keep it and try again.
    Later(String),
    /// This mail, for a reason of its own: trying again will not help.
    Never(String),
}

/// The socket, listened on.
#[derive(Debug)]
pub(crate) struct Pipe {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of our file: another's in its place is not ours to remove.
    inode: (u64, u64),
}

impl Pipe {
    /// Listens in the data folder, whose lock must be held. What a killed predecessor left is replaced;
    /// a socket at which somebody answers, or a file that is no socket, is an error. Within a runtime.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let path = frame::socket(data);
        let folder = path.parent().context("a socket is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
        ensure_nobody_answers(&path)?;
        // Made beside its place and moved there when its mode is right: there is no moment at which
        // somebody meets it half made, or no socket at all.
        let beside = path.with_extension("new");
        remove(&beside).with_context(|| format!("could not remove {}", beside.display()))?;
        let made = || {
            let listener = UnixListener::bind(&beside)?;
            fs::set_permissions(&beside, fs::Permissions::from_mode(MODE))?;
            fs::rename(&beside, &path)?;
            Ok::<_, io::Error>((listener, inode(&path)?))
        };
        let (listener, inode) = made().with_context(|| format!("could not listen at {}", path.display()))?;
        Ok(Self { listener, path, inode })
    }

    /// Takes mails until `stop`; then nobody is admitted, who is being served is served to the end, and
    /// the socket is removed.
    pub(crate) async fn serve(self, hand_in: HandIn, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(MOST_BYTES / PIECE));
        let desk = Arc::new(Desk { hand_in, room, stop: stop.clone() });
        let (places, requests) = (Arc::new(Semaphore::new(MOST_REQUESTS)), TaskTracker::new());
        let admit = async {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                match self.listener.accept().await {
                    Ok((peer, _)) => {
                        let desk = Arc::clone(&desk);
                        requests.spawn(async move {
                            desk.attend(peer).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        // Too many open files: others will close some.
                        warn!(%error, "could not admit a mail that is handed in");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(admit).await;
        drop(self.listener);
        requests.close();
        requests.wait().await;
        let removed = match inode(&self.path) {
            Ok(inode) if inode == self.inode => remove(&self.path),
            _ => Ok(()),
        };
        if let Err(error) = removed {
            warn!(%error, "could not remove {}", self.path.display());
        }
    }
}

/// What serves one request.
struct Desk {
    hand_in: HandIn,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

/// A mail as it was handed in.
struct Handed {
    source: String,
    raw: Vec<u8>,
    /// Given back when it is dealt with.
    _room: OwnedSemaphorePermit,
}

impl Desk {
    async fn attend(&self, mut peer: UnixStream) {
        let received = tokio::select! {
            received = tokio::time::timeout(RECEIVE, self.receive(&mut peer)) => {
                received.unwrap_or_else(|_| Err(later("the mail did not come in time")))
            }
            () = self.closing() => Err(later("frontdesk is shutting down")),
        };
        let (answer, outcome) = match received {
            Ok(handed) => self.keep(handed).await,
            Err(answer) => (answer, "unread"),
        };
        metrics::counter!("frontdesk_handed_in_total", "outcome" => outcome).increment(1);
        let line = answer.line();
        let answered = async {
            peer.write_all(line.as_bytes()).await?;
            peer.shutdown().await
        };
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("who handed a mail in did not wait for the answer: {error}"),
            Err(_) => debug!("who handed a mail in does not take the answer"),
        }
    }

    /// The whole request, or what to say about a part of one.
    async fn receive(&self, peer: &mut UnixStream) -> Result<Handed, Answer> {
        let broken = |error: io::Error| later(&format!("the mail could not be read: {error}"));
        let mut start = [0; MAGIC.len() + 1];
        peer.read_exact(&mut start).await.map_err(broken)?;
        let [magic @ .., name_length] = start;
        if magic != MAGIC {
            return Err(later("the request is of another version of frontdesk"));
        }
        let mut name = vec![0; usize::from(name_length)];
        peer.read_exact(&mut name).await.map_err(broken)?;
        let source = String::from_utf8(name).map_err(|_| later("the name of the source is no text"))?;
        let length = usize::try_from(peer.read_u32().await.map_err(broken)?).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(Answer::Never(format!("a mail of {length} bytes is over the bound of {LARGEST}")));
        }
        let pieces = u32::try_from(length.div_ceil(PIECE)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(pieces).await;
        let room = room.map_err(|_| later("frontdesk is shutting down"))?;
        let mut raw = vec![0; length];
        peer.read_exact(&mut raw).await.map_err(broken)?;
        Ok(Handed { source, raw, _room: room })
    }

    async fn keep(&self, handed: Handed) -> (Answer, &'static str) {
        let Handed { source, raw, _room } = handed;
        let kept = tokio::time::timeout(KEEP, (self.hand_in)(&source, raw)).await;
        let (answer, reason) = match kept {
            Ok(Ok(())) => return (Answer::Kept, "kept"),
            Ok(Err(Refused::Later(reason))) => (Answer::Later(reason.clone()), reason),
            Ok(Err(Refused::Never(reason))) => (Answer::Never(reason.clone()), reason),
            Err(_) => (later("it could not be kept in time"), "it took too long".to_owned()),
        };
        warn!(source.name = source, %reason, "a mail that was handed in is not kept");
        (answer, "refused")
    }

    /// Until a stop, and the grace after it.
    async fn closing(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }
}

fn later(why: &str) -> Answer {
    Answer::Later(why.to_owned())
}

/// Nothing is there, or a socket whose process is gone.
fn ensure_nobody_answers(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("could not look at {shown}")),
        Ok(about) if !about.file_type().is_socket() => bail!("{shown} is in our way: it is no socket"),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not tell whether {shown} is in use")),
        Ok(_) => bail!("another frontdesk answers at {shown}"),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()))
}

/// Nothing to remove is fine.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
