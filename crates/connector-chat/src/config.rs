//! A `[chat.<name>]` table: what an operator writes, and the checked [`Widget`] it becomes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use connector::Secret;
use connector::number::Region;
use connector::secret::lenient;
use contact::{Channel, SourceName};
use serde::Deserialize;

use crate::limits::Bounds;
use crate::origin::Origins;
use crate::token::Identity;

/// HS256 wants a key as long as its hash (RFC 7518 section 3.2), in bytes.
const KEY_LENGTH: usize = 32;
/// A line longer than this, in characters, is a document.
const LONGEST_TEXT: usize = 20_000;

/// One table as written. The secret may be given as text or as a file, not as both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The sites that may show the widget: `https://shop.example`. `["*"]` is any site, and programs.
    pub origins: Vec<String>,
    /// The key with which the site signs the tokens of its users. Without it nobody is proved.
    pub identity_secret: Option<Secret>,
    /// A file with it.
    pub identity_secret_file: Option<PathBuf>,
    /// What `aud` of a token must name.
    #[serde(deserialize_with = "lenient::optional")]
    pub audience: Option<String>,
    /// What `iss` of a token must be.
    #[serde(deserialize_with = "lenient::optional")]
    pub issuer: Option<String>,
    /// The country in which a telephone number without a country code is dialled: `UA`.
    #[serde(deserialize_with = "lenient::optional")]
    pub region: Option<String>,
    /// The mailbox by which answers go that the visitor does not read, as in `[email.<name>]`.
    #[serde(deserialize_with = "lenient::optional")]
    pub mailbox: Option<String>,
    /// The longest line, in characters.
    pub max_text: usize,
    /// A session ends after so many seconds of silence.
    pub idle_s: u64,
    /// How many frames (lines and the like) a minute of one visitor, and of one address.
    pub visitor_per_minute: u32,
    pub address_per_minute: u32,
    /// How often a minute one visitor, and one address, may connect or poll.
    pub visitor_hellos_per_minute: u32,
    pub address_hellos_per_minute: u32,
    /// How many connections at once of one visitor, of one address, and altogether.
    pub visitor_sockets: u32,
    pub address_sockets: u32,
    pub max_sockets: u32,
    /// The reverse proxies in front of us, whose `X-Forwarded-For` is believed: without them every visitor
    /// behind a proxy has the proxy's address.
    pub proxies: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            identity_secret: None,
            identity_secret_file: None,
            audience: None,
            issuer: None,
            region: None,
            mailbox: None,
            max_text: 4000,
            idle_s: 1800,
            visitor_per_minute: 60,
            address_per_minute: 600,
            visitor_hellos_per_minute: 120,
            address_hellos_per_minute: 600,
            visitor_sockets: 10,
            address_sockets: 100,
            max_sockets: 10_000,
            proxies: Vec::new(),
        }
    }
}

/// What is wrong with a table: the field, and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub field: String,
    pub sentence: String,
}

/// One configured widget; whoever holds it holds a table that is right.
#[derive(Clone, Debug)]
pub struct Widget {
    pub(crate) source: SourceName,
    pub(crate) origins: Origins,
    pub(crate) identity: Option<Identity>,
    pub(crate) region: Option<Region>,
    mailbox: Option<SourceName>,
    pub(crate) max_text: usize,
    pub(crate) idle: Duration,
    pub(crate) bounds: Bounds,
    pub(crate) proxies: BTreeSet<IpAddr>,
    warnings: Vec<Problem>,
}

impl Widget {
    /// `chat/<name>`.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// By which mailbox answers go that were not read here.
    pub fn mailbox(&self) -> Option<&SourceName> {
        self.mailbox.as_ref()
    }

    /// What is legal and unwise.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl Config {
    /// The widget this table describes, its secret file read (a relative path from where we run).
    ///
    /// # Errors
    /// Every problem of the table at once, each with its field.
    pub fn check(&self, name: &str) -> Result<Widget, Vec<Problem>> {
        let mut problems = Problems(Vec::new());
        let source = problems.keep("", SourceName::new(Channel::Chat, name).map_err(|error| error.0));
        let mut origins = Origins::default();
        for (at, written) in self.origins.iter().enumerate() {
            problems.keep(&format!("origins[{at}]"), origins.add(written).map_err(|error| error.0));
        }
        if self.origins.is_empty() {
            problems.say(
                "origins",
                "the sites that show the widget are missing, as in [\"https://shop.example\"]",
            );
        }
        let identity = self.identity(&mut problems);
        let region = self.region.as_ref().map(|text| text.parse::<Region>().map_err(|error| error.0));
        let region = region.and_then(|parsed| problems.keep("region", parsed));
        let mailbox = self.mailbox.as_ref().map(|name| SourceName::new(Channel::Email, name));
        let mailbox = mailbox.and_then(|named| problems.keep("mailbox", named.map_err(|error| error.0)));
        if !(1..=LONGEST_TEXT).contains(&self.max_text) {
            problems.say("max_text", &format!("it is from 1 to {LONGEST_TEXT} characters"));
        }
        if !(1..=7 * 24 * 3600).contains(&self.idle_s) {
            problems.say("idle_s", "it is from a second to a week");
        }
        let bounds = self.bounds(&mut problems);
        let mut proxies = BTreeSet::new();
        for (at, written) in self.proxies.iter().enumerate() {
            let address = written.parse::<IpAddr>().map_err(|_| format!("`{written}` is no IP address"));
            proxies.extend(problems.keep(&format!("proxies[{at}]"), address));
        }
        let mut warnings = Problems(Vec::new());
        if origins.is_any() {
            warnings.say("origins", "any site may show this widget");
        }
        if identity.as_ref().is_some_and(|identity| identity.secret.expose().len() < KEY_LENGTH) {
            warnings.say("identity_secret", "it is shorter than 32 bytes, and may be guessed from one token");
        }
        match (source, bounds, problems.0) {
            (Some(source), Some(bounds), problems) if problems.is_empty() => Ok(Widget {
                source,
                origins,
                identity,
                region,
                mailbox,
                max_text: self.max_text,
                idle: Duration::from_secs(self.idle_s),
                bounds,
                proxies,
                warnings: warnings.0,
            }),
            (_, _, problems) => Err(problems),
        }
    }

