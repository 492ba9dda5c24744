//! What becomes of each record: fresh, in the air, published, retired. Pure; no disk, no broker.
//!
//! The one question it answers with care is *when may a record leave the journal*: when the floor of
//! core's consumer has passed the number the broker gave it, and that number is still worth something.
//! Numbers are worth something within one **epoch**. An epoch ends, and all its numbers with it, when
//!
//! - the link was lost (the broker may have lost its tail, and others may already write past it),
//! - the stream was created anew, or
//! - the broker shows a number not above one we had already seen.
//!
//! Then every unretired record is owed to the broker again, behind the new ones. An epoch begins with a
//! look at the floor *before* anything is published in it: a consumer whose floor is ahead of its
//! stream remembers a stream that lost its tail, and would "confirm" whatever is numbered there next.
//!
//! Every record in here is in exactly one place: the fresh queue, the owed queue, the parked queue, a
//! [`Flight`] in the publisher's hands, the published map, or retired. Costs about 50 bytes a record.

use std::collections::{BTreeMap, VecDeque};

use crate::broker::{Floor, Receipt};

/// Names a record for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The segment it lies in.
    pub segment: u32,
    /// Its place in the order of that segment.
    pub index: u32,
}

/// Where a record lies in its segment file, frame included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub len: u32,
}

/// The lane a record waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Never published yet; goes first.
    Fresh,
    /// Published before, or found at the start; goes behind the fresh and at a limited rate.
    Owed,
    /// Refused for a reason of its own; tried again slowly, and never in the way of others.
    Parked,
}

/// A record on its way to the broker. Must come back by [`Ledger::published`] or [`Ledger::failed`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a flight that does not come back is a record that is never retired"]
pub struct Flight {
    pub id: RecordId,
    pub lane: Lane,
    epoch: u64,
    /// The highest number seen when it left; its own must be above.
    above: u64,
}

/// What [`Ledger::published`] made of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// Its number counts; it waits for the floor.
    Noted,
    /// The epoch ended while it was in the air: published, but owed again.
    Forgotten,
    /// The receipt showed that the broker lost something: all unretired records are owed again.
    RolledBack,
}

/// A question to the broker about its floor, as of now.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    epoch: u64,
    above: u64,
}

/// What [`Ledger::floor`] made of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So many records were retired.
    Retired(u64),
    /// The epoch it was asked in is over; it says nothing.
    Stale,
    /// The consumer's floor is ahead of its stream. Nothing is published before that is healed.
    Ahead,
    /// The answer showed that the broker lost something: all unretired records are owed again.
    RolledBack,
}

/// How many records are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that were not retired, the parked and those in the air included.
    pub unretired: u64,
    pub fresh: u64,
    pub owed: u64,
    pub parked: u64,
    pub published: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    segments: BTreeMap<u32, Segment>,
    fresh: VecDeque<RecordId>,
    owed: VecDeque<RecordId>,
    parked: VecDeque<RecordId>,
    published: BTreeMap<u64, RecordId>,
    epoch: u64,
    /// Whether the broker was looked at in this epoch.
    begun: bool,
    /// The stream of this epoch.
    stream: Option<i64>,
    /// The highest number seen in this epoch.
    highest: u64,
    unretired: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Segment {
    entries: Vec<Entry>,
    unretired: u32,
    /// Everything before it is retired.
    first_unretired: usize,
    /// Nothing will be written to it any more.
    sealed: bool,
    /// Its size on the disk.
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    /// Seconds since 1970.
    accepted_at: u32,
    retired: bool,
}

impl Ledger {
    /// A segment file now exists, with so many bytes in it.
    pub fn open_segment(&mut self, number: u32, bytes: u64) {
        self.segments.insert(number, Segment { bytes, ..Segment::default() });
        self.bytes += bytes;
    }

    /// So many bytes were, or may have been, written to the segment.
    pub fn grow(&mut self, number: u32, bytes: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Nothing will be written to the segment any more.
    pub fn seal(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.sealed = true;
        }
    }

    /// A record was written and flushed; it is published next.
    pub fn written(&mut self, segment: u32, place: Place, accepted_at: i64) -> RecordId {
        let id = self.enter(segment, place, accepted_at);
        self.fresh.push_back(id);
        id
    }

    /// A record was found at the start: it may or may not have been published before.
    pub fn found(&mut self, segment: u32, place: Place, accepted_at: i64) -> RecordId {
        let id = self.enter(segment, place, accepted_at);
        self.owed.push_back(id);
        id
    }

    fn enter(&mut self, segment: u32, place: Place, accepted_at: i64) -> RecordId {
        let home = self.segments.entry(segment).or_default();
        // A segment is bounded to 4 GiB of records of at least 19 bytes, so the index fits.
        let index = u32::try_from(home.entries.len()).unwrap_or(u32::MAX);
        let accepted_at = u32::try_from(accepted_at / 1_000_000).unwrap_or(0);
        home.entries.push(Entry { place, accepted_at, retired: false });
        home.unretired += 1;
        self.unretired += 1;
        RecordId { segment, index }
    }

    /// Whether anything may be published: the broker was looked at in this epoch.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// The next record of the lane, to be published now; `None` when the lane is empty or the epoch
    /// has not begun.
    pub fn take(&mut self, lane: Lane) -> Option<Flight> {
        if !self.begun {
            return None;
        }
        let id = self.lane(lane).pop_front()?;
        Some(Flight { id, lane, epoch: self.epoch, above: self.highest })
    }

