//! E-mail addresses: one canonical form, and what kind of address it is.

use contact::email::Sender;
use contact::{IdentifierKind, Party};

use crate::text::{LINE, NAME, clean_line};

/// The canonical form: local part in lower case, domain as lower-case A-labels without a trailing dot.
/// `None` for what cannot be an address that a mail could be sent to from anywhere.
///
/// Nothing is folded (no `+tag`, no dots): folding may join two people.
pub fn canonical(raw: &str) -> Option<String> {
    let raw = raw.trim().trim_start_matches('<').trim_end_matches('>');
    let (local, domain) = raw.rsplit_once('@')?;
    let local = match local.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => inner,
        None => local,
    };
    let local = local.to_lowercase();
    let fit =
        |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"@".contains(c) && !is_hidden(c);
    let dots = local.starts_with('.') || local.ends_with('.');
    if local.is_empty() || local.len() > 64 || dots || !local.chars().all(fit) {
        return None;
    }
    if domain.len() > 512 {
        return None;
    }
    let domain = idna::domain_to_ascii(domain.trim().trim_end_matches('.')).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    // A name without a dot means another host on every machine; a number is no name at all.
    let named = domain.contains('.')
        && domain.rsplit('.').next().is_some_and(|last| last.bytes().any(|c| c.is_ascii_alphabetic()));
    (named && domain.len() <= 253 && domain.split('.').all(label)).then(|| format!("{local}@{domain}"))
}

/// A side of a mail.
pub fn party(name: Option<&str>, raw: &str) -> Party {
    let name = name.map(|name| clean_line(name, NAME)).filter(|name| !name.is_empty());
    Party { kind: IdentifierKind::Email, value: canonical(raw), raw: clean_line(raw, LINE), name }
}

/// The domain of a canonical address.
pub fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What an address is, judged by its local part.
pub fn sender(address: &str) -> Sender {
    const ROBOTS: &[&str] = &[
        "mailer-daemon",
        "postmaster",
        "root",
        "daemon",
        "nobody",
        "auto-reply",
        "autoreply",
        "autoresponder",
        "auto-confirm",
        "robot",
        "bot",
        "notification",
        "notifications",
        "notify",
        "alert",
        "alerts",
        "mdaemon",
        "mmdf",
        "listserv",
        "majordomo",
    ];
    const SHARED: &[&str] = &[
        "info",
        "office",
        "support",
        "help",
        "helpdesk",
        "service",
        "sales",
        "admin",
        "administrator",
        "contact",
        "contacts",
        "hello",
        "hi",
        "mail",
        "post",
        "team",
        "billing",
        "accounting",
        "accounts",
        "buh",
        "buhgalter",
        "finance",
        "invoice",
        "invoices",
        "zakaz",
        "order",
        "orders",
        "shop",
        "store",
        "reception",
        "hr",
        "job",
        "jobs",
        "career",
        "careers",
        "press",
        "pr",
        "marketing",
        "legal",
        "abuse",
        "security",
        "webmaster",
        "hostmaster",
        "it",
        "tender",
        "tenders",
        "zakupki",
        "snab",
        "otdel",
        "company",
        "customer",
        "customers",
        "enquiries",
        "inquiry",
        "kontakt",
        "poczta",
        "biuro",
        "buero",
    ];
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local).to_lowercase();
    let base = local.split('+').next().unwrap_or_default();
    let joined: String = base.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    let starts = ["noreply", "donotreply", "dontreply", "nepasrepondre", "bounce", "prvs="]
        .iter()
        .any(|start| joined.starts_with(start));
    if starts || joined.ends_with("noreply") || ROBOTS.contains(&base) || base.ends_with("-bounces") {
        Sender::Robot
    } else if SHARED.contains(&base) {
        Sender::Shared
    } else {
        Sender::Person
    }
}

/// A character that shows nothing, or changes the direction of what follows.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_form_for_one_address() {
        let cases = [
            ("Olena@Client.Example.", Some("olena@client.example")),
            ("<a+b@x.ua>", Some("a+b@x.ua")),
            ("почта@Пример.рф", Some("почта@xn--e1afmkfd.xn--p1ai")),
            ("\"john\"@x.org", Some("john@x.org")),
            ("a@b@x.org", None),
            ("a b@x.org", None),
            ("root@localhost", None),
            ("a@127.0.0.1", None),
            ("a@[127.0.0.1]", None),
            ("@x.org", None),
            ("a@", None),
            ("a@-x.org", None),
            ("a@x..org", None),
            ("a\u{202e}b@x.org", None),
            ("no address", None),
        ];
        for (raw, value) in cases {
            assert_eq!(canonical(raw).as_deref(), value, "{raw}");
        }
    }

    #[test]
    fn names_tell_robots_from_people() {
        for robot in [
            "no-reply@x.ua",
            "NoReply+7@x.ua",
            "do_not.reply@x.ua",
            "MAILER-DAEMON@x.ua",
            "bounces-12=a@x.ua",
            "news-noreply@x.ua",
            "list-bounces@x.ua",
        ] {
            assert_eq!(sender(robot), Sender::Robot, "{robot}");
        }
        assert_eq!(sender("Info@x.ua"), Sender::Shared);
        for person in ["olena@x.ua", "informant@x.ua", "roots@x.ua", "no.reynolds@x.ua"] {
            assert_eq!(sender(person), Sender::Person, "{person}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(raw in "\\PC{0,30}@\\PC{0,30}") {
            if let Some(value) = canonical(&raw) {
                prop_assert_eq!(canonical(&value), Some(value));
            }
        }

        #[test]
        fn ordinary_addresses_are_taken(local in "[a-zA-Z0-9][a-zA-Z0-9+_-]{0,20}", host in "[a-z][a-z0-9]{0,20}") {
            let raw = format!("{local}@{host}.Example");
            prop_assert_eq!(canonical(&raw), Some(raw.to_lowercase()));
        }
    }
}
