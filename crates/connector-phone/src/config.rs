//! A `[phone.<name>]` section: what an operator writes, and the checked [`Line`] it becomes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use connector::Secret;
use connector::number::{Region, e164};
use connector::secret::lenient;
use contact::{Channel, SourceName};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::provider::{self, Provider};

/// One section as written. Every secret may be given as text or as a file, not as both.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whose webhooks they are: `twilio`.
    #[serde(deserialize_with = "lenient::optional")]
    pub provider: Option<String>,
    /// The country in which numbers without a country code are dialled: `UA`.
    #[serde(deserialize_with = "lenient::optional")]
    pub region: Option<String>,
    /// The zone of the times that the system writes without one: `Europe/Kyiv`. UTC when absent.
    #[serde(deserialize_with = "lenient::optional")]
    pub zone: Option<String>,
    /// The account's token, by which the provider signs.
    pub auth_token: Option<Secret>,
    /// A file with the token.
    pub auth_token_file: Option<PathBuf>,
    /// The last part of the hook's path, for systems that sign nothing. With it, the hook without it
    /// does not exist.
    pub secret: Option<Secret>,
    /// A file with it.
    pub secret_file: Option<PathBuf>,
    /// Further keys by their id (letter case does not matter): Twilio's shared keys for HMAC-SHA256.
    pub signing_keys: BTreeMap<String, SigningKey>,
    /// Our own numbers. Whoever appears under one of them is not a client.
    #[serde(deserialize_with = "lenient::list")]
    pub own_numbers: Vec<String>,
}

/// A key in `signing_keys`: `"text"`, or `{ file = "path" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a key is a text, or { file = \"path\" }")]
pub enum SigningKey {
    File(KeyFile),
    Inline(Secret),
}

/// Where a key lies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    pub file: PathBuf,
}

/// What is wrong with a section: the field, and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub field: String,
    pub sentence: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { field: field.into(), sentence: sentence.into() }
    }
}

/// One configured line; whoever holds it holds a section that is right.
#[derive(Clone, Debug)]
pub struct Line {
    pub(crate) source: SourceName,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) region: Region,
    pub(crate) zone: TimeZone,
    pub(crate) auth_token: Option<Secret>,
    /// Keyed by the id in lower case.
    pub(crate) signing_keys: BTreeMap<String, Secret>,
    pub(crate) secret: Option<Secret>,
    own_numbers: BTreeSet<String>,
}

impl Line {
    /// `phone/<name>`.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// As it is written in the configuration: `twilio`.
    pub fn provider(&self) -> &'static str {
        self.provider.name()
    }

    /// The country in which numbers without a country code are dialled.
    pub fn region(&self) -> Region {
        self.region
    }

    /// The zone of times that the system writes without one.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Our own numbers in E.164. Identity blocks them, so that none becomes a client's identifier.
    pub fn own_numbers(&self) -> impl Iterator<Item = &str> {
        self.own_numbers.iter().map(String::as_str)
    }

    pub(crate) fn owns(&self, number: &str) -> bool {
        self.own_numbers.contains(number)
    }
}

