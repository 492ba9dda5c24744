//! Message ids: which mail it is, and which ones it says it answers.
//!
//! All of it is a stranger's claim. Ids are bounded and cleaned here; whether the sender belongs to the
//! thread is decided where the thread is known.

/// The longest id kept, in bytes; a longer one is no id.
pub const LONGEST: usize = 255;
/// Of a long References field the first and the last so many are kept.
pub const ENDS: usize = 20;

/// The ids in a field, without `<>`, each once, in order.
///
/// Senders put comments and dates beside the ids, leave out the `<>`, or fold inside an id.
pub fn ids(value: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut take = |text: &str| {
        if let Some(id) = id(text)
            && seen.insert(id.clone())
        {
            found.push(id);
        }
    };
    if value.contains('<') {
        for piece in value.split('<').skip(1) {
            if let Some((inner, _)) = piece.split_once('>') {
                take(inner);
            } else {
                take(piece);
            }
        }
    } else {
        value.split([' ', '\t', ',']).filter(|word| word.contains('@')).for_each(take);
    }
    found
}

/// One id, cleaned; `None` when nothing usable is left.
pub fn id(text: &str) -> Option<String> {
    let id: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
        .take(LONGEST + 1)
        .collect();
    ((1..=LONGEST).contains(&id.len())).then_some(id)
}

/// A References field, bounded; whether something was left out.
pub fn references(value: &str) -> (Vec<String>, bool) {
    let mut all = ids(value);
    if all.len() <= 2 * ENDS {
        return (all, false);
    }
    let last = all.split_off(all.len() - ENDS);
    all.truncate(ENDS);
    all.extend(last);
    (all, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_found_in_every_dress() {
        let cases: &[(&str, &[&str])] = &[
            ("<a@x> <b@x>\t<a@x>", &["a@x", "b@x"]),
            ("<a@ x>", &["a@x"]),
            ("Your message of \"Fri, 1 Jan\" <a@x>", &["a@x"]),
            ("a@x b@x", &["a@x", "b@x"]),
            ("nothing here", &[]),
            ("<>", &[]),
            ("<a@x", &["a@x"]),
            ("<no-at-sign>", &["no-at-sign"]),
        ];
        for (value, expected) in cases {
            assert_eq!(ids(value), *expected, "{value}");
        }
        assert_eq!(id(&"x".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn a_long_thread_keeps_its_ends() {
        let value: String = (0..500).map(|n| format!("<{n}@x> ")).collect();
        let (kept, cut) = references(&value);
        assert!(cut && kept.len() == 2 * ENDS);
        assert_eq!((kept.first().unwrap().as_str(), kept.last().unwrap().as_str()), ("0@x", "499@x"));
    }

    proptest! {
        #[test]
        fn ids_are_always_fit(value in "[ -~\\t<>@а-я]{0,200}") {
            for id in ids(&value) {
                prop_assert!(!id.is_empty() && id.len() <= LONGEST && !id.contains(['<', '>', ' ']));
            }
        }
    }
}
