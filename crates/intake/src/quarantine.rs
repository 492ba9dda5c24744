//! A second door for requests that did not prove themselves: its own folder, its own bounds, so that
//! no forger can fill the journal of the contacts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use connector::{Clock, Held, Quarantine};
use contact::Suspect;
use metrics::counter;

use crate::door::Door;

/// Requests held per address and minute; the rest are dropped.
const PER_ADDRESS: u32 = 10;

/// Addresses remembered within one minute. Beyond it, new addresses share one allowance, so that a
/// flood from many addresses costs bounded memory and leaves the known ones alone.
const ADDRESSES: usize = 10_000;

/// The largest suspect held, as published. One that the broker would refuse for its size would stay in
/// the journal for ever, and a few of those would close the quarantine for all others.
const LARGEST: usize = 768 * 1024;

/// Holds suspects through a [`Door`] of its own. The bound on the disk is that door's.
pub struct QuarantineDoor {
    door: Door,
    clock: Clock,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    minute: i64,
    by_address: HashMap<String, u32>,
}

impl QuarantineDoor {
    /// `door` must be opened for this alone.
    pub fn new(door: Door, clock: Clock) -> Self {
        Self { door, clock, seen: Mutex::default() }
    }

    fn admits(&self, peer: Option<&str>) -> bool {
        let minute = (self.clock)().as_second().div_euclid(60);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.minute != minute {
            *seen = Seen { minute, by_address: HashMap::new() };
        }
        let peer = peer.unwrap_or("unknown");
        let crowded = seen.by_address.len() >= ADDRESSES && !seen.by_address.contains_key(peer);
        let count =
            seen.by_address.entry(if crowded { "others".to_owned() } else { peer.to_owned() }).or_default();
        *count += 1;
        *count <= PER_ADDRESS
    }
}

#[async_trait]
impl Quarantine for QuarantineDoor {
    async fn hold(&self, suspect: Suspect) -> Held {
        let source = &suspect.source;
        let body = suspect.to_json();
        let admitted = self.admits(suspect.peer.as_deref()) && body.len() <= LARGEST;
        let subject = format!("quarantine.v1.{}.{}", source.channel(), source.name());
        let held = match admitted && self.door.put(subject, body, None).await.is_ok() {
            true => Held::Kept,
            false => Held::Dropped,
        };
        let what = match held {
            Held::Kept => "kept",
            Held::Dropped => "dropped",
        };
        counter!("frontdesk_quarantine_requests_total", "source" => source.to_string(), "held" => what)
            .increment(1);
        held
    }
}
