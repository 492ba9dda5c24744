//! The configuration: the built-in defaults file, the operator's file above it, the environment above
//! both. Wrong configuration is refused with file, key and a sentence.

mod check;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use routing::hours::CalendarConfig;
use routing::offer::Terms;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::policy::Routing;

/// The shipped `config/frontdesk.toml`: the reference of every option, and the base layer.
pub(crate) const DEFAULTS: &str = include_str!("../../../config/frontdesk.toml");

/// The exit code for wrong configuration (`EX_CONFIG` of sysexits.h).
pub(crate) const EXIT_CONFIG: u8 = 78;

/// The sections whose tables the operator names.
const NAMED: [&str; 3] = ["phone", "email", "chat"];
/// Of their keys, which the defaults do not show, those that are lists: in the environment, with commas.
const LISTS: [&str; 5] = ["own_numbers", "addresses", "forms", "origins", "proxies"];
/// And how the names of those end that are numbers.
const NUMBERS: [&str; 6] = ["_s", "_bytes", "_minute", "_sockets", "max_text", "port"];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) log: Log,
    pub(crate) http: Http,
    pub(crate) store: Store,
    pub(crate) nats: Nats,
    pub(crate) blobs: Blobs,
    pub(crate) journal: Journal,
    pub(crate) quarantine: Quarantine,
    pub(crate) identity: Identity,
    pub(crate) routing: Routing,
    pub(crate) offers: Terms,
    #[serde(default)]
    pub(crate) calendars: BTreeMap<String, CalendarConfig>,
    #[serde(default)]
    pub(crate) phone: BTreeMap<String, connector_phone::Config>,
    #[serde(default)]
    pub(crate) email: BTreeMap<String, connector_email::Config>,
    #[serde(default)]
    pub(crate) chat: BTreeMap<String, connector_chat::Config>,
    /// Nothing was configured, so a demo line was made.
    #[serde(skip)]
    pub(crate) demo: bool,
    /// All layers together, for `check-config`.
    #[serde(skip)]
    layers: Dict,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: String,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout_s: u64,
    pub(crate) body_timeout_s: u64,
    pub(crate) body_limit_bytes: usize,
    pub(crate) drain_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) password: SecretString,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) sqlite_cache_mib: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nats {
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: SecretString,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) server_path: PathBuf,
    pub(crate) replicas: usize,
    pub(crate) max_bytes: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blobs {
    pub(crate) url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    pub(crate) max_bytes: u64,
    pub(crate) segment_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) blocked: Vec<String>,
    pub(crate) shared: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quarantine {
    pub(crate) per_source: u64,
    pub(crate) bytes_per_source: u64,
}

