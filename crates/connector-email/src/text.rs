//! Text that is fit to be kept and shown: no NUL (PostgreSQL takes none), no control characters, bounded.

use crate::address::is_hidden;

/// The longest subject, address or other line, in characters.
pub const LINE: usize = 400;
/// The longest name of a person or a file, in characters.
pub const NAME: usize = 128;

/// On one line, trimmed, without characters that hide or turn the rest, at most `longest` characters.
pub fn clean_line(text: &str, longest: usize) -> String {
    let mut line = String::with_capacity(text.len().min(longest * 4));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_hidden(*c)));
        if line.len() > longest * 4 {
            break;
        }
    }
    let cut: String = line.chars().take(longest).collect();
    cut.trim().to_owned()
}

/// Several lines: ends as `\n`, no control characters but tabs, no blank lines around.
pub fn clean_text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((ordinary, from_odd)) = rest.split_at_checked(ordinary(rest)) {
        clean.push_str(ordinary);
        let mut letters = from_odd.chars();
        let Some(letter) = letters.next() else { break };
        rest = letters.as_str();
        match letter {
            '\r' => {
                if !rest.starts_with('\n') {
                    clean.push('\n');
                }
            }
            '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\u{feff}' => {}
            letter if letter.is_control() => {}
            letter => clean.push(letter),
        }
    }
    let lines: Vec<&str> = clean.lines().map(str::trim_end).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(first, |last| last + 1);
    lines.get(first..last).unwrap_or_default().join("\n")
}

/// Whether control characters may be in it, apart from line ends and tabs. Nearly always they are not.
pub(crate) fn has_odd_bytes(text: &str) -> bool {
    ordinary(text) < text.len()
}

/// How many bytes come before the first letter that has to be looked at.
fn ordinary(text: &str) -> usize {
    // Control characters; and the first bytes of U+0080 and on, U+2000 and on, U+F000 and on.
    let odd = |byte| match byte {
        b'\n' | b'\t' => false,
        0xc2 | 0xe2 | 0xef | 0x7f => true,
        byte => byte < 0x20,
    };
    text.bytes().position(odd).unwrap_or(text.len())
}

/// Cuts `text` so that it takes at most `bytes` in JSON. Whether it had to.
pub fn cut(text: &mut String, bytes: usize) -> bool {
    // No letter takes more than twice its bytes.
    if text.len() <= bytes / 2 {
        return false;
    }
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, letter)| {
        used += match letter {
            '"' | '\\' | '\n' | '\t' => 2,
            letter => letter.len_utf8(),
        };
        (used > bytes).then_some(at)
    });
    if let Some(end) = end {
        text.truncate(end);
    }
    end.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_made_fit() {
        assert_eq!(clean_line(" a\u{0}\r\n b\u{202e}c ", 100), "a bc");
        assert_eq!(clean_line("ЄЄ ЄЄ", 3), "ЄЄ");
        assert_eq!(clean_text("\r\n\r\na \r\n\u{0}b\rc\n\n"), "a\nb\nc");
        assert_eq!(clean_text("\u{0}\n "), "");
        assert_eq!(clean_text("a\u{85}\u{a0}é\u{2028}“b”\u{feff}\u{fb01}\tc"), "a\u{a0}é\n“b”\u{fb01}\tc");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(text in "\\PC{0,80}", bytes in 0_usize..100) {
            let mut short = text.clone();
            let was = cut(&mut short, bytes);
            prop_assert!(text.starts_with(&short));
            prop_assert_eq!(was, short != text);
            prop_assert!(serde_json::to_string(&short).unwrap().len() <= bytes + 2);
        }
    }
}
