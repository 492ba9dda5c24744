//! Group commit by hand: what has queued up while the last flush ran goes to disk with the next one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// Appended by one flush at most.
const GROUP: usize = 4096;

type Waiting = (Bytes, oneshot::Sender<()>);

pub(super) struct Spool(mpsc::Sender<Waiting>);

impl Spool {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::options().create(true).append(true).open(path).context("could not open the spool")?;
        // A full queue makes requests wait.
        let (queue, waiting) = mpsc::channel(8192);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write(file, waiting))
            .context("could not start the spool's thread")?;
        Ok(Self(queue))
    }

    /// Whether it is on the disk.
    pub(super) async fn append(&self, body: Bytes) -> bool {
        let (done, flushed) = oneshot::channel();
        self.0.send((body, done)).await.is_ok() && flushed.await.is_ok()
    }
}

/// Ends, and with it every waiter's hope, when the disk refuses.
fn write(mut file: File, mut waiting: mpsc::Receiver<Waiting>) {
    let mut buffer: Vec<u8> = Vec::with_capacity(1 << 20);
    let mut waiters = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        buffer.clear();
        let mut next = Some(first);
        while let Some((body, waiter)) = next {
            buffer.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
            buffer.extend_from_slice(&body);
            waiters.push(waiter);
            next = if waiters.len() < GROUP { waiting.try_recv().ok() } else { None };
        }
        if file.write_all(&buffer).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for waiter in waiters.drain(..) {
            // Whoever gave up waiting needs no answer.
            waiter.send(()).ok();
        }
    }
}
