//! Telephone numbers: what a phone system or a person writes, as E.164 or as nobody.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use contact::Invalid;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

/// Longer is no number: E.164 has 15 digits, and people put blanks and an extension around them.
const LONGEST: usize = 60;

/// The keypad spellings by which a hidden caller is announced: ANONYMOUS, RESTRICTED, BLOCKED,
/// UNKNOWN, UNAVAILABLE. They come with a `+`; without it, one of them is somebody's number in Texas.
const WITHHELD: [&str; 5] = ["266696687", "7378742833", "2562533", "8656696", "86282452253"];

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

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_region_str().as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number in E.164, or `None` when it is not a valid number that somebody can be called back on.
///
/// An extension is left out: what is left is the line it belongs to. Bare digits are dialled in
/// `region`, so a country code needs its `+` or the region's international prefix; without a region its `+`.
pub fn e164(raw: &str, region: impl Into<Option<Region>>) -> Option<String> {
    let (raw, region) = (raw.trim(), region.into());
    if raw.is_empty() || raw.chars().count() > LONGEST {
        return None;
    }
    let memo = || MEMO.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (region, raw.to_owned());
    let known = memo().get(&key);
    // Parsed outside the lock: two requests may both do it, neither waits for the other.
    known.unwrap_or_else(|| {
        let answer = parse(raw, region);
        memo().put(key, answer.clone());
        answer
    })
}

/// The same of what a person typed: letters there spell a word, and nobody answers an extension.
pub fn typed(raw: &str, region: impl Into<Option<Region>>) -> Option<String> {
    let fit = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-–.()/\u{a0}".contains(c);
    if raw.trim().chars().all(fit) { e164(raw, region) } else { None }
}

fn parse(raw: &str, region: Option<Region>) -> Option<String> {
    let written = raw.strip_prefix("tel:").unwrap_or(raw);
    let number = without_extension(written)?;
    // A `*` or a second `+` makes it a code for a switchboard, though the parser would skip it.
    if number.contains('*') || number.chars().skip(1).any(|c| c == '+') {
        return None;
    }
    if number.trim_start().starts_with('+') {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        if WITHHELD.contains(&digits.as_str()) {
            return None;
        }
    }
    let parsed = PHONE_NUMBER_UTIL.parse(number, region.map(|region| region.0)).ok()?;
    parsed.is_valid().then(|| parsed.format_as(PhoneNumberFormat::E164).into_owned())
}

/// The part before the extension; `None` when what follows the number is no extension. Letters are
/// refused there because a caller id that spells a word is a word, not a number.
fn without_extension(written: &str) -> Option<&str> {
    let Some(end) = written.find(|c: char| c.is_alphabetic() || matches!(c, ';' | '#' | ',')) else {
        return Some(written);
    };
    let (number, rest) = written.split_at_checked(end)?;
    let rest = rest.to_lowercase();
    let label = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let known =
        ["ext", "ext.", "ext:", "x", "x.", ";ext=", "extension", "#", ",", "доб", "доб.", "вн", "вн."];
    (label.len() < rest.len() && known.contains(&label.trim())).then_some(number)
}

/// A parse costs 100 µs and one call names the same two numbers in every request; this remembers the
/// latest. It changes no answer.
static MEMO: LazyLock<Mutex<Memo>> = LazyLock::new(Mutex::default);

/// One generation; with the one before it, about 3 MB at most. A full generation becomes the old one
/// and the old one is forgotten.
const GENERATION: usize = 8_192;

#[derive(Default)]
struct Memo {
    young: HashMap<Asked, Option<String>>,
    old: HashMap<Asked, Option<String>>,
}

/// A number as it was written, and where.
type Asked = (Option<Region>, String);

impl Memo {
    fn get(&mut self, key: &Asked) -> Option<Option<String>> {
        if let Some(known) = self.young.get(key) {
            return Some(known.clone());
        }
        // What is asked for again lives on in the young generation.
        let (key, answer) = self.old.remove_entry(key)?;
        self.put(key, answer.clone());
        Some(answer)
    }