impl Config {
    /// The line this section describes, its secret files read (a relative path from where we run).
    ///
    /// # Errors
    /// Every problem of the section at once, each with its field.
    pub fn check(&self, name: &str) -> Result<Line, Vec<Problem>> {
        let mut problems = Vec::new();
        let source = keep(&mut problems, "", SourceName::new(Channel::Phone, name).map_err(|e| e.0));
        let provider = keep(&mut problems, "provider", self.find_provider());
        let region = match &self.region {
            None => Err("the country of the line is missing; write its ISO code, as in UA".to_owned()),
            Some(text) => text.parse::<Region>().map_err(|e| e.0),
        };
        let region = keep(&mut problems, "region", region);
        let zone = match &self.zone {
            None => Ok(TimeZone::UTC),
            Some(text) => TimeZone::get(text)
                .map_err(|_| format!("`{text}` is no time zone; write its IANA name, as in Europe/Kyiv")),
        };
        let zone = keep(&mut problems, "zone", zone);
        let auth_token =
            one_of(&mut problems, "auth_token", self.auth_token.as_ref(), self.auth_token_file.as_ref());
        let secret = one_of(&mut problems, "secret", self.secret.as_ref(), self.secret_file.as_ref());
        if let Some(secret) = &secret
            && !is_path_secret(secret)
        {
            problems.push(Problem::new(
                "secret",
                "it is part of a path: write 16 to 200 of A-Z, a-z, 0-9, - and _",
            ));
        }
        let signing_keys = self.keys(&mut problems);
        let own_numbers = self.numbers(region, &mut problems);
        // Only a section that is otherwise whole knows enough to be asked by its provider.
        if let (Some(source), Some(provider), Some(region), Some(zone)) = (source, provider, region, zone) {
            let line = Line { source, provider, region, zone, auth_token, signing_keys, secret, own_numbers };
            let tried: BTreeSet<_> = problems
                .iter()
                .map(|problem| problem.field.strip_suffix("_file").unwrap_or(&problem.field).to_owned())
                .collect();
            problems.extend(provider.check(&line).into_iter().filter(|p| !tried.contains(&p.field)));
            if problems.is_empty() {
                return Ok(line);
            }
        }
        Err(problems)
    }

    fn find_provider(&self) -> Result<&'static dyn Provider, String> {
        let names = provider::ALL.map(Provider::name).join(", ");
        match &self.provider {
            None => Err(format!("whose webhooks they are is missing; known are: {names}")),
            Some(name) => {
                provider::by_name(name).ok_or_else(|| format!("`{name}` is not known; known are: {names}"))
            }
        }
    }

    fn keys(&self, problems: &mut Vec<Problem>) -> BTreeMap<String, Secret> {
        let mut keys = BTreeMap::new();
        for (id, key) in &self.signing_keys {
            let field = format!("signing_keys.{id}");
            let (text, file) = match key {
                SigningKey::Inline(secret) => (Some(secret), None),
                SigningKey::File(KeyFile { file }) => (None, Some(file)),
            };
            if let Some(secret) = one_of(problems, &field, text, file)
                && keys.insert(id.to_ascii_lowercase(), secret).is_some()
            {
                problems.push(Problem::new(field, "the same id is there in another letter case"));
            }
        }
        keys
    }

    fn numbers(&self, region: Option<Region>, problems: &mut Vec<Problem>) -> BTreeSet<String> {
        let Some(region) = region else { return BTreeSet::new() };
        let mut numbers = BTreeSet::new();
        for (at, written) in self.own_numbers.iter().enumerate() {
            match e164(written, region) {
                Some(number) => _ = numbers.insert(number),
                None => problems.push(Problem::new(
                    format!("own_numbers[{at}]"),
                    format!("`{written}` is no telephone number of {region} or with a country code"),
                )),
            }
        }
        numbers
    }
}

fn keep<T>(problems: &mut Vec<Problem>, field: &str, tried: Result<T, String>) -> Option<T> {
    tried.map_err(|sentence| problems.push(Problem::new(field, sentence))).ok()
}

/// The secret from where it is given; `None` when it is given nowhere, or wrongly.
fn one_of(
    problems: &mut Vec<Problem>,
    field: &str,
    text: Option<&Secret>,
    file: Option<&PathBuf>,
) -> Option<Secret> {
    // A problem of the file is told of the field the operator wrote.
    let file_field = if field.contains('.') { format!("{field}.file") } else { format!("{field}_file") };
    let mut written = field;
    let secret = match (text, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.push(Problem::new(field, "it is given both as text and as a file; leave one"));
            return None;
        }
        (Some(text), None) => text.clone(),
        (None, Some(path)) => match Secret::from_file(path) {
            Ok(secret) => {
                written = &file_field;
                secret
            }
            Err(error) => {
                let sentence = format!("could not read the file {}: {error}", path.display());
                problems.push(Problem::new(file_field, sentence));
                return None;
            }
        },
    };
    if secret.expose().is_empty() {
        problems.push(Problem::new(written, "it is empty"));
        return None;
    }
    Some(secret)
}

