//! Where a mailbox is, and how one gets in: the `imap` url of a source.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use url::Url;

use crate::courier::{Credential, Security};

/// A mailbox on a server, and what is needed to read it.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) place: Place,
    pub(crate) name: ServerName<'static>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) credential: Credential,
}

/// What the url says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name (as A-labels) or an address; its certificate must carry it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As whom we log in; `None` where the url does not say.
    pub(crate) user: Option<String>,
    /// The mailbox's name, not encoded.
    pub(crate) folder: String,
    pub(crate) security: Security,
}

impl Place {
    /// Reads `imaps://user@host:993/INBOX`, `imap://user@host:143/INBOX` (STARTTLS is required) or, to
    /// this machine only, `imap+insecure://user@127.0.0.1:143/INBOX`. Port and mailbox may be left out.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // The text itself is not repeated: it may hold a password.
        let url = Url::parse(text).map_err(|error| format!("it is no url: {error}"))?;
        let (security, port) = match url.scheme() {
            "imaps" => (Security::Tls, 993),
            "imap" => (Security::StartTls, 143),
            "imap+insecure" => (Security::Loopback, 143),
            other => return Err(format!("`{other}` is not known; write imaps:// or imap:// (STARTTLS)")),
        };
        if url.password().is_some() {
            return Err("a password does not belong into the url; give it by itself".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("behind the mailbox nothing is known".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = decoded(host)
            .map(|host| idna::domain_to_ascii(&host).unwrap_or(host))
            .filter(|host| ServerName::try_from(host.as_str()).is_ok())
            .ok_or("the name of its host is missing or none")?;
        if security == Security::Loopback && !is_loopback(&host) {
            return Err("without TLS it must be on this machine: 127.0.0.1, [::1] or localhost".to_owned());
        }
        let user = decoded(url.username()).ok_or("its user holds what no user may")?;
        let folder = url.path().strip_prefix('/').unwrap_or_default();
        let folder = decoded(folder).ok_or("its mailbox holds what no name may")?;
        Ok(Self {
            host,
            port: url.port().unwrap_or(port),
            user: (!user.is_empty()).then_some(user),
            folder: if folder.is_empty() { "INBOX".to_owned() } else { folder },
            security,
        })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("place", &self.place)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// `None` for what is not UTF-8 or holds a control character.
fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_as_whom_and_what() {
        let place = |host: &str, port, user: Option<&str>, folder: &str, security| Place {
            host: host.to_owned(),
            port,
            user: user.map(str::to_owned),
            folder: folder.to_owned(),
            security,
        };
        for (url, expected) in [
            (
                "imaps://mia@mx.desk.example",
                place("mx.desk.example", 993, Some("mia"), "INBOX", Security::Tls),
            ),
            (
                "imaps://help%40desk.example@mx.desk.example:9930/%D0%92%D1%85%D1%96%D0%B4/A%20B",
                place("mx.desk.example", 9930, Some("help@desk.example"), "Вхід/A B", Security::Tls),
            ),
            (
                "imaps://help@desk.example@mx.desk.example/",
                place("mx.desk.example", 993, Some("help@desk.example"), "INBOX", Security::Tls),
            ),
            ("imap://пошта.example", place("xn--80a1acn3a.example", 143, None, "INBOX", Security::StartTls)),
            ("imap+insecure://a@[::1]:1430/x", place("::1", 1430, Some("a"), "x", Security::Loopback)),
        ] {
            assert_eq!(Place::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn a_url_that_is_none_or_unsafe_is_refused() {
        for (url, why) in [
            ("mx.desk.example", "no url"),
            ("https://mx.desk.example", "`https` is not known"),
            ("imaps://mia:hush@mx.desk.example", "password"),
            ("imaps:///INBOX", "host"),
            ("imaps://mx.desk.example/INBOX?x", "behind the mailbox"),
            ("imaps://mx.desk.example/IN%0d%0aBOX", "mailbox"),
            ("imaps://a%00@mx.desk.example/", "user"),
            ("imap+insecure://a@mx.desk.example/", "on this machine"),
        ] {
            let told = Place::parse(url).unwrap_err();
            assert!(told.contains(why), "{url}: {told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }
}
