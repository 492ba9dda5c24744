//! What stands against believing a proof: the rules that keep one bad edge from joining half the world.
//!
//! They are constants, not configuration, so that a timeline made again decides the same.

use std::fmt;

use contact::{Identifier, IdentifierKind};

/// The name and version of these rules, as a decision keeps it.
pub const POLICY: &str = "signed-token/1";

/// Of one kind, the most identifiers a client may come to hold without a person's word. People have a few
/// numbers and addresses, and leave a trail of browsers.
fn limit(kind: IdentifierKind) -> usize {
    match kind {
        IdentifierKind::Phone | IdentifierKind::Email => 5,
        IdentifierKind::Visitor => 50,
        IdentifierKind::External => 10,
    }
}

const KINDS: [IdentifierKind; 4] =
    [IdentifierKind::Phone, IdentifierKind::Email, IdentifierKind::Visitor, IdentifierKind::External];

/// What speaks against one more identifier, or against making two clients one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The client would hold more of a kind than people do.
    TooMany { kind: IdentifierKind, limit: usize },
    /// A person said that these are two.
    KeptApart,
}

/// Why something proved is no more than a claim.
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token names it, but {}", self.sentence())
    }
}

impl Conflict {
    /// For a person.
    pub fn sentence(&self) -> String {
        match self {
            Conflict::TooMany { kind, limit } => {
                format!("the client would hold more than {limit} of kind {kind}")
            }
            Conflict::KeptApart => "a person said that these are two clients".to_owned(),
        }
    }
}

/// Whether a client who holds these may hold one more.
pub fn may_hold(held: &[Identifier], more: &Identifier) -> Result<(), Conflict> {
    within(more.kind, held.iter().filter(|one| one.kind == more.kind).count() + 1)
}

/// Whether two clients who hold these may become one without a person's word.
pub fn may_merge(one: &[Identifier], other: &[Identifier]) -> Result<(), Conflict> {
    KINDS.into_iter().try_for_each(|kind| {
        let count = one.iter().chain(other).filter(|held| held.kind == kind).count();
        within(kind, count)
    })
}

fn within(kind: IdentifierKind, count: usize) -> Result<(), Conflict> {
    let limit = limit(kind);
    if count > limit { Err(Conflict::TooMany { kind, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phones(count: usize) -> Vec<Identifier> {
        let phone = |nth| Identifier { kind: IdentifierKind::Phone, value: format!("+38044123456{nth}") };
        (0..count).map(phone).collect()
    }

    #[test]
    fn a_client_holds_a_few_of_a_kind_and_a_merge_may_not_pass_that() {
        let one = Identifier { kind: IdentifierKind::Phone, value: "+380440000000".into() };
        assert_eq!(may_hold(&phones(4), &one), Ok(()));
        assert_eq!(
            may_hold(&phones(5), &one),
            Err(Conflict::TooMany { kind: IdentifierKind::Phone, limit: 5 })
        );
        assert_eq!(may_merge(&phones(3), &phones(2)), Ok(()));
        assert!(may_merge(&phones(3), &phones(3)).is_err());
    }
}
