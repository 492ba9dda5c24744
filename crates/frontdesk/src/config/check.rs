//! What serde cannot say about a configuration. Each sentence begins with section and key.

use std::ops::RangeInclusive;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{Config, Wrong, is_postgres, secret};
use crate::sources::Sources;
use crate::{nobodys, policy};

/// What a line of the log can be worth.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// A time-out of no time answers nobody, and one longer than this is none.
const SECONDS: RangeInclusive<u64> = 1..=86_400;
/// More connections than any machine of ours holds.
const CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;
/// A stream that holds less than this is full with one event.
const LEAST_STREAM: u64 = 1 << 20;
const LEAST_SEGMENT: u64 = 65_536;

/// Everything that is wrong; nothing when it can be used.
pub(super) fn wrong(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(log_level(&config.log.level));
    if let Err(reason) = config.public_url() {
        wrong.push(format!("[http] public_url: {reason}"));
    }
    let most = u64::MAX;
    let number = |size: usize| u64::try_from(size).unwrap_or(most);
    let http = &config.http;
    for (place, given, allowed) in [
        ("[http] max_connections", number(http.max_connections), CONNECTIONS),
        ("[http] header_timeout_s", http.header_timeout_s, SECONDS),
        ("[http] body_timeout_s", http.body_timeout_s, SECONDS),
        ("[http] drain_s", http.drain_s, 0..=*SECONDS.end()),
        ("[http] body_limit_bytes", number(http.body_limit_bytes), 1024..=most),
        ("[nats] max_bytes", u64::try_from(config.nats.max_bytes).unwrap_or(0), LEAST_STREAM..=most),
        ("[journal] segment_bytes", config.journal.segment_bytes, LEAST_SEGMENT..=most),
    ] {
        if given < *allowed.start() {
            wrong.push(format!("{place}: it is at least {}", allowed.start()));
        } else if given > *allowed.end() {
            wrong.push(format!("{place}: it is at most {}", allowed.end()));
        }
    }
    if config.journal.max_bytes / 2 < config.journal.segment_bytes {
        wrong.push("[journal] max_bytes: it holds at least two segments".to_owned());
    }
    wrong.extend(addresses(config));
    let (store, nats) = (&config.store, &config.nats);
    wrong.extend(unreadable("store", &store.password, store.password_file.as_deref()));
    wrong.extend(unreadable("nats", &nats.password, nats.password_file.as_deref()));
    if ![1, 3, 5].contains(&nats.replicas) {
        wrong.push("[nats] replicas: it is 1, 3 or 5".to_owned());
    }
    for (key, list) in [("blocked", &config.identity.blocked), ("shared", &config.identity.shared)] {
        for text in list.iter().filter(|text| nobodys::address(text).is_none()) {
            wrong.push(format!(
                "[identity] {key}: `{text}` is neither a number as +380441234567 nor an e-mail address"
            ));
        }
    }
    if let Err(Wrong(more)) = policy::read(config) {
        wrong.extend(more);
    }
    if let Err(Wrong(more)) = Sources::read(config) {
        wrong.extend(more);
    }
    wrong
}

/// A word that is no level would be the name of a part of the program, and silence all others.
fn log_level(text: &str) -> Option<String> {
    if let Err(error) = EnvFilter::try_new(text) {
        return Some(format!("[log] level: `{text}` is no filter: {error}"));
    }
    let mut plain = text.split(',').map(str::trim).filter(|part| !part.contains(['=', '[']));
    let unknown = plain.find(|part| !LEVELS.contains(&part.to_lowercase().as_str()))?;
    Some(format!(
        "[log] level: `{unknown}` is none of {}, nor an exception as in `intake=debug`",
        LEVELS.join(", ")
    ))
}

