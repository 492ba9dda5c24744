//! How a relation with a client stands: new, active, loyal, at risk, lost, won back.
//!
//! Computed from when they were first and last in touch; never stored, because it changes by itself.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Client, Stage};

/// For so long a client is new.
const NEW: SignedDuration = days(30);
/// After so long without a word a client is at risk, and then lost.
const AT_RISK: SignedDuration = days(90);
const LOST: SignedDuration = days(180);
/// Who has been with us for so long is loyal.
const LOYAL: SignedDuration = days(365);
/// For so long after they came back they are won back.
const WON_BACK: SignedDuration = days(90);

const fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// The stage at a moment.
pub fn stage(client: &Client, now: Timestamp) -> Stage {
    let since = |at: Timestamp| now.duration_since(at);
    let silent = since(client.last_contact_at);
    if silent >= LOST {
        Stage::Lost
    } else if silent >= AT_RISK {
        Stage::AtRisk
    } else if client.won_back_at.is_some_and(|at| since(at) < WON_BACK) {
        Stage::WonBack
    } else if since(client.created_at) >= LOYAL {
        Stage::Loyal
    } else if since(client.created_at) < NEW {
        Stage::New
    } else {
        Stage::Active
    }
}

/// Whether a contact at that moment brings back a client who seemed lost.
pub(crate) fn wins_back(client: &Client, at: Timestamp) -> bool {
    at.duration_since(client.last_contact_at) >= LOST
}
