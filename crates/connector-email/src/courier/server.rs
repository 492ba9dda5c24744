//! Where answers are handed in: the `smtp` url of a source.

use std::net::IpAddr;

/// A server, and how we speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name (as A-labels) or an address; its certificate must carry it.
    pub host: String,
    pub port: u16,
    /// As whom we log in.
    pub user: Option<String>,
    pub security: Security,
}

/// How the line to a server is protected. There is no "if possible": what can be stripped will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS (RFC 3207), and nothing before it but the greeting.
    StartTls,
    /// In clear, and therefore only to this machine.
    Loopback,
}

impl Server {
    /// Reads `smtps://user@host:465`, `smtp://user@host:587` (STARTTLS is required) or, to this machine
    /// only, `smtp+insecure://127.0.0.1:25`. The port may be left out. What a url cannot hold in its user
    /// is percent-encoded: `help%40desk.example`.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The text itself is not repeated: it may hold a password.
        let url = url::Url::parse(text).map_err(|error| format!("it is no url: {error}"))?;
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Tls, 465),
            "smtp" => (Security::StartTls, 587),
            "smtp+insecure" => (Security::Loopback, 25),
            other => return Err(format!("`{other}` is not known; write smtps:// or smtp:// (STARTTLS)")),
        };
        if url.password().is_some() {
            return Err("a password does not belong into the url; give it by itself".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("behind host and port nothing is known".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = percent_encoding::percent_decode_str(host)
            .decode_utf8()
            .ok()
            .and_then(|host| idna::domain_to_ascii(&host).ok().or_else(|| Some(host.into_owned())))
            .filter(|host| !host.is_empty() && rustls::pki_types::ServerName::try_from(host.as_str()).is_ok())
            .ok_or("the name of its host is missing or none")?;
        if security == Security::Loopback && !is_loopback(&host) {
            return Err("without TLS it must be on this machine: 127.0.0.1, [::1] or localhost".to_owned());
        }
        let user = percent_encoding::percent_decode_str(url.username())
            .decode_utf8()
            .map_err(|_| "its user is not UTF-8".to_owned())?;
        if user.chars().any(char::is_control) {
            return Err("its user holds a control character".to_owned());
        }
        let user = (!user.is_empty()).then(|| user.into_owned());
        Ok(Self { host, port: url.port().unwrap_or(port), user, security })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_as_whom_and_how() {
        let server = |host: &str, port, user: Option<&str>, security| Server {
            host: host.to_owned(),
            port,
            user: user.map(str::to_owned),
            security,
        };
        for (url, expected) in [
            ("smtps://mia@mx.desk.example", server("mx.desk.example", 465, Some("mia"), Security::Tls)),
            (
                "smtps://help%40desk.example@mx.desk.example:4465/",
                server("mx.desk.example", 4465, Some("help@desk.example"), Security::Tls),
            ),
            ("smtp://mx.desk.example", server("mx.desk.example", 587, None, Security::StartTls)),
            ("smtp://пошта.укр", server("xn--80a1acn3a.xn--j1amh", 587, None, Security::StartTls)),
            ("smtp://[2001:db8::1]:25", server("2001:db8::1", 25, None, Security::StartTls)),
            ("smtp+insecure://127.0.0.1:2525", server("127.0.0.1", 2525, None, Security::Loopback)),
            ("smtp+insecure://[::1]", server("::1", 25, None, Security::Loopback)),
            ("smtp+insecure://localhost", server("localhost", 25, None, Security::Loopback)),
        ] {
            assert_eq!(Server::parse(url).as_ref(), Ok(&expected), "{url}");
        }
    }

    #[test]
    fn a_half_right_url_is_refused() {
        for url in [
            "",
            "mx.desk.example",
            "http://mx.desk.example",
            "smtps://",
            "smtps://mia:hush@mx.desk.example",
            "smtps://mx.desk.example/INBOX",
            "smtps://mx.desk.example?tls=no",
            "smtps://mx.desk.example#x",
            "smtps://mx desk.example",
            "smtps://a%0d%0ab@mx.desk.example",
            "smtps://mx.desk.example:99999",
            "smtp+insecure://mx.desk.example:25",
            "smtp+insecure://192.0.2.1:25",
            "smtp+insecure://localhost.evil.example:25",
        ] {
            let sentence = Server::parse(url).unwrap_err();
            assert!(!sentence.contains("hush"), "{url}: {sentence}");
        }
    }
}
