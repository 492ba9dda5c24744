//! What people write into a body, fit to be kept as it is.
//!
//! Letters that nobody can see (control characters, NUL among them) are left out rather than refused: they
//! come with what people paste, and whoever pasted them could not find them. Line ends become `\n`.

use serde::{Deserialize, Deserializer};

/// In letters.
const LONGEST_TEXT: usize = 20_000;
const LONGEST_REASON: usize = 500;
const LONGEST_NAME: usize = 200;

/// Several lines for a client or a colleague: 1 to 20,000 letters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Text(pub(crate) String);

/// Why somebody does it: 1 to 500 letters, on one line.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Reason(pub(crate) String);

/// What a client is called: up to 200 letters, on one line; without any, nothing.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(pub(crate) String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seen: String = text
            .replace("\r\n", "\n")
            .chars()
            .map(|c| if c == '\r' { '\n' } else { c })
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        bounded(seen.trim(), 1, LONGEST_TEXT, "a text").map(Text)
    }
}

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        bounded(&on_one_line(&text), 1, LONGEST_REASON, "a reason").map(Reason)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        bounded(&on_one_line(&text), 0, LONGEST_NAME, "a name").map(Name)
    }
}

/// For a field that may be null, but not left out.
pub(crate) fn required<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<T, D::Error> {
    T::deserialize(field)
}

/// For a field that may be left out, and may be null: given is `Some`, whatever it says.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

fn on_one_line(text: &str) -> String {
    let words =
        text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn bounded(text: &str, least: usize, most: usize, what: &str) -> Result<String, String> {
    match text.chars().count() {
        count if (least..=most).contains(&count) => Ok(text.to_owned()),
        0 => Err(format!("{what} has at least one letter that can be seen")),
        count => Err(format!("{what} has at most {most} letters, and this has {count}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        let text = |text: &str| Text::try_from(text.to_owned()).map(|text| text.0);
        assert_eq!(
            text("  Добрий день\r\nOlena\rbye\u{0}\u{7}\u{85}\t!\n\n").unwrap(),
            "Добрий день\nOlena\nbye\t!"
        );
        assert_eq!(text("\u{0}\r\n \t").unwrap_err(), "a text has at least one letter that can be seen");
        assert_eq!(text(&"й".repeat(20_000)).unwrap().chars().count(), 20_000);
        let long = text(&"й".repeat(20_001)).unwrap_err();
        assert_eq!(long, "a text has at most 20000 letters, and this has 20001");
        let reason = |text: &str| Reason::try_from(text.to_owned()).map(|reason| reason.0);
        assert_eq!(reason(" the same\n\u{0} voice\u{1b} ").unwrap(), "the same voice");
        assert!(reason("\u{0}").is_err() && reason(&"x".repeat(501)).is_err());
        assert_eq!(Name::try_from("\n".to_owned()).unwrap().0, "");
    }
}
