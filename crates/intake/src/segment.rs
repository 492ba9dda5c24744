//! How a segment file reads: a header, then records, each under a checksum of its own.
//!
//! ```text
//! header  "FDJOURNL" | u16 version | u16 zero | u32 number | u32 crc of the 16 bytes before
//! record  u32 length of body | u32 crc of length and body | body
//! body    i64 accepted at (µs) | u16 length | subject | u8 flags | [spill] | the event, as published
//! spill   32 bytes SHA-256 | u64 size | u16 length | media type          (when flag 1 is set)
//! ```
//! All numbers little-endian. Zeros may follow the last record: room that was made and not used. Pure: bytes
//! in, records out.

use bytes::{BufMut, Bytes, BytesMut};

/// The largest record, in bytes. A longer length is not believed, and a longer record not taken.
pub const MAX_RECORD: usize = 8 * 1024 * 1024;

/// Bytes of the header.
pub const HEADER: usize = 20;

const MAGIC: &[u8; 8] = b"FDJOURNL";
const VERSION: u16 = 1;
/// Bytes before the body: its length and its checksum.
const FRAME: usize = 8;
/// Bytes of a body with an empty subject and an empty event.
const SMALLEST_BODY: usize = 8 + 2 + 1;
const SPILLED: u8 = 1;

/// One thing to keep and to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When the door took it, in microseconds since 1970.
    pub accepted_at: i64,
    /// Where it will be published.
    pub subject: String,
    /// What lies beside it, too large to ride along.
    pub spill: Option<SpillRef>,
    /// What will be published, byte for byte.
    pub event: Bytes,
}

/// A raw that lies in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillRef {
    pub sha256: [u8; 32],
    pub size: u64,
    pub media_type: String,
}

/// The record does not fit the format: over [`MAX_RECORD`], or a name over 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} bytes is over the {MAX_RECORD} the journal takes")]
pub struct TooLarge(pub usize);

impl Record {
    /// The record with its frame, as it goes to the file.
    pub fn encode(&self) -> Result<Bytes, TooLarge> {
        let spill = self.spill.as_ref().map_or(0, |spill| 32 + 8 + 2 + spill.media_type.len());
        let body = SMALLEST_BODY + self.subject.len() + spill + self.event.len();
        if body > MAX_RECORD {
            return Err(TooLarge(body));
        }
        let mut out = BytesMut::with_capacity(FRAME + body);
        out.put_u32_le(u32::try_from(body).map_err(|_| TooLarge(body))?);
        out.put_u32_le(0);
        out.put_i64_le(self.accepted_at);
        put_text(&mut out, &self.subject)?;
        match &self.spill {
            None => out.put_u8(0),
            Some(spill) => {
                out.put_u8(SPILLED);
                out.put_slice(&spill.sha256);
                out.put_u64_le(spill.size);
                put_text(&mut out, &spill.media_type)?;
            }
        }
        out.put_slice(&self.event);
        let sum = checksum(&out[..4], &out[FRAME..]);
        out[4..FRAME].copy_from_slice(&sum.to_le_bytes());
        Ok(out.freeze())
    }

    /// Reads back what [`Record::encode`] made; `None` when a byte of it is not as it was.
    pub fn decode(framed: &Bytes) -> Option<Self> {
        let len = framed_len(framed)?;
        (len == framed.len()).then(|| parse(framed.slice(FRAME..))).flatten()
    }
}

/// The header of segment `number`.
pub fn header(number: u32) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&number.to_le_bytes());
    let sum = crc32fast::hash(&out[..16]);
    out[16..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// What a segment file was found to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Every good record, with its offset and its length in the file.
    pub records: Vec<(u64, usize, Record)>,
    pub end: End,
}

/// How a segment file ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With its last record, or zeros behind it.
    #[default]
    Clean,
    /// Good up to here, and nothing good behind: a write that power or the disk cut short.
    Torn { at: u64 },
    /// Bad here, and good records behind it: no cut makes that.
    Damaged { at: u64 },
    /// Written by a later version; it is not ours to judge.
    Newer { version: u16 },
}

/// Reads a whole segment file. Never skips bytes in silence: what is bad shows in [`Scan::end`].
pub fn scan(file: &Bytes) -> Scan {
    let mut found = Scan::default();
    let mut at = HEADER;
    match check_header(file) {
        Header::Good => {}
        Header::Newer(version) => {
            found.end = End::Newer { version };
            return found;
        }
        Header::Bad => {
            found.end = End::Torn { at: 0 };
            at = 0;
        }
    }
    // Where nothing but zeros follows, nothing was ever written.
    let written = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    while at < written {
        let rest = file.slice(at..);
        if let Some((len, record)) = next(&rest) {
            if let End::Torn { at } = found.end {
                found.end = End::Damaged { at };
            }
            found.records.push((at as u64, len, record));
            at += len;
        } else {
            if found.end == End::Clean {
                found.end = End::Torn { at: at as u64 };
            }
            // Look for a good record behind the bad bytes. Text read as a length is far over
            // MAX_RECORD, so nearly every step costs one comparison.
            at += 1;
        }
    }
    found
}

enum Header {
    Good,
    Bad,
    Newer(u16),
}