    fn put(&mut self, key: Asked, answer: Option<String>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_region() {
        let table = [
            // National and international spellings of four countries.
            ("UA", "0441234567", Some("+380441234567")),
            ("UA", "+380501234567", Some("+380501234567")),
            ("UA", "00380501234567", Some("+380501234567")),
            ("UA", " (050) 123-45-67 ", Some("+380501234567")),
            ("UA", "+38 (050) 123 45 67", Some("+380501234567")),
            ("RU", "8 (912) 345-67-89", Some("+79123456789")),
            ("RU", "9123456789", Some("+79123456789")),
            ("RU", "+7 301 123-45-67", Some("+73011234567")),
            ("GB", "020 7946 0018", Some("+442079460018")),
            ("GB", "+442079460018", Some("+442079460018")),
            ("US", "(202) 555-0117", Some("+12025550117")),
            ("US", "1-202-555-0117", Some("+12025550117")),
            ("US", "011442079460018", Some("+442079460018")),
            ("UA", "+12025550117", Some("+12025550117")),
            ("UA", "tel:+12025550117", Some("+12025550117")),
            // An extension is left out.
            ("UA", "+380441234567 ext. 12", Some("+380441234567")),
            ("US", "202-555-0117 x34", Some("+12025550117")),
            ("GB", "tel:+442079460018;ext=7", Some("+442079460018")),
            // Withheld, in keypad spelling and in words.
            ("US", "+266696687", None),
            ("US", "+7378742833", None),
            ("US", "+2562533", None),
            ("US", "+8656696", None),
            ("US", "+86282452253", None),
            ("US", "7378742833", Some("+17378742833")),
            ("US", "anonymous", None),
            ("US", "Restricted", None),
            // Too short for anybody, too long, codes, other addresses, garbage.
            ("UA", "112", None),
            ("UA", "101", None),
            ("UA", "12345", None),
            ("UA", "+380 44 123 45", None),
            ("UA", "+3804412345678901", None),
            ("RU", "3515*101", None),
            ("RU", "8912345*6789", None),
            ("US", "client:mia", None),
            ("US", "sip:+12025550117@example.net", None),
            ("US", "1-800-FLOWERS", None),
            ("US", "", None),
            ("US", "+", None),
            ("US", "++12025550117", None),
            ("US", "\u{0}\u{1}", None),
            ("US", "202555011720255501172025550117", None),
        ];
        for (region, raw, expected) in table {
            let region: Region = region.parse().unwrap();
            assert_eq!(e164(raw, region).as_deref(), expected, "{raw} in {region}");
        }
    }

    #[test]
    fn what_is_typed_needs_its_country_from_somewhere() {
        let region: Region = "UA".parse().unwrap();
        let cases = [
            ("044 123-45-67", Some("+380441234567"), None),
            ("+38 (044) 123-45-67", Some("+380441234567"), Some("+380441234567")),
            ("+1 202 555 0117", Some("+12025550117"), Some("+12025550117")),
            ("112", None, None),
            ("1-800-FLOWERS", None, None),
            ("+380441234567 ext. 12", None, None),
            ("++380441234567", None, None),
            ("0441234567*1", None, None),
            ("", None, None),
        ];
        for (raw, with, without) in cases {
            assert_eq!(typed(raw, region).as_deref(), with, "{raw} in UA");
            assert_eq!(typed(raw, None).as_deref(), without, "{raw}");
        }
    }

    #[test]
    fn a_region_is_a_country() {
        for good in ["UA", "RU", "GB", "US", "XK"] {
            assert_eq!(good.parse::<Region>().unwrap().to_string(), good);
        }
        for bad in ["", "ua", "Ukraine", "ZZ", "U", "001", "ЮА"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_right() {
        let region: Region = "UA".parse().unwrap();
        let mut memo = Memo::default();
        let key = |n: usize| (Some(region), n.to_string());
        for n in 0..3 * GENERATION {
            assert_eq!(memo.get(&key(n)), None);
            memo.put(key(n), Some(n.to_string()));
            assert_eq!(memo.get(&key(0)), Some(Some("0".to_owned())), "what is used is not forgotten");
        }
        assert_eq!(memo.get(&key(1)), None, "what is not used is");
        assert!(memo.young.len() + memo.old.len() <= 2 * GENERATION);
    }
}
