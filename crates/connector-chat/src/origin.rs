//! Which sites may open a chat: WebSockets have no CORS, so we look at `Origin` ourselves.
//!
//! It stops browsers, not scripts; against those there are limits.

use std::collections::BTreeSet;

use contact::Invalid;
use url::Url;

/// The sites that may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    any: bool,
    listed: BTreeSet<String>,
}

impl Origins {
    /// From what an operator wrote; `*` is any, and `null` is what pages without an origin say (a file, a
    /// web view).
    pub(crate) fn add(&mut self, written: &str) -> Result<(), Invalid> {
        match written {
            "*" => self.any = true,
            "null" => _ = self.listed.insert(written.to_owned()),
            _ => {
                let origin = canonical(written).ok_or_else(|| {
                    Invalid(format!("`{written}` is no origin; it reads https://host, or https://host:port"))
                })?;
                self.listed.insert(origin);
            }
        }
        Ok(())
    }

    pub(crate) fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a page of `origin` may talk to us, whom it calls `host`. Our own pages may, and so may any
    /// client without an origin where any site may.
    pub(crate) fn allow(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        if self.any {
            return true;
        }
        let Some(origin) = origin else { return false };
        if origin == "null" {
            return self.listed.contains(origin);
        }
        let Some(origin) = canonical(origin) else { return false };
        let ours = host.is_some_and(|host| {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        });
        ours || self.listed.contains(&origin)
    }
}

/// `scheme://host[:port]` in lower case without a default port; `None` for anything else.
fn canonical(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (scheme, rest) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !scheme_ok || rest.is_empty() || text.len() > 300 {
        return None;
    }
    let url = Url::parse(text).ok()?;
    if url.origin().is_tuple() {
        // No user, path, query or fragment.
        let bare = !rest.contains(['/', '?', '#', '@', '\\', ' ', '*']);
        return bare.then(|| url.origin().ascii_serialization());
    }
    // `capacitor://localhost`, `chrome-extension://…`
    rest.chars().all(plain).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &[&str]) -> Origins {
        let mut origins = Origins::default();
        list.iter().for_each(|written| origins.add(written).unwrap());
        origins
    }

    #[test]
    fn only_listed_sites_and_our_own_may() {
        let listed = origins(&["https://Shop.Example", "http://localhost:3000", "capacitor://localhost"]);
        let host = Some("desk.example:8700");
        for good in [
            "https://shop.example",
            "https://shop.example:443",
            "http://localhost:3000",
            "capacitor://localhost",
            "http://desk.example:8700",
        ] {
            assert!(listed.allow(Some(good), host), "{good}");
        }
        for bad in [
            "http://shop.example",
            "https://shop.example:8443",
            "https://shop.example.evil.test",
            "https://evil.test#https://shop.example",
            "https://evil.test/https://shop.example",
            "https://x@shop.example",
            "http://desk.example",
            "null",
            "",
            "*",
        ] {
            assert!(!listed.allow(Some(bad), host), "{bad}");
        }
        assert!(!listed.allow(None, host), "without an origin there is no site");
        assert!(origins(&["null"]).allow(Some("null"), None));
        assert!(origins(&["*"]).allow(None, None) && origins(&["*"]).is_any());
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in
            ["", "shop.example", "https://", "https://shop.example/path", "https://*.example", "https://a b"]
        {
            assert!(Origins::default().add(bad).is_err(), "{bad}");
        }
    }
}
