//! The one thread that writes segments.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{error, info, warn};

use crate::disk::DiskFile;
use crate::journal::{FULL_RETRY, Refusal, Shared};
use crate::ledger::Place;
use crate::recover::segment_name;
use crate::segment;
use crate::spill::Hold;

/// A group is closed at this many bytes: one flush of it takes milliseconds on any disk.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// At a stop, at most so many bytes of half-retired segments are moved together; what is over stays
/// where it is, and some of it is published once more.
const TIDY_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) enum Command {
    Append(Append),
    /// Close this segment, if it is the open one.
    Roll(u32),
    /// Try a new segment, if the last one broke and it is time.
    Heal,
    Stop,
}

pub(crate) struct Append {
    pub(crate) framed: Bytes,
    pub(crate) accepted_at: i64,
    pub(crate) hold: Option<Hold>,
    pub(crate) reply: oneshot::Sender<Result<(), Refusal>>,
    /// Gives its bytes of the queue back when the record is answered.
    pub(crate) _room: OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    open: Option<Open>,
    next_number: u32,
    /// When a new segment was last tried.
    tried: Option<Instant>,
    buffer: Vec<u8>,
    level: Level,
}

struct Open {
    number: u32,
    file: Box<dyn DiskFile>,
    len: u64,
}

/// How full it is; each rise is said once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fine,
    High,
    Full,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, next_number: u32) -> Self {
        Self { shared, open: None, next_number, tried: None, buffer: Vec::new(), level: Level::Fine }
    }

    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut group = Vec::new();
        while let Some(command) = commands.blocking_recv() {
            let mut next = Some(command);
            let mut bytes = 0;
            let mut other = None;
            while let Some(command) = next.take() {
                match command {
                    Command::Append(append) => {
                        bytes += append.framed.len();
                        group.push(append);
                    }
                    command => {
                        other = Some(command);
                        break;
                    }
                }
                if bytes < GROUP_BYTES {
                    next = commands.try_recv().ok();
                }
            }
            self.commit(&mut group);
            match other {
                Some(Command::Roll(number))
                    if self.open.as_ref().is_some_and(|open| open.number == number) =>
                {
                    self.seal();
                }
                Some(Command::Heal) if self.shared.broken.load(Ordering::Acquire) => {
                    // Refused again: the reason is in the log, and the next try comes by itself.
                    self.ready(0).err();
                }
                Some(Command::Stop) => return self.stop(commands),
                _ => {}
            }
        }
    }

    /// Writes and flushes the group, then answers each of it.
    fn commit(&mut self, group: &mut Vec<Append>) {
        self.refuse_what_does_not_fit(group);
        if group.is_empty() {
            return;
        }
        let bytes = group.iter().map(|append| append.framed.len() as u64).sum();
        match self.write(group, bytes) {
            Ok(()) => self.promise(group),
            Err(refusal) => {
                for append in group.drain(..) {
                    // A caller that went away needs no answer.
                    append.reply.send(Err(refusal.clone())).ok();
                }
            }
        }
    }

    fn refuse_what_does_not_fit(&mut self, group: &mut Vec<Append>) {
        let bound = self.shared.limits.max_bytes;
        // A new segment may be needed; its header counts too.
        let mut total = self.shared.bytes() + segment::HEADER as u64;
        let mut level = if total > bound / 5 * 4 { Level::High } else { Level::Fine };
        let all = std::mem::take(group);
        for append in all {
            let grown = total + append.framed.len() as u64;
            if grown <= bound {
                total = grown;
                group.push(append);
            } else {
                level = Level::Full;
                append.reply.send(Err(Refusal::Full { retry_after: FULL_RETRY })).ok();
            }
        }
        self.say_level(level, total);
    }

    fn say_level(&mut self, level: Level, bytes: u64) {
        if level == self.level {
            return;
        }
        let rising = level > self.level;
        self.level = level;
        let bound = self.shared.limits.max_bytes;
        let folder = self.shared.folder.display();
        match level {
            Level::Fine => info!(journal.bytes = bytes, "the journal in {folder} has room again"),
            Level::High if rising => {
                error!(
                    journal.bytes = bytes,
                    journal.max_bytes = bound,
                    "the journal in {folder} is over 80 % full: core or the broker is not keeping up"
                );
            }
            Level::High => info!(journal.bytes = bytes, "the journal in {folder} takes records again"),
            Level::Full => {
                error!(
                    journal.bytes = bytes,
                    journal.max_bytes = bound,
                    "the journal in {folder} is full: sources are told to come back later"
                );
            }
        }
        self.shared.meters.full.set(match level {
            Level::Fine => 0.0,
            Level::High => 0.8,
            Level::Full => 1.0,
        });
    }

    fn write(&mut self, group: &[Append], bytes: u64) -> Result<(), Refusal> {
        self.buffer.clear();
        self.buffer.shrink_to(GROUP_BYTES);
        for append in group {
            self.buffer.extend_from_slice(&append.framed);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let open = self.ready(bytes)?;
        let number = open.number;
        open.len += bytes;
        let started = Instant::now();
        let written = open.file.append(&buffer).and_then(|()| open.file.flush());
        self.buffer = buffer;
        self.shared.meters.flush_seconds.record(started.elapsed());
        {
            // Counted also after a failure: the bytes may be there.
            let mut book = self.shared.book();
            book.ledger.grow(number, bytes);
            self.shared.note(&book);
        }
        written.map_err(|cause| self.broke("write", &cause))
    }

    /// An open segment with room for so many bytes.
    fn ready(&mut self, bytes: u64) -> Result<&mut Open, Refusal> {
        let full = |open: &Open| {
            open.len > segment::HEADER as u64 && open.len + bytes > self.shared.limits.segment_bytes
        };
        if self.open.as_ref().is_some_and(full) {
            self.seal();
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        Ok(self.open.insert(open))
    }

    fn create(&mut self) -> Result<Open, Refusal> {
        let heal_every = self.shared.limits.heal_every;
        let broken = self.shared.broken.load(Ordering::Acquire);
        if broken && self.tried.is_some_and(|tried| tried.elapsed() < heal_every) {
            return Err(Refusal::Broken {
                reason: "the disk failed a moment ago".to_owned(),
                retry_after: heal_every,
            });
        }
        self.tried = Some(Instant::now());
        // A number is used for one attempt only, also for one that failed.
        let number = self.next_number;
        self.next_number += 1;
        let path = self.shared.folder.join(segment_name(number));
        let head = segment::header(number);
        let made = self.shared.disk.create_log(&path).and_then(|mut file| {
            {
                // From here on the file is ours to remove, whatever happens next.
                let mut book = self.shared.book();
                book.ledger.open_segment(number, head.len() as u64);
                self.shared.note(&book);
            }
            file.append(&head)?;
            file.flush()?;
            self.shared.disk.flush_folder(&self.shared.folder)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                if self.shared.broken.swap(false, Ordering::AcqRel) {
                    self.shared.meters.broken.set(0.0);
                    info!(journal.file = %path.display(), "the journal writes again, into a new segment");
                }
                Ok(Open { number, file, len: head.len() as u64 })
            }
            Err(cause) => {
                self.shared.book().ledger.seal(number);
                Err(self.broke("make a segment", &cause))
            }
        }
    }

    /// Closes the door and the segment. The file is not touched again, but for its removal.
    fn broke(&mut self, doing: &str, cause: &io::Error) -> Refusal {
        self.seal();
        if !self.shared.broken.swap(true, Ordering::AcqRel) {
            self.shared.meters.broken.set(1.0);
            error!(error = %cause, "the journal in {} could not {doing}: the door is closed until a new segment works",
                self.shared.folder.display());
        }
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Refusal::Full { retry_after: FULL_RETRY }
            }
            _ => Refusal::Broken {
                reason: format!("could not {doing}: {cause}"),
                retry_after: self.shared.limits.heal_every.max(Duration::from_secs(1)),
            },
        }
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.shared.book().ledger.seal(open.number);
        }
    }

    /// Everything of the group is on the disk: enters it in the book, then tells each caller.
    fn promise(&mut self, group: &mut Vec<Append>) {
        let Some(open) = &self.open else { return };
        self.shared.meters.group.record(group.len() as f64);
        self.shared.meters.appended.increment(group.len() as u64);
        let bytes: u64 = group.iter().map(|append| append.framed.len() as u64).sum();
        let mut offset = open.len - bytes;
        let mut replies = Vec::with_capacity(group.len());
        {
            let mut book = self.shared.book();
            for append in group.drain(..) {
                let len = u32::try_from(append.framed.len()).unwrap_or(u32::MAX);
                let id = book.ledger.written(open.number, Place { offset, len }, append.accepted_at);
                offset += u64::from(len);
                book.remember(id, &append.framed);
                if let Some(hold) = append.hold {
                    self.shared.spill.bind(id, hold);
                }
                replies.push(append.reply);
            }
            self.shared.note(&book);
        }
        for reply in replies {
            reply.send(Ok(())).ok();
        }
        self.shared.fresh.notify_one();
    }

    fn stop(mut self, mut commands: mpsc::Receiver<Command>) {
        commands.close();
        let mut group = Vec::new();
        while let Ok(command) = commands.try_recv() {
            if let Command::Append(append) = command {
                group.push(append);
            }
        }
        self.commit(&mut group);
        self.seal();
        self.shared.sweep();
        if let Err(error) = self.tidy() {
            warn!(%error, "could not tidy the journal in {}: the next start will publish some records once more",
                self.shared.folder.display());
        }
    }

    /// Moves the unretired records of half-retired segments into a new one.
    fn tidy(&mut self) -> io::Result<()> {
        let (disk, folder) = (&self.shared.disk, &self.shared.folder);
        let mut room = TIDY_BYTES;
        let mut moved = Vec::new();
        let number = self.next_number;
        let mut copied = segment::header(number).to_vec();
        for (old, places) in self.shared.book().ledger.partly_retired() {
            let bytes: u64 = places.iter().map(|place| u64::from(place.len)).sum();
            if bytes > room {
                continue;
            }
            room -= bytes;
            let path = folder.join(segment_name(old));
            for place in places {
                copied.extend_from_slice(&disk.read_at(&path, place.offset, place.len as usize)?);
            }
            moved.push(path);
        }
        if moved.is_empty() {
            return Ok(());
        }
        self.next_number += 1;
        let mut file = disk.create_new(&folder.join(segment_name(number)))?;
        file.append(&copied)?;
        file.flush()?;
        disk.flush_folder(folder)?;
        for path in moved {
            disk.remove(&path)?;
        }
        disk.flush_folder(folder)
    }
}
