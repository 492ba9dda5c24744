//! What a start finds in the folder: every good record of every segment, and nothing else.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tracing::{error, warn};

use crate::disk::{Disk, LockError};
use crate::ledger::{Ledger, Place, RecordId};
use crate::segment::{self, End, Record, Scan};

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("could not take the journal folder {}", folder.display())]
    Lock {
        folder: PathBuf,
        #[source]
        cause: LockError,
    },
    #[error("could not {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// A downgrade; reading on would lose what the later version wrote.
    #[error("{} was written by a later version of Frontdesk (format {version})", path.display())]
    Newer { path: PathBuf, version: u16 },
}

/// What was found.
pub(crate) struct Found {
    pub(crate) ledger: Ledger,
    /// Above every number in the folder.
    pub(crate) next_number: u32,
    /// Which record points at which spilled raw, of which size.
    pub(crate) spilled: Vec<(RecordId, [u8; 32], u64)>,
    /// Segments kept aside for a person to look at.
    pub(crate) damaged: u64,
    /// Their bytes: they count against the bound.
    pub(crate) damaged_bytes: u64,
}

/// Reads the folder, cuts torn tails, and rescues what is good in damaged segments into a new one.
pub(crate) fn recover(disk: &dyn Disk, folder: &Path) -> Result<Found, OpenError> {
    let failed = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |cause| OpenError::Io { doing, path, cause }
    };
    let mut numbers = Vec::new();
    let mut found = Found {
        ledger: Ledger::default(),
        next_number: 1,
        spilled: Vec::new(),
        damaged: 0,
        damaged_bytes: 0,
    };
    for (name, size) in disk.list(folder).map_err(failed("list", folder))? {
        let Some((number, kind)) = parse_name(&name) else { continue };
        found.next_number = found.next_number.max(number + 1);
        match kind {
            Kind::Segment => numbers.push(number),
            Kind::Damaged => {
                found.damaged += 1;
                found.damaged_bytes += size;
            }
        }
    }
    numbers.sort_unstable();

    let mut damaged = Vec::new();
    for number in numbers {
        let path = folder.join(segment_name(number));
        let file = Bytes::from(disk.read(&path).map_err(failed("read", &path))?);
        let size = file.len() as u64;
        let Scan { records, end } = segment::scan(&file);
        let size = match end {
            End::Clean => size,
            End::Newer { version } => return Err(OpenError::Newer { path, version }),
            End::Damaged { at } => {
                error!(journal.file = %path.display(), journal.offset = at,
                    "a journal segment is damaged in its middle; its good records are rescued and the file is kept aside");
                damaged.push((number, file, records));
                continue;
            }
            End::Torn { at } => {
                if size > 0 {
                    warn!(journal.file = %path.display(), journal.offset = at, journal.cut_bytes = size - at,
                        "cut the torn tail of a journal segment: nothing in it had been promised");
                }
                disk.truncate(&path, at).map_err(failed("cut the torn tail of", &path))?;
                at
            }
        };
        if records.is_empty() {
            disk.remove(&path).map_err(failed("remove the empty segment", &path))?;
            continue;
        }
        found.ledger.open_segment(number, size);
        enter(&mut found, number, &records);
        found.ledger.seal(number);
    }
    for (number, file, records) in damaged {
        rescue(disk, folder, &mut found, number, &file, &records)?;
    }
    Ok(found)
}

/// Copies the good records of a damaged segment into a new one, then gives the old one another name.
/// A crash between the two leaves both, and some records twice, which is harmless.
fn rescue(
    disk: &dyn Disk,
    folder: &Path,
    found: &mut Found,
    number: u32,
    file: &Bytes,
    records: &[(u64, usize, Record)],
) -> Result<(), OpenError> {
    let into = found.next_number;
    found.next_number += 1;
    let path = folder.join(segment_name(into));
    let failed = |cause| OpenError::Io { doing: "rescue a damaged segment into", path: path.clone(), cause };
    let mut copied = segment::header(into).to_vec();
    let mut moved = Vec::with_capacity(records.len());
    for (offset, len, record) in records {
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let Some(framed) = file.get(start..start + len) else { continue };
        moved.push((copied.len() as u64, *len, record.clone()));
        copied.extend_from_slice(framed);
    }
    let mut new = disk.create_new(&path).map_err(failed)?;
    new.append(&copied).map_err(failed)?;
    new.flush().map_err(failed)?;
    disk.flush_folder(folder).map_err(failed)?;
    let old = folder.join(segment_name(number));
    disk.rename(&old, &folder.join(damaged_name(number))).map_err(failed)?;
    disk.flush_folder(folder).map_err(failed)?;
    found.damaged += 1;
    found.damaged_bytes += file.len() as u64;
    found.ledger.open_segment(into, copied.len() as u64);
    enter(found, into, &moved);
    found.ledger.seal(into);
    Ok(())
}

fn enter(found: &mut Found, number: u32, records: &[(u64, usize, Record)]) {
    for (offset, len, record) in records {
        let place = Place { offset: *offset, len: u32::try_from(*len).unwrap_or(u32::MAX) };
        let id = found.ledger.found(number, place, record.accepted_at);
        if let Some(spill) = &record.spill {
            found.spilled.push((id, spill.sha256, spill.size));
        }
    }
}

/// The file of segment `number`.
pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:010}.seg")
}

fn damaged_name(number: u32) -> String {
    format!("{number:010}.damaged")
}

enum Kind {
    Segment,
    Damaged,
}

fn parse_name(name: &str) -> Option<(u32, Kind)> {
    let (number, kind) = name.split_once('.')?;
    let kind = match kind {
        "seg" => Kind::Segment,
        "damaged" => Kind::Damaged,
        _ => return None,
    };
    Some((number.parse().ok()?, kind))
}