/// What is wrong with the configuration; one line a mistake.
#[derive(Debug)]
pub(crate) struct Wrong(pub Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Wrong {}

impl Config {
    /// Reads the layers. `file` named by the operator must exist; `config/frontdesk.toml` in the
    /// working directory is taken when there is one.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Wrong> {
        let usual = Path::new("config/frontdesk.toml");
        let defaults = Named { file: "built-in defaults".to_owned(), inner: Toml::string(DEFAULTS) };
        let mut layers = Figment::from(defaults);
        if let Some(file) = file.or(usual.exists().then_some(usual)) {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Wrong(vec![format!("{}: cannot be read: {error}", file.display())]))?;
            layers = layers.merge(Named { file: file.display().to_string(), inner: Toml::string(&text) });
        }
        let figment = layers.merge(Environment(environment.into_iter().collect()));
        let wrong = |error: figment::Error| Wrong(error.into_iter().map(sentence).collect());
        let mut config: Config = figment.extract().map_err(wrong)?;
        config.layers = figment.extract().map_err(wrong)?;
        let wrong = check::wrong(&config);
        if wrong.is_empty() {
            return Ok(config);
        }
        Err(Wrong(wrong.into_iter().map(|sentence| placed(&figment, sentence)).collect()))
    }

    /// What is in force, as TOML, with secrets hidden.
    pub(crate) fn shown(&self) -> anyhow::Result<String> {
        let mut layers = self.layers.clone();
        hide(&mut layers);
        Ok(toml::to_string_pretty(&layers)?)
    }

    /// How the world reaches us.
    pub(crate) fn public_url(&self) -> Result<Url, String> {
        let text = match self.http.public_url.as_str() {
            "" => format!("http://{}", self.http.listen),
            given => given.to_owned(),
        };
        let url = Url::parse(&text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` is not of the form https://host/prefix"));
        }
        Ok(url)
    }

    pub(crate) fn store_url(&self) -> String {
        match self.store.url.as_str() {
            "" => format!("sqlite://{}", self.data.join("frontdesk.db").display()),
            given => given.to_owned(),
        }
    }

    /// Several processes may share PostgreSQL; SQLite has one.
    pub(crate) fn is_shared_store(&self) -> bool {
        is_postgres(&self.store.url)
    }

    pub(crate) fn blob_folder(&self) -> PathBuf {
        self.blobs.url.strip_prefix("file://").map_or_else(|| self.data.join("blobs"), PathBuf::from)
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// A secret given in place or in a file; empty is none.
pub(crate) fn secret(value: &SecretString, file: Option<&Path>) -> Result<Option<SecretString>, Wrong> {
    let Some(file) = file else {
        return Ok(Some(value.clone()).filter(|secret| !secret.expose_secret().is_empty()));
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Wrong(vec![format!("{}: the secret cannot be read: {error}", file.display())]))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |rest| rest.strip_suffix('\r').unwrap_or(rest));
    Ok(Some(SecretString::from(text)))
}

/// The keys whose values are secrets; the files they may be in are not.
const SECRETS: [&str; 7] =
    ["password", "smtp_password", "token", "secret", "identity_secret", "auth_token", "signing_keys"];

fn hide(dict: &mut Dict) {
    for (key, value) in dict.iter_mut() {
        match value {
            Value::String(_, text) if text.is_empty() => {}
            value if SECRETS.contains(&key.as_str()) => *value = Value::from("(hidden)"),
            Value::String(_, text) => {
                if let Some(shown) = without_password(text) {
                    *text = shown;
                }
            }
            Value::Dict(_, inner) => hide(inner),
            _ => {}
        }
    }
}

/// The URL with its password hidden, if it has one.
fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok().filter(|url| url.password().is_some())?;
    url.set_password(Some("(hidden)")).ok()?;
    Some(url.into())
}

/// One mistake as "where: what".
fn sentence(error: figment::Error) -> String {
    let place = match &error.metadata {
        Some(metadata) => metadata.name.to_string(),
        None => "configuration".to_owned(),
    };
    let path = match error.path.split_last() {
        None => String::new(),
        Some((key, [])) => format!(" {key}"),
        Some((key, sections)) => format!(" [{}] {key}", sections.join(".")),
    };
    format!("{place}:{path}: {}", error.kind)
}

/// `[http] drain_s: …` behind the layer that says so: where a key is not given, its section may be.
fn placed(figment: &Figment, sentence: String) -> String {
    let (path, _) = sentence.split_once(':').unwrap_or_default();
    let (section, key) = path.strip_prefix('[').and_then(|path| path.split_once(']')).unwrap_or_default();
    let paths = [format!("{section}.{}", key.trim()), section.to_owned()];
    match paths.iter().find_map(|path| figment.find_metadata(path)) {
        Some(layer) => format!("{}: {sentence}", layer.name),
        None => sentence,
    }
}

/// A text layer that is called by the file it came from.
struct Named<Inner> {
    file: String,
    inner: Inner,
}

impl<Inner: Provider> Provider for Named<Inner> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.file.clone())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        self.inner.data()
    }
}

/// `FRONTDESK__SECTION__KEY` variables. What type a value has is read off the defaults, never guessed
/// from its text, so a password of digits stays a text.
struct Environment(BTreeMap<String, String>);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment (FRONTDESK__…)")
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let defaults = Toml::string(DEFAULTS).data()?.remove(&Profile::Default).unwrap_or_default();
        let mut root = Dict::new();
        for (name, text) in &self.0 {
            let Some(rest) = name.strip_prefix("FRONTDESK__") else { continue };
            let mut keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
            if let [section, named, ..] = keys.as_mut_slice()
                && NAMED.contains(&section.as_str())
            {
                *named = named.replace('_', "-");
            }
            let added = keys.first().is_some_and(|section| NAMED.contains(&section.as_str()));
            let last = keys.last().map_or("", String::as_str);
            let value = match lookup(&defaults, &keys) {
                None if added && LISTS.contains(&last) => list(text),
                None if added && NUMBERS.iter().any(|end| last.ends_with(end)) => number(text),
                None if added && last == "agent_name" => truth(text),
                Some(Value::Array(..)) => list(text),
                Some(Value::Num(..)) => number(text),
                Some(Value::Bool(..)) => truth(text),
                _ => Value::from(text.clone()),
            };
            insert(&mut root, &keys, value);
        }
        Ok(Profile::Default.collect(root))
    }
}

fn list(text: &str) -> Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Value::from(items.map(str::to_owned).collect::<Vec<_>>())
}

/// What is no number stays a text, to be refused with its key.
fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text.to_owned()), Value::from)
}

fn truth(text: &str) -> Value {
    text.parse::<bool>().map_or_else(|_| Value::from(text.to_owned()), Value::from)
}

fn lookup<'a>(dict: &'a Dict, keys: &[String]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    match (dict.get(first)?, rest) {
        (value, []) => Some(value),
        (Value::Dict(_, inner), rest) => lookup(inner, rest),
        _ => None,
    }
}

fn insert(dict: &mut Dict, keys: &[String], value: Value) {
    match keys {
        [] => {}
        [last] => {
            dict.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Wrong> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, text).unwrap();
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&file), pairs)
    }

    fn complaint(text: &str) -> String {
        load(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_file_is_the_defaults() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8700");
        assert_eq!(config.store_url(), "sqlite://data/frontdesk.db");
        assert_eq!(config.public_url().unwrap().as_str(), "http://127.0.0.1:8700/");
    }

    /// What a source of this channel can be told, by what is said about an option that there is not.
    fn options(section: &str) -> Vec<String> {
        let told = complaint(&format!("[{section}.x]\nnone-such = 1"));
        let (_, known) = told.split_once("one of").unwrap_or_else(|| panic!("{told}"));
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_shipped_file_shows_every_option_of_a_source() {
        for (section, least) in [("phone", 8), ("email", 18), ("chat", 15)] {
            let (_, shown) = DEFAULTS.split_once(&format!("\n# [{section}.")).expect("an example");
            let (shown, _) = shown.split_once("\n# [").unwrap_or((shown, ""));
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let words: Vec<_> = shown.split(|letter| !is_part(letter)).collect();
            let options = options(section);
            assert!(options.len() >= least, "{options:?}");
            for option in options {
                let is_shown =
                    [option.as_str(), &format!("{option}_file")].iter().any(|name| words.contains(name));
                assert!(is_shown, "[{section}] {option}");
            }
        }
    }

    #[test]
    fn the_environment_is_above_the_file_and_a_password_of_digits_stays_a_text() {
        let environment = [
            ("FRONTDESK__HTTP__LISTEN", "0.0.0.0:1"),
            ("FRONTDESK__JOURNAL__MAX_BYTES", "99999999999"),
            ("FRONTDESK__NATS__PASSWORD", "0123"),
            ("FRONTDESK__PHONE__MAIN_LINE__AUTH_TOKEN", "true"),
        ];
        let text = "[http]\nlisten = \"127.0.0.1:2\"\n[phone.main-line]\nprovider = \"twilio\"\nregion = \"UA\"\nzone = \"Europe/Kyiv\"";
        let config = load(text, &environment).unwrap();
        assert_eq!(config.http.listen.port(), 1);
        assert_eq!(config.journal.max_bytes, 99_999_999_999);
        assert_eq!(config.nats.password.expose_secret(), "0123");
        assert!(config.phone["main-line"].auth_token.as_ref().unwrap().is(b"true"));
        let shown = config.shown().unwrap();
        assert!(!shown.contains("0123") && shown.contains("(hidden)"), "{shown}");
        let config = load("[store]\nurl = \"postgres://desk:tooOpen@db/desk\"", &[]).unwrap();
        let shown = config.shown().unwrap();
        assert!(!shown.contains("tooOpen") && shown.contains("postgres://desk:"), "{shown}");
    }

    #[test]
    fn a_mistake_names_file_key_and_reason() {
        let wrong = complaint("[http]\nlisen = \"x\"");
        assert!(wrong.contains("own.toml") && wrong.contains("[http]") && wrong.contains("lisen"), "{wrong}");
        let wrong = complaint("[http]\nlisten = 5");
        assert!(wrong.contains("own.toml: [http] listen"), "{wrong}");
        let wrong = complaint("[http");
        assert!(wrong.contains("own.toml"), "{wrong}");
        let wrong = complaint("[phone.Main]\nprovider = \"twilio\"");
        assert!(wrong.contains("[phone.Main]") && wrong.contains("no name"), "{wrong}");
        let wrong = complaint("[phone.main]\nprovider = \"twilio\"\nregion = \"XX\"");
        assert!(wrong.contains("own.toml: [phone.main] region"), "{wrong}");
        let gone = Config::load(Some(Path::new("/nonexistent.toml")), []).unwrap_err().to_string();
        assert!(gone.contains("/nonexistent.toml"), "{gone}");
    }
}
