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
    fn a_person_is_what_was_typed_in_its_one_form_and_as_it_was_written() {
        let name = || Some("Olena".to_owned());
        let party = |kind, value: Option<&str>, raw: &str| Party {
            kind,
            value: value.map(str::to_owned),
            raw: raw.to_owned(),
            name: name(),
        };
        let mail = |value, raw| party(IdentifierKind::Email, value, raw);
        let call = |value, raw| party(IdentifierKind::Phone, value, raw);
        let region: Region = "UA".parse().unwrap();
        let number = Some("+380441234567");
        assert_eq!(email(" Olena@X.ua\n", name()), mail(Some("olena@x.ua"), "Olena@X.ua"));
        assert_eq!(email("<olena@x.ua>", name()), mail(None, "<olena@x.ua>"), "a slip reaches nobody");
        assert_eq!(phone("044 123-45-67", name(), Some(region)), call(number, "044 123-45-67"));
        assert_eq!(phone("044 123-45-67", name(), None), call(None, "044 123-45-67"), "of no country");
        assert_eq!(phone("+380441234567 ext. 12", name(), None).value, None, "nobody answers an extension");
        assert_eq!(email(&"a".repeat(10_000), None).raw.len(), LONGEST_RAW);
    }
}
