//! Who is this? Pure functions from identifiers to clients. Knows no database.
//!
//! An identifier is *proved*, *observed* (caller id, From) or *claimed*. An observed or proved identifier
//! attaches the contact to its holder, or makes a client where there is none. Only a proof attaches more
//! identifiers or merges two clients, and only within `rules`. A party without an identifier (a withheld caller, one of our
//! own numbers, a keypad spelling of ANONYMOUS) is nobody.

mod rules;

use contact::{Identifier, Level, Party};

pub use rules::{Conflict, POLICY, may_hold, may_merge};

/// Whose contact this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding<Client> {
    /// The channel told no address that could be anybody's.
    Nobody,
    /// The identifier is held by this client, known to be theirs this surely.
    Holder { client: Client, identifier: Identifier, level: Level },
    /// Nobody holds the identifier yet: whoever reached out is a new client, known by it.
    Stranger { identifier: Identifier },
}

/// Finds the client a party observed on a channel belongs to. `holder_of` answers from what is known
/// at this moment.
pub fn find<Client>(
    party: Option<&Party>,
    holder_of: impl FnOnce(&Identifier) -> Option<(Client, Level)>,
) -> Finding<Client> {
    let Some(identifier) = party.and_then(Party::identifier) else {
        return Finding::Nobody;
    };
    match holder_of(&identifier) {
        Some((client, level)) => Finding::Holder { client, identifier, level },
        None => Finding::Stranger { identifier },
    }
}

/// The name a client goes by after a channel showed `shown`: the first one seen stays, because a name
/// a person chose must not be overwritten by caller id.
pub fn name_after(known: Option<&str>, shown: Option<&str>) -> Option<String> {
    known.or(shown.map(str::trim).filter(|name| !name.is_empty())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contact::IdentifierKind;

    fn party(value: Option<&str>) -> Party {
        Party { kind: IdentifierKind::Phone, value: value.map(str::to_owned), raw: "raw".into(), name: None }
    }

    #[test]
    fn a_withheld_caller_is_nobody() {
        assert_eq!(find::<u8>(None, |_| panic!("nobody was asked for")), Finding::Nobody);
        assert_eq!(find::<u8>(Some(&party(None)), |_| panic!("nobody was asked for")), Finding::Nobody);
    }

    #[test]
    fn an_observed_number_finds_its_holder_or_is_a_stranger() {
        let caller = party(Some("+380441234567"));
        let Finding::Holder { client, level, .. } = find(Some(&caller), |_| Some((7, Level::Observed)))
        else {
            panic!("somebody holds it");
        };
        assert_eq!((client, level), (7, Level::Observed));
        let Finding::Stranger { identifier } = find::<u8>(Some(&caller), |_| None) else {
            panic!("nobody holds it");
        };
        assert_eq!(identifier.value, "+380441234567");
    }

    #[test]
    fn the_first_name_stays() {
        assert_eq!(name_after(None, Some(" ACME ")), Some("ACME".into()));
        assert_eq!(name_after(Some("Олена"), Some("ACME")), Some("Олена".into()));
        assert_eq!(name_after(None, Some("  ")), None);
    }
}