    fn identity(&self, problems: &mut Problems) -> Option<Identity> {
        let (field, secret) = match (&self.identity_secret, &self.identity_secret_file) {
            (None, None) => {
                for (field, value) in [("audience", &self.audience), ("issuer", &self.issuer)] {
                    if value.is_some() {
                        problems.say(field, "without `identity_secret` there are no tokens to check");
                    }
                }
                return None;
            }
            (Some(_), Some(_)) => {
                problems.say("identity_secret", "it is given both as text and as a file; leave one");
                return None;
            }
            (Some(text), None) => ("identity_secret", text.clone()),
            (None, Some(path)) => {
                let read = Secret::from_file(path)
                    .map_err(|error| format!("could not read the file {}: {error}", path.display()));
                ("identity_secret_file", problems.keep("identity_secret_file", read)?)
            }
        };
        if secret.expose().is_empty() {
            problems.say(field, "it is empty");
            return None;
        }
        Some(Identity { secret, audience: self.audience.clone(), issuer: self.issuer.clone() })
    }

    fn bounds(&self, problems: &mut Problems) -> Option<Bounds> {
        let mut positive = |field: &str, value: u32| {
            problems.keep(field, NonZeroU32::new(value).ok_or_else(|| "it is at least 1".to_owned()))
        };
        let all = (
            positive("visitor_per_minute", self.visitor_per_minute),
            positive("address_per_minute", self.address_per_minute),
            positive("visitor_hellos_per_minute", self.visitor_hellos_per_minute),
            positive("address_hellos_per_minute", self.address_hellos_per_minute),
            positive("visitor_sockets", self.visitor_sockets),
            positive("address_sockets", self.address_sockets),
            positive("max_sockets", self.max_sockets),
        );
        let (
            Some(visitor),
            Some(address),
            Some(visitor_hellos),
            Some(address_hellos),
            Some(vs),
            Some(ads),
            Some(max),
        ) = all
        else {
            return None;
        };
        Some(Bounds {
            visitor,
            address,
            visitor_hellos,
            address_hellos,
            visitor_sockets: vs.get(),
            address_sockets: ads.get(),
            sockets: max.get(),
        })
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn say(&mut self, field: &str, sentence: &str) {
        self.0.push(Problem { field: field.to_owned(), sentence: sentence.to_owned() });
    }

    fn keep<T>(&mut self, field: &str, tried: Result<T, String>) -> Option<T> {
        tried.map_err(|sentence| self.say(field, &sentence)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(table: &str) -> Vec<String> {
        let config: Config = toml::from_str(table).unwrap();
        config.check("site").unwrap_err().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_whole_table_becomes_a_widget() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let table = format!(
            "origins = ['https://shop.example']\nidentity_secret_file = '{}'\naudience = 7\nissuer = 'shop'\n\
             region = 'UA'\nproxies = ['127.0.0.1', '::1']\nidle_s = 60",
            file.display()
        );
        let widget = toml::from_str::<Config>(&table).unwrap().check("site").unwrap();
        assert_eq!(widget.source().as_str(), "chat/site");
        assert_eq!((widget.max_text, widget.idle, widget.proxies.len()), (4000, Duration::from_secs(60), 2));
        assert!(widget.warnings().is_empty());
        assert_eq!(widget.identity.as_ref().unwrap().audience.as_deref(), Some("7"));
        assert!(!format!("{widget:?}").contains("0123456789abcdef"), "a secret is never printed");
    }

    #[test]
    fn an_open_widget_and_a_short_key_are_warned_of() {
        let table = "origins = ['*']\nidentity_secret = 12345";
        let widget = toml::from_str::<Config>(table).unwrap().check("site").unwrap();
        let warned: Vec<_> = widget.warnings().iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(warned, ["origins", "identity_secret"]);
    }

    #[test]
    fn a_half_right_table_is_refused_by_field() {
        let good = "origins = ['https://shop.example']\n";
        assert_eq!(fields(""), ["origins"]);
        assert_eq!(fields("origins = ['shop.example', '*', 'https://a/b']"), ["origins[0]", "origins[2]"]);
        assert_eq!(fields(&format!("{good}audience = 'x'\nissuer = 'y'")), ["audience", "issuer"]);
        assert_eq!(fields(&format!("{good}identity_secret = ''")), ["identity_secret"]);
        assert_eq!(
            fields(&format!("{good}identity_secret = 'a'\nidentity_secret_file = 'b'")),
            ["identity_secret"]
        );
        assert_eq!(fields(&format!("{good}identity_secret_file = '/no/such'")), ["identity_secret_file"]);
        assert_eq!(
            fields(&format!("{good}region = 'Kyiv'\nmax_text = 0\nidle_s = 0\nproxies = ['proxy']")),
            ["region", "max_text", "idle_s", "proxies[0]"]
        );
        assert_eq!(
            fields(&format!("{good}visitor_per_minute = 0\nmax_sockets = 0")),
            ["visitor_per_minute", "max_sockets"]
        );
        assert!(toml::from_str::<Config>("orgins = []").is_err(), "unknown keys are refused");
        let config: Config = toml::from_str(good).unwrap();
        assert!(config.check("my site").is_err(), "a name is a token");
    }
}
