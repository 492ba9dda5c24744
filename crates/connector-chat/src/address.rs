//! Addresses that a token or a visitor names, as parties.

use connector::address;
use connector::number::{self, Region};
use contact::{IdentifierKind, Party};

use crate::frame::clean;

/// What an agent is shown of a name, and of an address as it was written, in characters.
pub(crate) const LONGEST_NAME: usize = 100;
const LONGEST_RAW: usize = 200;

/// A person by an e-mail address. Its value is `None` when no mail could be sent there from everywhere.
pub fn email(raw: &str, name: Option<String>) -> Party {
    Party { kind: IdentifierKind::Email, value: address::typed(raw), raw: clean(raw, LONGEST_RAW), name }
}

/// A person by a telephone number. Without a region a number needs its country code and `+`. Its value is
/// `None` when nobody can be called there.
pub fn phone(raw: &str, name: Option<String>, region: Option<Region>) -> Party {
    Party {
        kind: IdentifierKind::Phone,
        value: number::typed(raw, region),
        raw: clean(raw, LONGEST_RAW),
        name,
    }
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
    }
}
