//! The name of a mailbox on the wire: modified UTF-7 (RFC 3501 5.1.3), and in quotes.

use std::fmt::Write as _;

/// The base64 of modified UTF-7: `,` for `/`, no padding.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// `Відповіді` as `&BBIEVgQ0...-`.
pub(crate) fn encoded(name: &str) -> String {
    let mut coded = String::new();
    let mut units: Vec<u16> = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift(&mut coded, &mut units);
            coded.push(c);
            if c == '&' {
                coded.push('-');
            }
        } else {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    shift(&mut coded, &mut units);
    coded
}

/// Ready to be put into a command; control characters were encoded, so there is no line to break.
pub(crate) fn quoted(name: &str) -> String {
    let mut quoted = String::from("\"");
    for c in encoded(name).chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn shift(coded: &mut String, units: &mut Vec<u16>) {
    if units.is_empty() {
        return;
    }
    coded.push('&');
    let (mut bits, mut held) = (0_u32, 0);
    for unit in units.drain(..) {
        bits = (bits << 16) | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            digit(coded, bits >> held);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        digit(coded, bits << (6 - held));
    }
    coded.push('-');
}

fn digit(coded: &mut String, six: u32) {
    coded.push(char::from(DIGITS.get(six as usize & 63).copied().unwrap_or(b'A')));
}

/// UIDs in ascending order as a set of IMAP: `1:3,7`.
pub(crate) fn uid_set(uids: &[u32]) -> String {
    let mut set = String::new();
    let mut rest = uids.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|next| last.checked_add(1) == Some(*next)) {
            last = next;
        }
        let comma = if set.is_empty() { "" } else { "," };
        let written =
            if first == last { write!(set, "{comma}{first}") } else { write!(set, "{comma}{first}:{last}") };
        // Writing to a String cannot fail.
        written.ok();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_in_the_rfc() {
        assert_eq!(encoded("INBOX"), "INBOX");
        assert_eq!(encoded("R&D"), "R&-D");
        assert_eq!(encoded("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(encoded("Вхідні"), "&BBIERQRWBDQEPQRW-");
        assert_eq!(encoded("😀"), "&2D3eAA-");
        assert_eq!(quoted("a\"b\\c\r\nd"), "\"a\\\"b\\\\c&AA0ACg-d\"");
    }

    #[test]
    fn runs_of_uids_are_written_short() {
        assert_eq!(uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(uid_set(&[u32::MAX - 1, u32::MAX]), "4294967294:4294967295");
        assert_eq!(uid_set(&[]), "");
    }
}