fn check_header(file: &[u8]) -> Header {
    let Some(head) = file.get(..HEADER) else { return Header::Bad };
    let version = u16::from_le_bytes([head[8], head[9]]);
    let sum = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    match head.starts_with(MAGIC) && sum == crc32fast::hash(&head[..16]) {
        true if version > VERSION => Header::Newer(version),
        true => Header::Good,
        false => Header::Bad,
    }
}

fn next(rest: &Bytes) -> Option<(usize, Record)> {
    let len = framed_len(rest)?;
    let record = parse(rest.slice(FRAME..len))?;
    Some((len, record))
}

/// Frame and body together, when a whole record with the right checksum starts here.
fn framed_len(bytes: &[u8]) -> Option<usize> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let body = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    if !(SMALLEST_BODY..=MAX_RECORD).contains(&body) {
        return None;
    }
    (checksum(size, rest.get(..body)?) == u32::from_le_bytes(*sum)).then_some(FRAME + body)
}

fn parse(body: Bytes) -> Option<Record> {
    let mut rest = Reader(body);
    let accepted_at = i64::from_le_bytes(rest.take(8)?.as_ref().try_into().ok()?);
    let subject = rest.text()?;
    let spill = match rest.take(1)?.first()? {
        &SPILLED => Some(SpillRef {
            sha256: rest.take(32)?.as_ref().try_into().ok()?,
            size: u64::from_le_bytes(rest.take(8)?.as_ref().try_into().ok()?),
            media_type: rest.text()?,
        }),
        0 => None,
        _ => return None,
    };
    Some(Record { accepted_at, subject, spill, event: rest.0 })
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.0.len()).then(|| self.0.split_to(count))
    }

    fn text(&mut self) -> Option<String> {
        let len = u16::from_le_bytes(self.take(2)?.as_ref().try_into().ok()?);
        String::from_utf8(self.take(usize::from(len))?.to_vec()).ok()
    }
}

fn put_text(out: &mut BytesMut, text: &str) -> Result<(), TooLarge> {
    out.put_u16_le(u16::try_from(text.len()).map_err(|_| TooLarge(text.len()))?);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn checksum(size: &[u8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(size);
    sum.update(body);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let spill = proptest::option::of((any::<[u8; 32]>(), any::<u64>(), "[a-z/]{0,20}"));
        (any::<i64>(), "[a-z.]{0,40}", spill, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(accepted_at, subject, spill, event)| Record {
                accepted_at,
                subject,
                spill: spill.map(|(sha256, size, media_type)| SpillRef { sha256, size, media_type }),
                event: event.into(),
            },
        )
    }

    fn file_of(records: &[Record]) -> Vec<u8> {
        let mut file = header(7).to_vec();
        for record in records {
            file.extend_from_slice(&record.encode().unwrap());
        }
        file
    }

    proptest! {
        #[test]
        fn what_was_written_is_what_is_read(records in proptest::collection::vec(any_record(), 0..8)) {
            let found = scan(&file_of(&records).into());
            prop_assert_eq!(found.end, End::Clean);
            let read: Vec<_> = found.records.into_iter().map(|(_, _, record)| record).collect();
            prop_assert_eq!(read, records);
        }

        #[test]
        fn a_cut_loses_only_what_it_cut(
            records in proptest::collection::vec(any_record(), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = file_of(&records);
            let cut = cut.index(whole.len());
            let found = scan(&Bytes::copy_from_slice(&whole[..cut]));
            let mut end = HEADER;
            let mut kept = 0;
            for record in &records {
                end += record.encode().unwrap().len();
                if end <= cut { kept += 1; }
            }
            prop_assert_eq!(found.records.len(), kept);
            let damaged = matches!(found.end, End::Damaged { .. });
            prop_assert!(!damaged);
        }

        #[test]
        fn a_flipped_byte_costs_one_record_and_is_seen(
            records in proptest::collection::vec(any_record(), 1..6),
            place in any::<prop::sample::Index>(),
            flip in 1..=255u8,
        ) {
            let mut file = file_of(&records);
            let place = place.index(file.len() - HEADER) + HEADER;
            file[place] ^= flip;
            let found = scan(&file.into());
            prop_assert_eq!(found.records.len(), records.len() - 1);
            prop_assert_ne!(found.end, End::Clean);
            for (_, _, record) in &found.records {
                prop_assert!(records.contains(record));
            }
        }
    }

    #[test]
    fn zeros_are_no_records() {
        let mut file = header(1).to_vec();
        file.extend_from_slice(&[0; 4096]);
        assert_eq!(scan(&file.clone().into()), Scan { records: vec![], end: End::Clean });
        file.push(1);
        assert_eq!(scan(&file.into()), Scan { records: vec![], end: End::Torn { at: HEADER as u64 } });
    }

    #[test]
    fn a_later_version_is_left_alone() {
        let mut file = header(1);
        file[8] = 2;
        let sum = crc32fast::hash(&file[..16]);
        file[16..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(scan(&Bytes::copy_from_slice(&file)).end, End::Newer { version: 2 });
    }

    #[test]
    fn a_record_over_the_limit_is_refused() {
        let record =
            Record { accepted_at: 0, subject: "s".into(), spill: None, event: vec![0; MAX_RECORD].into() };
        assert_eq!(record.encode(), Err(TooLarge(MAX_RECORD + SMALLEST_BODY + 1)));
    }
}
