//! Versions of nats-server.

use std::fmt;

/// The oldest nats-server we work with. Older ones silently ignore parts of what we declare.
pub const OLDEST: Version = Version { major: 2, minor: 12, patch: 0 };

/// A released version of nats-server. A pre-release counts as its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Incompatible generations.
    pub major: u32,
    /// Features.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

impl Version {
    /// Reads `2.12.1`, `v2.12.1`, `2.12.0-RC.2`, or a line that ends in one of them, as
    /// `nats-server --version` prints. `None` when there is no version in it.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.split_whitespace().last()?;
        let word = word.strip_prefix('v').unwrap_or(word);
        let release = word.split(['-', '+']).next()?;
        let mut parts = release.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = match parts.next() {
            Some(patch) => patch.ok()?,
            None => 0,
        };
        Some(Self { major, minor, patch })
    }

    /// Whether we work with it.
    pub fn is_new_enough(self) -> bool {
        self >= OLDEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_print() {
        let v = |major, minor, patch| Some(Version { major, minor, patch });
        assert_eq!(Version::parse("nats-server: v2.15.1\n"), v(2, 15, 1));
        assert_eq!(Version::parse("2.12.0-RC.2"), v(2, 12, 0));
        assert_eq!(Version::parse("2.9"), v(2, 9, 0));
        assert_eq!(Version::parse("nats-server: unknown"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn nine_is_older_than_twelve() {
        assert!(!Version::parse("2.9.10").unwrap().is_new_enough());
        assert!(!Version::parse("2.11.99").unwrap().is_new_enough());
        assert!(Version::parse("2.12.0").unwrap().is_new_enough());
        assert!(Version::parse("3.0.0").unwrap().is_new_enough());
    }
}
