//! Different mails under one Message-ID. Each is a contact of its own, because its content is part of its name;
//! but answers find only the first by that id, so somebody should know of a program that writes such mails.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use contact::{Content, Event};
use sha2::{Digest as _, Sha256};
use tracing::warn;

/// How many ids one generation remembers; with the one before it, about 6 MB at most. A full generation becomes
/// the old one and the old one is forgotten.
const GENERATION: usize = 32_768;

/// What the latest ids were on. It begins anew with the process: what it misses is told by nobody, and harms
/// nothing.
#[derive(Default)]
pub(crate) struct Namesakes(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Borne>,
    old: HashMap<Digest, Borne>,
}

type Digest = [u8; 16];

#[derive(Clone, Copy)]
struct Borne {
    /// The latest mail.
    by: Digest,
    /// Somebody was told, and is not told again for each of a thousand.
    told: bool,
}

/// What was under a mail's id before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing that we remember, or the same mail.
    Nothing,
    /// Another mail, for the first time.
    Another,
    AnotherAgain,
}

impl Namesakes {
    /// Warns when the mail of this event, which was kept, has the id of another one.
    pub(crate) fn meet(&self, event: &Event) {
        let Content::Email(email) = &event.content else { return };
        let Some(id) = &email.message_id else { return };
        let before = self.before(digest(id), digest(&event.contact.0));
        if before == Before::Nothing {
            return;
        }
        let source = event.key.source.to_string();
        if before == Before::Another {
            warn!(%source, event.id = %event.key.id, "another mail has the same Message-ID; they are two contacts");
        }
        metrics::counter!("frontdesk_mail_namesakes_total", "source" => source).increment(1);
    }

    fn before(&self, id: Digest, by: Digest) -> Before {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.young.get(&id).or_else(|| seen.old.get(&id)).copied();
        let another = known.is_some_and(|known| known.by != by);
        let told = known.is_some_and(|known| known.told);
        if seen.young.len() >= GENERATION && !seen.young.contains_key(&id) {
            seen.old = std::mem::take(&mut seen.young);
        }
        seen.young.insert(id, Borne { by, told: told || another });
        match (another, told) {
            (false, _) => Before::Nothing,
            (true, false) => Before::Another,
            (true, true) => Before::AnotherAgain,
        }
    }
}

fn digest(text: &str) -> Digest {
    let full: [u8; 32] = Sha256::digest(text).into();
    std::array::from_fn(|at| full.get(at).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_mail_under_an_id_is_told_once_and_counted_each_time() {
        let seen = Namesakes::default();
        let met = |id: &str, mail: &str| seen.before(digest(id), digest(mail));
        assert_eq!(met("a@x", "one"), Before::Nothing);
        assert_eq!(met("a@x", "one"), Before::Nothing, "the same in another mailbox");
        assert_eq!(met("b@x", "two"), Before::Nothing);
        assert_eq!(met("a@x", "two"), Before::Another);
        assert_eq!(met("a@x", "one"), Before::AnotherAgain);
        assert_eq!(met("a@x", "one"), Before::Nothing, "a retry is no other mail");
        assert_eq!(met("a@x", "three"), Before::AnotherAgain, "and nothing is forgotten over it");
        assert_eq!(met("b@x", "one"), Before::Another);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_met_again_is_not_forgotten() {
        let seen = Namesakes::default();
        let number = |n: usize| digest(&n.to_string());
        for n in 0..3 * GENERATION {
            assert_eq!(seen.before(number(n), number(n)), Before::Nothing);
            assert_eq!(seen.before(number(0), number(0)), Before::Nothing);
        }
        assert_eq!(seen.before(number(0), number(1)), Before::Another);
        assert_eq!(seen.before(number(1), number(2)), Before::Nothing, "it was forgotten");
        let seen = seen.0.into_inner().unwrap();
        assert!(seen.young.len() + seen.old.len() <= 2 * GENERATION);
    }
}
