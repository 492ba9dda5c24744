//! From bytes to text, whatever the label says.
//!
//! A label is a claim. It is followed while the bytes agree with it; where they do not, or where there
//! is none, the bytes decide. Nothing fails: the worst outcome is a replacement character.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// The text in `bytes`, labelled `label`.
pub fn decode(bytes: &[u8], label: Option<&str>) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(length..).unwrap_or_default()).0.into_owned();
    }
    let label = label.map(simple).unwrap_or_default();
    match label.as_str() {
        "" | "ascii" | "us-ascii" | "ansi_x3.4-1968" | "default" | "binary" | "x-unknown" | "unknown"
        | "unknown-8bit" | "x-user-defined" | "8bit" => detect(bytes),
        "utf-7" | "unicode-1-1-utf-7" | "csutf7" | "x-unicode-2-0-utf-7" => utf7(bytes),
        "cp437" | "ibm437" | "437" | "cspc8codepage437" => bytes.iter().map(|byte| cp437(*byte)).collect(),
        "iso-2022-kr" | "csiso2022kr" => decode_or_detect(&shifted(bytes), EUC_KR),
        "hz-gb-2312" | "hz" => decode_or_detect(&hz(bytes), GBK),
        "cp932" | "ms932" | "cswindows31j" => decode_or_detect(bytes, SHIFT_JIS),
        other => match known(other) {
            // Latin labels are put on everything; text in UTF-8 hardly ever happens by chance.
            Some(encoding) if encoding == WINDOWS_1252 && !bytes.is_ascii() => {
                match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
                }
            }
            Some(encoding) => decode_or_detect(bytes, encoding),
            None => match charset_decoder(other.as_bytes()) {
                Some(decode) => decode(bytes),
                None => detect(bytes),
            },
        },
    }
}

/// The text in `bytes` of which nothing is known.
pub fn detect(bytes: &[u8]) -> String {
    let utf8 = std::str::from_utf8(bytes);
    // Japanese in seven bits is valid UTF-8 too.
    if bytes.windows(2).any(|two| two == b"\x1b$" || two == b"\x1b(") && bytes.is_ascii() {
        return encoding_rs::ISO_2022_JP.decode_without_bom_handling(bytes).0.into_owned();
    }
    match utf8 {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
            detector.feed(bytes, true);
            let guess = detector.guess(None, Utf8Detection::Allow);
            guess.decode_without_bom_handling(bytes).0.into_owned()
        }
    }
}

/// Follows the label as long as the bytes are possible under it.
fn decode_or_detect(bytes: &[u8], encoding: &'static Encoding) -> String {
    let (text, wrong) = encoding.decode_without_bom_handling(bytes);
    if !wrong {
        return text.into_owned();
    }
    let lost = |text: &str| text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    // A mail cut in the middle of a letter is still what its label says.
    if encoding == UTF_8 && lost(&text) <= 2 && text.chars().count() > 40 {
        return text.into_owned();
    }
    let other = detect(bytes);
    if lost(&other) < lost(&text) { other } else { text.into_owned() }
}

fn known(label: &str) -> Option<&'static Encoding> {
    let alias = match label {
        "utf8mb4" | "utf-8mb4" | "utf_8" => "utf-8",
        "cp-1251" | "win-1251" | "win1251" | "windows1251" | "ansi1251" => "windows-1251",
        "cp-1252" | "win-1252" | "windows1252" => "windows-1252",
        "windows-936" | "cp936" | "ms936" => "gbk",
        "cp949" | "ms949" => "euc-kr",
        "cp950" => "big5",
        "koi8ru" | "koi8-ru" => "koi8-u",
        other => other,
    };
    Encoding::for_label(alias.as_bytes())
}

fn simple(label: &str) -> String {
    // RFC 2231 allows a language behind a `*` in encoded words.
    let label = label.split('*').next().unwrap_or_default();
    label.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';')).to_ascii_lowercase()
}

/// UTF-7 (RFC 2152): runs of base64 over UTF-16 between `+` and the first other character.
fn utf7(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'+' {
            text.push(if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER });
            continue;
        }
        if bytes.get(at) == Some(&b'-') {
            text.push('+');
            at += 1;
            continue;
        }
        let (mut bits, mut held, mut units) = (0_u32, 0_u32, Vec::new());
        while let Some(value) = bytes.get(at).copied().and_then(crate::transfer::sextet) {
            bits = (bits << 6) | u32::from(value);
            held += 6;
            at += 1;
            if held >= 16 {
                held -= 16;
                units.push(u16::try_from((bits >> held) & 0xffff).unwrap_or_default());
                bits &= (1 << held) - 1;
            }
        }
        text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        // A `-` ends the run and is nothing itself; any other character is part of the text.
        if bytes.get(at) == Some(&b'-') {
            at += 1;
        }
    }
    text
}