fn is_path_secret(secret: &Secret) -> bool {
    let bytes = secret.expose();
    (16..=200).contains(&bytes.len())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(section: &str) -> Vec<(String, String)> {
        let config: Config = toml::from_str(section).unwrap();
        config.check("main-line").unwrap_err().into_iter().map(|p| (p.field, p.sentence)).collect()
    }

    #[test]
    fn a_whole_section_becomes_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "12345\n").unwrap();
        let section = format!(
            "provider = 'twilio'\nregion = 'UA'\nzone = 'Europe/Kyiv'\nauth_token_file = '{0}'\n\
             own_numbers = ['0800500500', 380441234567]\nsigning_keys = {{ A = 'k', b = {{ file = '{0}' }} }}",
            file.display()
        );
        let line = toml::from_str::<Config>(&section).unwrap().check("main-line").unwrap();
        assert_eq!(line.source().as_str(), "phone/main-line");
        assert_eq!((line.provider(), line.region().to_string().as_str()), ("twilio", "UA"));
        assert_eq!(line.zone().iana_name(), Some("Europe/Kyiv"));
        assert!(line.auth_token.as_ref().unwrap().is(b"12345"));
        assert!(line.signing_keys["a"].is(b"k") && line.signing_keys["b"].is(b"12345"));
        assert_eq!(line.own_numbers().collect::<Vec<_>>(), ["+380441234567", "+380800500500"]);
        assert!(!format!("{line:?}").contains("12345\""), "a secret is never printed");
    }

    #[test]
    fn an_environment_has_no_types() {
        let config: Config =
            toml::from_str("provider = 'twilio'\nregion = 'UA'\nauth_token = 12345\nsecret = true").unwrap();
        assert!(config.auth_token.unwrap().is(b"12345"));
        assert!(config.secret.unwrap().is(b"true"));
    }

    #[test]
    fn a_half_right_section_is_refused_by_field() {
        let fields =
            |section: &str| problems(section).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        let twilio = "provider = 'twilio'\nregion = 'UA'\n";
        assert_eq!(fields(""), ["provider", "region"]);
        assert_eq!(fields(twilio), ["auth_token"]);
        assert_eq!(fields(&format!("{twilio}auth_token = ''")), ["auth_token"]);
        assert_eq!(fields(&format!("{twilio}auth_token = 'a'\nauth_token_file = 'b'")), ["auth_token"]);
        assert_eq!(fields(&format!("{twilio}auth_token_file = '/no/such'")), ["auth_token_file"]);
        assert_eq!(
            fields(&format!("{twilio}auth_token = 'a'\nsigning_keys = {{ k = {{ file = '/no/such' }} }}")),
            ["signing_keys.k.file"]
        );
        assert_eq!(fields(&format!("{twilio}auth_token = 'a'\nsecret = 'short'")), ["secret"]);
        assert_eq!(fields(&format!("{twilio}auth_token = 'a'\nown_numbers = ['112']")), ["own_numbers[0]"]);
        assert_eq!(fields(&format!("{twilio}auth_token = 'a'\nzone = 'Kyiv'")), ["zone"]);
        assert_eq!(
            fields(&format!("{twilio}auth_token = 'a'\nsigning_keys = {{ k = '' }}")),
            ["signing_keys.k"]
        );
        assert_eq!(fields("provider = 'acme'\nregion = 'Kyiv'\nauth_token = 'a'"), ["provider", "region"]);
        assert_eq!(
            problems("provider = 'acme'\nregion = 'UA'"),
            [("provider".to_owned(), "`acme` is not known; known are: twilio".to_owned())]
        );
        assert!(toml::from_str::<Config>("provder = 'twilio'").is_err(), "unknown keys are refused");
        let config: Config = toml::from_str(&format!("{twilio}auth_token = 'a'")).unwrap();
        assert!(config.check("main line").is_err(), "a name is a token");
    }
}
