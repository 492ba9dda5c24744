//! Addresses that a token or a visitor names, in their canonical form.

use std::fmt;
use std::str::FromStr;

use contact::{IdentifierKind, Invalid, Party};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

use crate::frame::clean;

/// What an agent is shown of a name, and of an address as it was written, in characters.
pub(crate) const LONGEST_NAME: usize = 100;
const LONGEST_RAW: usize = 200;
/// Longer is no number: E.164 has 15 digits, and people put blanks around them.
const LONGEST_NUMBER: usize = 60;

/// The country in which a number without a country code is dialled (ISO 3166 alpha-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(rlibphonenumber::Region);

impl FromStr for Region {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Some(text)
            .filter(|text| text.len() == 2 && text.bytes().all(|c| c.is_ascii_uppercase()))
            .and_then(|text| rlibphonenumber::Region::from_code(text).ok())
            .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some())
            .map(Self)
            .ok_or_else(|| {
                Invalid(format!("`{text}` is no country with telephones; write its ISO code, as in UA"))
            })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_region_str().as_str())
    }
}

/// A person by an e-mail address: lower case, the domain as A-labels. Its value is `None` when no mail could
/// be sent there from everywhere. Nothing is folded (no `+tag`, no dots): folding may join two people.
pub fn email(raw: &str, name: Option<String>) -> Party {
    Party { kind: IdentifierKind::Email, value: canonical(raw), raw: clean(raw, LONGEST_RAW), name }
}

/// A person by a telephone number in E.164. Without a region a number needs its country code and `+`. Its
/// value is `None` when nobody can be called there.
pub fn phone(raw: &str, name: Option<String>, region: Option<Region>) -> Party {
    Party { kind: IdentifierKind::Phone, value: e164(raw, region), raw: clean(raw, LONGEST_RAW), name }
}

fn canonical(raw: &str) -> Option<String> {
    let (local, domain) = raw.trim().rsplit_once('@')?;
    let fit = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    let local = local.to_lowercase();
    if local.is_empty() || local.len() > 64 || dots || !local.chars().all(fit) || domain.len() > 512 {
        return None;
    }
    let domain = idna::domain_to_ascii(domain.trim_end_matches('.')).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    // A name without a dot means another host on every machine; a number is no name at all.
    let named = domain.contains('.')
        && domain.rsplit('.').next().is_some_and(|last| last.bytes().any(|c| c.is_ascii_alphabetic()));
    (named && domain.len() <= 253 && domain.split('.').all(label)).then(|| format!("{local}@{domain}"))
}

fn e164(raw: &str, region: Option<Region>) -> Option<String> {
    let raw = raw.trim();
    // Letters, `*` and a second `+` spell a word or a code, though the parser would skip them.
    let fit = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-–.()/\u{a0}".contains(c);
    if raw.chars().count() > LONGEST_NUMBER || !raw.chars().all(fit) || raw.chars().skip(1).any(|c| c == '+')
    {
        return None;
    }
    let parsed = PHONE_NUMBER_UTIL.parse(raw, region.map(|region| region.0)).ok()?;
    parsed.is_valid().then(|| parsed.format_as(PhoneNumberFormat::E164).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_one_address() {
        let cases = [
            (" Olena@Client.Example. ", Some("olena@client.example")),
            ("a+b@x.ua", Some("a+b@x.ua")),
            ("почта@Пример.рф", Some("почта@xn--e1afmkfd.xn--p1ai")),
            ("a b@x.org", None),
            ("a@b@x.org", None),
            ("\"a\"@x.org", None),
            ("root@localhost", None),
            ("a@127.0.0.1", None),
            ("@x.org", None),
            ("a@", None),
            ("a@-x.org", None),
            ("a@x..org", None),
            ("a\u{202e}b@x.org", None),
            ("a\u{0}@x.org", None),
            ("no address", None),
        ];
        for (raw, value) in cases {
            assert_eq!(email(raw, None).value.as_deref(), value, "{raw}");
        }
    }

    #[test]
    fn a_number_needs_its_country_from_somewhere() {
        let region: Region = "UA".parse().unwrap();
        let cases = [
            ("044 123-45-67", Some("+380441234567"), None),
            ("+38 (044) 123-45-67", Some("+380441234567"), Some("+380441234567")),
            ("+1 202 555 0117", Some("+12025550117"), Some("+12025550117")),
            ("112", None, None),
            ("1-800-FLOWERS", None, None),
            ("++380441234567", None, None),
            ("0441234567*1", None, None),
            ("", None, None),
        ];
        for (raw, with, without) in cases {
            assert_eq!(phone(raw, None, Some(region)).value.as_deref(), with, "{raw} in UA");
            assert_eq!(phone(raw, None, None).value.as_deref(), without, "{raw}");
        }
        for bad in ["", "ua", "Ukraine", "ZZ", "001"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}
