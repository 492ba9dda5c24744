//! How a client wants to be worked with: as it is shown, and as it is said.

use std::collections::BTreeMap;

use contact::{Channel, ContactHours, Permission};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use timeline::{Preferences, Wish, hours};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::words;

/// A tag that names a language, its script, its country and more is shorter.
const LONGEST_LANGUAGE: usize = 35;

/// How a client wants to be worked with; what is null or not named is free.
#[derive(Serialize, ToSchema)]
#[schema(as = Preferences)]
pub(crate) struct PreferencesJson {
    /// By channel (`email`, `phone`, `chat`), what was said about being reached there.
    #[schema(value_type = BTreeMap<String, WishJson>)]
    channels: BTreeMap<Channel, WishJson>,
    /// By which channel they like to be reached.
    #[schema(value_type = Option<String>, example = "phone")]
    pub(crate) preferred_channel: Option<Channel>,
    /// BCP 47.
    #[schema(example = "uk")]
    pub(crate) language: Option<String>,
    pub(crate) hours: Option<HoursJson>,
}

/// What was said about a channel, who of us wrote it down, and when.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelWish)]
pub(crate) struct WishJson {
    #[schema(schema_with = words::permission)]
    permission: Permission,
    #[schema(example = "Mia")]
    by: String,
    at: Timestamp,
}

/// When a client wants to be reached, by the clock where they are.
///
/// A mail to them waits for these hours, unless they wrote within the last hour; who chats is there.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ContactHours)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoursJson {
    /// IANA.
    #[schema(example = "Europe/Kyiv")]
    zone: String,
    #[schema(example = "09:00")]
    from: String,
    /// Before `from` it is the next day's.
    #[schema(example = "18:00")]
    to: String,
}

impl HoursJson {
    /// What is wrong with them is said of their field.
    pub(crate) fn read(self) -> Result<ContactHours, Problem> {
        let said = ContactHours { zone: self.zone, from: self.from, to: self.to };
        hours::check(&said).map_err(|bad| Problem::field(format!("hours.{}", bad.field), bad.sentence))?;
        Ok(said)
    }
}

impl From<Preferences> for PreferencesJson {
    fn from(said: Preferences) -> Self {
        let wish = |Wish { permission, by, at }| WishJson { permission, by, at };
        Self {
            channels: said.channels.into_iter().map(|(channel, said)| (channel, wish(said))).collect(),
            preferred_channel: said.preferred_channel,
            language: said.language,
            hours: said.hours.map(HoursJson::from),
        }
    }
}

impl From<ContactHours> for HoursJson {
    fn from(ContactHours { zone, from, to }: ContactHours) -> Self {
        Self { zone, from, to }
    }
}

/// A channel on which a client can be reached.
pub(crate) fn reached(field: &str, name: &str) -> Result<Channel, Problem> {
    words::REACHED.into_iter().find(|channel| channel.as_str() == name).ok_or_else(|| {
        let sentence = format!("nobody is reached by `{name}`; it is email, phone or chat");
        Problem::field(field, sentence)
    })
}

/// A language tag as BCP 47 (RFC 5646 section 2.1) writes it, in its usual case: `uk`, `sr-Latn-RS`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Language(pub(crate) String);

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let tag = Some(text.trim()).filter(|tag| tag.len() <= LONGEST_LANGUAGE).and_then(tag);
        tag.map(Language).ok_or_else(|| {
            // What is not understood may be of any length.
            let shown: String = text.chars().take(LONGEST_LANGUAGE).collect();
            format!("`{shown}` is no language of BCP 47; it reads `uk` or `en-GB`")
        })
    }
}

/// The tag in its usual case, if it is well formed. Of tags that have no language (`x-…`) none is: nobody
/// could answer in it.
fn tag(text: &str) -> Option<String> {
    let mut parts = text.split('-').peekable();
    let alpha = |part: &str, range: std::ops::RangeInclusive<usize>| {
        range.contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphabetic())
    };
    let word = |part: &str, range: std::ops::RangeInclusive<usize>| {
        range.contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric())
    };
    let language = parts.next().filter(|part| alpha(part, 2..=8))?;
    let mut tag = vec![language.to_ascii_lowercase()];
    for _ in 0..3 {
        let extended = parts.next_if(|part| language.len() < 4 && alpha(part, 3..=3));
        tag.extend(extended.map(str::to_ascii_lowercase));
    }
    if let Some(script) = parts.next_if(|part| alpha(part, 4..=4)) {
        let mut script = script.to_ascii_lowercase();
        script.get_mut(..1)?.make_ascii_uppercase();
        tag.push(script);
    }
    let digits = |part: &str| part.len() == 3 && part.bytes().all(|c| c.is_ascii_digit());
    tag.extend(parts.next_if(|part| alpha(part, 2..=2) || digits(part)).map(str::to_ascii_uppercase));
    let begins_with_digit = |part: &str| part.bytes().next().is_some_and(|c| c.is_ascii_digit());
    while let Some(variant) =
        parts.next_if(|part| word(part, 5..=8) || (word(part, 4..=4) && begins_with_digit(part)))
    {
        tag.push(variant.to_ascii_lowercase());
    }
    while let Some(singleton) = parts.next_if(|part| word(part, 1..=1)) {
        let shortest = if singleton.eq_ignore_ascii_case("x") { 1 } else { 2 };
        tag.push(singleton.to_ascii_lowercase());
        tag.push(parts.next_if(|part| word(part, shortest..=8))?.to_ascii_lowercase());
        while let Some(more) = parts.next_if(|part| word(part, shortest..=8)) {
            tag.push(more.to_ascii_lowercase());
        }
    }
    parts.next().is_none().then(|| tag.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_tag_in_its_usual_case() {
        for (said, kept) in [
            ("uk", "uk"),
            (" EN-gb ", "en-GB"),
            ("sr-latn-rs", "sr-Latn-RS"),
            ("zh-yue-HK", "zh-yue-HK"),
            ("es-419", "es-419"),
            ("sl-rozaj-1994", "sl-rozaj-1994"),
            ("de-DE-u-co-phonebk", "de-DE-u-co-phonebk"),
            ("en-x-house", "en-x-house"),
        ] {
            assert_eq!(Language::try_from(said.to_owned()).map(|tag| tag.0).as_deref(), Ok(kept), "{said}");
        }
        for bad in ["", "u", "українська", "en_GB", "en--GB", "en-", "-en", "x-house", "en-u", "en-GB-GB"]
        {
            assert!(Language::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let long = Language::try_from("en-".repeat(1000)).unwrap_err();
        assert!(long.len() < 120, "{long}");
    }
}
