//! E-mail addresses in their one canonical form.

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

/// The same of what a person typed, or another program vouches for. Mail programs have written stranger
/// things, and mail comes from there; here they are slips.
pub fn typed(raw: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    let (local, domain) = raw.trim().rsplit_once('@')?;
    let slips = local.contains("..") || domain.contains('_') || !local.chars().all(plain);
    if slips || domain.contains(|c: char| c.is_whitespace() || c == '>') { None } else { canonical(raw) }
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
        // What a mail's header says, and what of it is taken when a person types it: the same, or nothing.
        let cases = [
            (" Olena@Client.Example. ", Some("olena@client.example"), true),
            ("a+b@x.ua", Some("a+b@x.ua"), true),
            ("o'hara@x.org", Some("o'hara@x.org"), true),
            ("почта@Пример.рф", Some("почта@xn--e1afmkfd.xn--p1ai"), true),
            ("<a+b@x.ua>", Some("a+b@x.ua"), false),
            ("a@x.ua>", Some("a@x.ua"), false),
            ("\"john\"@x.org", Some("john@x.org"), false),
            ("a..b@x.org", Some("a..b@x.org"), false),
            ("a@x_y.org", Some("a@x_y.org"), false),
            ("a@ x.org", Some("a@x.org"), false),
            ("a@b@x.org", None, false),
            ("a b@x.org", None, false),
            ("root@localhost", None, false),
            ("a@127.0.0.1", None, false),
            ("a@[127.0.0.1]", None, false),
            ("@x.org", None, false),
            ("a@", None, false),
            ("a@-x.org", None, false),
            ("a@x..org", None, false),
            ("a\u{202e}b@x.org", None, false),
            ("a\u{0}@x.org", None, false),
            ("no address", None, false),
            ("", None, false),
        ];
        for (raw, value, plain) in cases {
            assert_eq!(canonical(raw).as_deref(), value, "{raw}");
            assert_eq!(typed(raw).as_deref(), value.filter(|_| plain), "{raw}, typed");
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
            prop_assert_eq!(typed(&raw), Some(raw.to_lowercase()));
        }
    }
}