    /// The broker has it, under this number.
    pub fn published(&mut self, flight: Flight, receipt: Receipt) -> Landed {
        if flight.epoch != self.epoch {
            self.owed.push_back(flight.id);
            return Landed::Forgotten;
        }
        let other_stream = self.stream.is_some_and(|stream| stream != receipt.stream_created);
        if other_stream || receipt.seq <= flight.above || self.published.contains_key(&receipt.seq) {
            self.forget();
            self.owed.push_back(flight.id);
            return Landed::RolledBack;
        }
        self.stream = Some(receipt.stream_created);
        self.highest = self.highest.max(receipt.seq);
        self.published.insert(receipt.seq, flight.id);
        Landed::Noted
    }

    /// The broker has it not, or we do not know. It goes back to the head of its lane, or, refused for
    /// a reason of its own, to the end of the parked.
    pub fn failed(&mut self, flight: Flight, park: bool) {
        match (park, flight.lane) {
            (true, _) => self.parked.push_back(flight.id),
            (false, lane) => self.lane(lane).push_front(flight.id),
        }
    }

    /// To be called when the question about the floor is sent.
    pub fn ask_floor(&self) -> Asked {
        Asked { epoch: self.epoch, above: self.highest }
    }

    /// The broker's answer; retires what core has committed. What is retired goes to `retired`.
    pub fn floor(&mut self, asked: Asked, floor: Floor, mut retired: impl FnMut(RecordId)) -> Answer {
        if asked.epoch != self.epoch {
            return Answer::Stale;
        }
        let other_stream = self.stream.is_some_and(|stream| stream != floor.stream_created);
        if other_stream || floor.last < asked.above {
            self.forget();
            return Answer::RolledBack;
        }
        if floor.acked > floor.last {
            if self.begun {
                self.forget();
            }
            return Answer::Ahead;
        }
        self.begun = true;
        self.stream = Some(floor.stream_created);
        self.highest = self.highest.max(floor.last);
        let above = self.published.split_off(&floor.acked.saturating_add(1));
        let below = std::mem::replace(&mut self.published, above);
        let count = below.len() as u64;
        for id in below.into_values() {
            self.retire(id);
            retired(id);
        }
        Answer::Retired(count)
    }

    fn retire(&mut self, id: RecordId) {
        let Some(segment) = self.segments.get_mut(&id.segment) else { return };
        let Some(entry) = segment.entries.get_mut(id.index as usize) else { return };
        if std::mem::replace(&mut entry.retired, true) {
            return;
        }
        segment.unretired -= 1;
        self.unretired -= 1;
        while segment.entries.get(segment.first_unretired).is_some_and(|entry| entry.retired) {
            segment.first_unretired += 1;
        }
    }

    /// Ends the epoch: all numbers are worth nothing, what was published is owed again, and so will be
    /// what is in the air when it lands.
    pub fn forget(&mut self) {
        self.epoch += 1;
        self.begun = false;
        self.stream = None;
        self.highest = 0;
        self.owed.extend(std::mem::take(&mut self.published).into_values());
    }

    /// Where the record lies.
    pub fn place(&self, id: RecordId) -> Option<Place> {
        Some(self.segments.get(&id.segment)?.entries.get(id.index as usize)?.place)
    }

    /// The sealed segments that hold nothing unretired: their files may go.
    pub fn deletable(&self) -> Vec<u32> {
        self.segments
            .iter()
            .filter(|(_, it)| it.sealed && it.unretired == 0)
            .map(|(number, _)| *number)
            .collect()
    }

    /// The open segment's number, when all in it is retired and it has grown over `bytes`.
    pub fn spent(&self, bytes: u64) -> Option<u32> {
        let spent = |it: &Segment| !it.sealed && it.unretired == 0 && it.bytes > bytes;
        self.segments.iter().find(|(_, it)| spent(it)).map(|(number, _)| *number)
    }

    /// The segment's file is gone.
    pub fn removed(&mut self, number: u32) {
        if let Some(segment) = self.segments.remove(&number) {
            self.bytes -= segment.bytes;
        }
    }

    /// The segments of which a part is retired, each with the places of what is not.
    pub fn partly_retired(&self) -> Vec<(u32, Vec<Place>)> {
        let partly = |it: &&Segment| it.unretired > 0 && (it.unretired as usize) < it.entries.len();
        let left = |it: &Segment| {
            it.entries.iter().filter(|entry| !entry.retired).map(|entry| entry.place).collect()
        };
        self.segments.iter().filter(|(_, it)| partly(it)).map(|(number, it)| (*number, left(it))).collect()
    }

    /// All unretired records, in the order they were written.
    pub fn unretired(&self) -> Vec<RecordId> {
        let left = |(segment, it): (&u32, &Segment)| {
            let (segment, first) = (*segment, it.first_unretired);
            let ids = it.entries.iter().enumerate().skip(first).filter(|(_, entry)| !entry.retired);
            ids.filter_map(|(index, _)| Some(RecordId { segment, index: u32::try_from(index).ok()? }))
                .collect::<Vec<_>>()
        };
        self.segments.iter().flat_map(left).collect()
    }

    /// Bytes of all segment files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many records are where.
    pub fn counts(&self) -> Counts {
        Counts {
            unretired: self.unretired,
            fresh: self.fresh.len() as u64,
            owed: self.owed.len() as u64,
            parked: self.parked.len() as u64,
            published: self.published.len() as u64,
        }
    }

    /// When the oldest unretired record was accepted, in seconds since 1970.
    pub fn oldest(&self) -> Option<u32> {
        let first = |it: &Segment| it.entries.get(it.first_unretired).map(|entry| entry.accepted_at);
        self.segments.values().filter(|it| it.unretired > 0).find_map(first)
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<RecordId> {
        match lane {
            Lane::Fresh => &mut self.fresh,
            Lane::Owed => &mut self.owed,
            Lane::Parked => &mut self.parked,
        }
    }
}
