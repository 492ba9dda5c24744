//! Undoing the transfer encoding of a part. Tolerant: what is no base64 is skipped, what is no escape
//! stays as it is.

use std::borrow::Cow;

/// How the bytes of a part were made fit for transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, and everything we do not know.
    Plain,
    Base64,
    QuotedPrintable,
    Uuencode,
}

impl Encoding {
    /// From the value of a Content-Transfer-Encoding field.
    pub fn named(value: &str) -> Self {
        let word = value.trim().split([';', ' ', '(']).next().unwrap_or_default().trim_matches('"');
        match word.to_ascii_lowercase().as_str() {
            "base64" | "b" => Encoding::Base64,
            "quoted-printable" | "q" | "quotedprintable" => Encoding::QuotedPrintable,
            "x-uuencode" | "uuencode" | "x-uue" | "x-uu" => Encoding::Uuencode,
            _ => Encoding::Plain,
        }
    }

    /// The bytes as the sender meant them.
    pub fn undo(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Encoding::Plain => Cow::Borrowed(bytes),
            Encoding::Base64 => Cow::Owned(base64(bytes)),
            Encoding::QuotedPrintable => Cow::Owned(quoted_printable(bytes)),
            Encoding::Uuencode => Cow::Owned(uudecode(bytes)),
        }
    }
}

/// The value of one letter of base64.
pub fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Padding ends a group and not the data: some senders put several encoded pieces one after another.
pub fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &byte in bytes {
        if byte == b'=' {
            (bits, held) = (0, 0);
        } else if let Some(value) = sextet(byte) {
            bits = (bits << 6) | u32::from(value);
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push(u8::try_from((bits >> held) & 0xff).unwrap_or_default());
                bits &= (1 << held) - 1;
            }
        }
    }
    out
}

/// RFC 2045 section 6.7: white space before a line's end was added on the way.
pub fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let content = line.trim_ascii_end();
        let broken = line.ends_with(b"\n");
        let mut rest = content;
        let mut soft = false;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'=' {
                out.push(byte);
                continue;
            }
            match after {
                [] => soft = true,
                [high, low, tail @ ..] => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => {
                        out.push(high * 16 + low);
                        rest = tail;
                    }
                    _ => out.push(b'='),
                },
                _ => out.push(b'='),
            }
        }
        if broken && !soft {
            out.push(b'\n');
        } else if !broken {
            // White space before the end of all may be the sender's.
            out.extend_from_slice(line.get(content.len()..).filter(|_| !soft).unwrap_or_default());
        }
    }
    out
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What stands between `begin` and `end`.
fn uudecode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.skip_while(|line| !line.starts_with(b"begin ")).skip(1) {
        if line.trim_ascii() == b"end" {
            break;
        }
        let Some((&length, data)) = line.split_first() else { continue };
        let length = usize::from(length.wrapping_sub(b' ') & 0x3f);
        let start = out.len();
        for four in data.chunks(4) {
            let bits = (0..4).fold(0_u32, |bits, at| {
                (bits << 6) | u32::from(four.get(at).copied().unwrap_or(b' ').wrapping_sub(b' ') & 0x3f)
            });
            let [_, three @ ..] = bits.to_be_bytes();
            out.extend_from_slice(&three);
        }
        out.truncate((start + length).min(out.len()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_encoded_is_undone() {
        assert_eq!(base64(b"SGVs\r\nbG8*="), b"Hello");
        assert_eq!(base64(b"SGk=SGk="), b"HiHi");
        assert_eq!(quoted_printable(b"a=3D=\r\nb  \r\nc=ZZ=4\n"), b"a=b\nc=ZZ=4\n");
        assert_eq!(quoted_printable(b"=C3=A4 "), "ä ".as_bytes());
        let uu = b"x\nbegin 644 a.txt\r\n)2&5L;&\\@5%13\r\n`\r\nend\r\nzzz";
        assert_eq!(uudecode(uu), b"Hello TTS");
        assert_eq!(Encoding::named(" \"Base64\" ; x"), Encoding::Base64);
        assert_eq!(Encoding::named("7-bit"), Encoding::Plain);
    }

    proptest! {
        #[test]
        fn nothing_fails_and_nothing_grows(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for encoding in [Encoding::Plain, Encoding::Base64, Encoding::QuotedPrintable, Encoding::Uuencode] {
                prop_assert!(encoding.undo(&bytes).len() <= bytes.len());
            }
        }
    }
}