/// ISO-2022-KR as EUC-KR: SO and SI switch the high bit, the announcer `ESC $ ) C` says nothing.
fn shifted(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut high, mut rest) = (0, bytes);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            0x0e => high = 0x80,
            0x0f => high = 0,
            0x1b if after.starts_with(b"$)C") => rest = after.get(3..).unwrap_or_default(),
            b'\n' => {
                high = 0;
                out.push(byte);
            }
            0x21..=0x7e => out.push(byte | high),
            other => out.push(other),
        }
    }
    out
}

/// HZ (RFC 1843) as GBK: `~{` and `~}` switch the high bit.
fn hz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut high, mut rest) = (0, bytes);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let mark = if byte == b'~' { after.first().copied() } else { None };
        match mark {
            Some(b'{') => high = 0x80,
            Some(b'}') => high = 0,
            Some(b'~') => out.push(b'~'),
            Some(b'\n') => {}
            _ => {
                if byte == b'\n' {
                    high = 0;
                }
                out.push(if (0x21..=0x7e).contains(&byte) { byte | high } else { byte });
                continue;
            }
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out
}

fn cp437(byte: u8) -> char {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    if byte.is_ascii() {
        char::from(byte)
    } else {
        UPPER.chars().nth(usize::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_that_others_get_wrong() {
        let cases: &[(&[u8], &str, &str)] = &[
            (b"Hi Mom -+Jjo--!", "utf-7", "Hi Mom -\u{263a}-!"),
            (b"A+ImIDkQ.", "unicode-1-1-utf-7", "A\u{2262}\u{391}."),
            (b"1 +- 1 = 2", "UTF-7", "1 + 1 = 2"),
            (b"+2D3eAA-", "utf-7", "\u{1f600}"),
            (b"\x81\x9a \xe1", "cp437", "üÜ ß"),
            (b"\x93\xfa\x96{", "cp932", "日本"),
            (b"\x1b$)C\x0e>H3g\x0f!", "iso-2022-kr", "안녕!"),
            (b"~{VPND~} ok ~~", "hz-gb-2312", "中文 ok ~"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", "win-1251", "Привет"),
            (b"\xf0\xd2\xc9\xd7\xc5\xd4", "\"KOI8-R\"", "Привет"),
            (b"\xad\xd2\xd5\xce\xd4", "koi8-ru", "ґрунт"),
        ];
        for (bytes, label, text) in cases {
            assert_eq!(decode(bytes, Some(label)), *text, "{label}");
        }
    }

    #[test]
    fn a_label_that_lies_is_not_believed() {
        let russian = "Добрый день, почему не отвечаете?";
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(russian);
        for label in [None, Some("utf-8"), Some("us-ascii"), Some("no-such-thing")] {
            assert_eq!(decode(&bytes, label), russian, "{label:?}");
        }
        assert_eq!(decode("Їжак".as_bytes(), Some("iso-8859-1")), "Їжак");
        assert_eq!(decode(b"caf\xe9", Some("iso-8859-1")), "café");
        assert_eq!(decode(b"\xef\xbb\xbfok", Some("koi8-r")), "ok");
        let cut = format!("{}{}", "ж".repeat(50), "є");
        let cut = cut.as_bytes().split_last().map_or(&[][..], |(_, rest)| rest);
        assert_eq!(decode(cut, Some("utf-8")), format!("{}\u{fffd}", "ж".repeat(50)));
    }

    proptest! {
        #[test]
        fn nothing_fails(bytes in proptest::collection::vec(any::<u8>(), 0..200), label in "[a-zA-Z0-9_-]{0,12}") {
            decode(&bytes, Some(&label));
            for label in ["utf-7", "hz", "iso-2022-kr", "cp437", "utf-8", "utf-16", "iso-2022-jp", "big5"] {
                decode(&bytes, Some(label));
            }
            decode(&bytes, None);
        }

        #[test]
        fn what_is_utf8_stays_so(text in "\\PC{0,60}") {
            prop_assert_eq!(decode(text.as_bytes(), Some("utf-8")), text.trim_start_matches('\u{feff}'));
        }
    }
}
