//! The sides of a mail, and what kind of address one has.

pub use connector::address::{canonical, is_hidden};
use contact::email::Sender;
use contact::{IdentifierKind, Party};

use crate::text::{LINE, NAME, clean_line};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