/// Where things are kept, and who carries them.
fn addresses(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    let (store, blobs) = (&config.store.url, &config.blobs.url);
    if is_postgres(store) {
        if let Err(error) = Url::parse(store) {
            wrong.push(format!("[store] url: it is no URL: {error}"));
        }
    } else {
        if !(store.is_empty() || store.starts_with("sqlite://")) {
            wrong.push("[store] url: it begins with sqlite:// or postgres://, or is empty".to_owned());
        }
        let given = !config.store.password.expose_secret().is_empty();
        for (key, given) in [("password", given), ("password_file", config.store.password_file.is_some())] {
            if given {
                wrong.push(format!("[store] {key}: only PostgreSQL has one; SQLite is a file"));
            }
        }
    }
    if !(blobs.is_empty() || blobs.starts_with("file://")) {
        wrong.push("[blobs] url: it begins with file://, or is empty".to_owned());
    }
    let named = config.nats.url.split(',').filter_map(|url| Url::parse(url.trim()).ok());
    if named.into_iter().any(|url| !url.username().is_empty() || url.password().is_some()) {
        wrong.push("[nats] url: a user and a password stand in [nats] user and password".to_owned());
    }
    wrong
}

/// A secret that cannot be had would be asked for again and again, by whoever connects.
fn unreadable(section: &str, value: &SecretString, file: Option<&Path>) -> Option<String> {
    match secret(value, file) {
        Err(Wrong(reasons)) => Some(format!("[{section}] password_file: {}", reasons.join("; "))),
        Ok(Some(secret)) if secret.expose_secret().is_empty() => {
            Some(format!("[{section}] password_file: the file is empty"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, text).unwrap();
        match Config::load(Some(&file), []) {
            Ok(_) => String::new(),
            Err(wrong) => wrong.to_string().replace(&file.display().to_string(), "own.toml"),
        }
    }

    #[test]
    fn what_would_only_show_at_work_is_told_with_file_section_and_key() {
        for (section, line, sentence) in [
            ("log", "level = \"warning\"", "own.toml: [log] level: `warning` is none of off, error, warn"),
            ("log", "level = \"info,a=loud\"", "own.toml: [log] level: `info,a=loud` is no filter"),
            ("http", "max_connections = 0", "own.toml: [http] max_connections: it is at least 1"),
            ("http", "header_timeout_s = 0", "own.toml: [http] header_timeout_s: it is at least 1"),
            ("http", "body_timeout_s = 86401", "own.toml: [http] body_timeout_s: it is at most 86400"),
            ("http", "body_limit_bytes = 0", "own.toml: [http] body_limit_bytes: it is at least 1024"),
            ("nats", "max_bytes = 0", "own.toml: [nats] max_bytes: it is at least 1048576"),
            ("nats", "max_bytes = -1", "own.toml: [nats] max_bytes: it is at least 1048576"),
            ("nats", "replicas = 2", "own.toml: [nats] replicas: it is 1, 3 or 5"),
            (
                "nats",
                "password_file = \"/none\"",
                "own.toml: [nats] password_file: /none: the secret cannot be read",
            ),
            ("nats", "password_file = \"/dev/null\"", "own.toml: [nats] password_file: the file is empty"),
            (
                "nats",
                "url = \"nats://a:4222,nats://u:p@b:4222\"",
                "own.toml: [nats] url: a user and a password stand",
            ),
            ("store", "url = \"mysql://x\"", "own.toml: [store] url: it begins with sqlite://"),
            ("store", "url = \"postgres://desk@:x/y\"", "own.toml: [store] url: it is no URL"),
            ("store", "password = \"tooOpen\"", "own.toml: [store] password: only PostgreSQL has one"),
            ("blobs", "url = \"s3://x\"", "own.toml: [blobs] url: it begins with file://"),
            ("journal", "segment_bytes = 1", "own.toml: [journal] segment_bytes: it is at least 65536"),
            ("journal", "max_bytes = 65536", "own.toml: [journal] max_bytes: it holds at least two segments"),
        ] {
            let told = told(&format!("[{section}]\n{line}"));
            assert!(told.starts_with(sentence), "{line}: {told}");
            assert!(!told.contains("tooOpen") && !told.contains("u:p@"), "{told}");
        }
    }

    #[test]
    fn what_can_be_used_is_let_be() {
        for text in [
            "[log]\nlevel = \"WARN,intake=debug,sqlx\u{3d}off\"",
            "[log]\nlevel = \"off\"",
            "[store]\nurl = \"postgres://desk@db/desk\"\npassword = \"x\"",
            "[http]\ndrain_s = 0",
        ] {
            assert_eq!(told(text), "", "{text}");
        }
    }
}
