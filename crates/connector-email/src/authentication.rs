//! What our own mail server found out about the sender (RFC 8601).
//!
//! Anybody can write an `Authentication-Results` field. Only the topmost one is looked at, and only
//! when it bears the name (authserv-id) of the mailbox's own server, which must remove forged ones of
//! that name, as RFC 8601 section 5 demands. Configure the name for no other server.

use contact::email::Authentication;

use crate::address;
use crate::headers::Headers;
use crate::text::clean_line;

/// What the server called `authserv_id` says. `from` is the canonical address of the only From, if
/// there is exactly one.
pub fn told_by(headers: &Headers, authserv_id: &str, from: Option<&str>) -> Option<Authentication> {
    let value = without_comments(headers.first("authentication-results")?);
    let mut parts = value.split(';').map(str::trim);
    // The name may be followed by a version.
    let name = parts.next()?.split_whitespace().next()?;
    if !name.eq_ignore_ascii_case(authserv_id.trim()) {
        return None;
    }
    let mut told = Authentication::default();
    for part in parts.take(50) {
        let mut words = part.split_whitespace();
        let Some((method, result)) = words.next().and_then(|first| first.split_once('=')) else { continue };
        let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let result = clean_line(&result.to_ascii_lowercase(), 20);
        match method.as_str() {
            "dmarc" if told.dmarc.is_none() => {
                let about = words
                    .filter_map(|word| word.split_once('='))
                    .find(|(property, _)| property.eq_ignore_ascii_case("header.from"))
                    .map(|(_, domain)| domain.trim_matches('"').to_ascii_lowercase());
                told.proves_from = result == "pass"
                    && from.is_some_and(|from| Some(address::domain(from)) == about.as_deref());
                told.dmarc = Some(result);
            }
            "spf" if told.spf.is_none() => told.spf = Some(result),
            // Several signatures are common; one that holds is enough.
            "dkim" if told.dkim.as_deref() != Some("pass") => told.dkim = Some(result),
            _ => {}
        }
    }
    Some(told)
}

/// Comments are in parentheses, which nest.
fn without_comments(value: &str) -> String {
    let mut depth = 0_usize;
    let mut quoted = false;
    value
        .chars()
        .filter(|c| {
            match c {
                '"' if depth == 0 => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted && depth > 0 => {
                    depth -= 1;
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(fields: &str, from: Option<&str>) -> Option<Authentication> {
        told_by(&Headers::split(format!("{fields}\n\n").as_bytes()).0, "mx.desk.example", from)
    }

    const PASS: &str = "Authentication-Results: mx.desk.example 1; dkim=fail header.d=x; dkim=pass (ok; really) header.d=y;\n \
                        spf=softfail smtp.mailfrom=y; dmarc=pass (p=NONE) header.from=Client.example";

    #[test]
    fn our_server_is_believed_about_the_one_sender() {
        let read = told(PASS, Some("a@client.example")).unwrap();
        assert_eq!(
            (read.dmarc.as_deref(), read.dkim.as_deref(), read.spf.as_deref()),
            (Some("pass"), Some("pass"), Some("softfail"))
        );
        assert!(read.proves_from);
        assert!(!told(PASS, Some("a@other.example")).unwrap().proves_from);
        assert!(!told(PASS, None).unwrap().proves_from, "two senders prove nobody");
    }

    #[test]
    fn nobody_else_is_believed() {
        let ours_fails = "Authentication-Results: mx.desk.example; dmarc=fail header.from=client.example";
        for forged in [
            format!("Authentication-Results: mx.evil.example; x=y\n{PASS}"),
            format!("{ours_fails}\n{PASS}"),
            format!("{ours_fails}; dmarc=pass header.from=client.example"),
            "Authentication-Results: mx.desk.example; dmarc=pass".to_owned(),
            "Authentication-Results: mx.desk.example; x=y (; dmarc=pass header.from=client.example)"
                .to_owned(),
            "Authentication-Results: (mx.desk.example) evil; dmarc=pass header.from=client.example"
                .to_owned(),
        ] {
            assert!(
                !told(&forged, Some("a@client.example")).is_some_and(|read| read.proves_from),
                "{forged}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_fails(value in "[ -~]{0,120}") {
            told(&format!("Authentication-Results: mx.desk.example; {value}"), Some("a@b.example"));
            told(&format!("Authentication-Results: {value}"), None);
        }
    }
}
