//! Who a visitor is: whoever holds a secret, or whom a token names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contact::SourceName;
use sha2::{Digest as _, Sha256};

/// A visitor of one widget, by a digest: neither the secret nor the site's own id of the person is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// 64 hex digits.
    digest: String,
    /// `<name of the source>:<digest>`
    id: String,
}

impl Visitor {
    /// Whoever holds this secret: the SHA-256 of its text.
    pub fn of_secret(source: &SourceName, secret: &str) -> Self {
        Self::of(source, hex::encode(Sha256::digest(secret)))
    }

    /// Whom a token names. What is hashed begins with a word and NUL, which no secret contains, so that no
    /// secret leads to this visitor.
    pub fn of_subject(source: &SourceName, sub: &str) -> Self {
        let hash = Sha256::new().chain_update(b"sub\0").chain_update(sub);
        Self::of(source, hex::encode(hash.finalize()))
    }

    fn of(source: &SourceName, digest: String) -> Self {
        let id = contact::chat::visitor(source, &digest).value;
        Self { digest, id }
    }

    /// 64 hex digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The first 16 of them: what an event's id begins with.
    pub fn short(&self) -> &str {
        self.digest.get(..16).unwrap_or(&self.digest)
    }

    /// `<name of the source>:<digest>`: the value of the visitor's identifier.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A secret as it is given away: base64url of 32 random bytes.
pub fn secret(random: [u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// Whether a text is one, so that nobody's secret is `null` or `test`.
pub fn is_secret(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_a_subject_never_meet() {
        let site: SourceName = "chat/site".parse().unwrap();
        let text = secret([7; 32]);
        assert!(is_secret(&text));
        for bad in ["", "null", &"A".repeat(42), &"A".repeat(44), &"*".repeat(43), &"_".repeat(43)] {
            assert!(!is_secret(bad), "{bad}");
        }
        let (held, named) = (Visitor::of_secret(&site, &text), Visitor::of_subject(&site, &text));
        assert_ne!(held, named);
        assert_eq!(held.id(), format!("site:{}", hex::encode(Sha256::digest(&text))));
        assert_eq!((held.digest().len(), held.short().len()), (64, 16));
        assert_ne!(held.id(), Visitor::of_secret(&"chat/shop".parse().unwrap(), &text).id());
    }
}
