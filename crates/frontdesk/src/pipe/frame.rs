//! What is said over the socket: one request and one line of answer, then both hang up.
//!
//! Request: `FDM1`, the length of the source's name (one byte), the name, the length of the mail (four
//! bytes, the highest first), the mail. Answer: `kept`, or `later` or `never` with a sentence, and a line
//! feed.

use std::path::{Path, PathBuf};

/// The largest mail that can be handed in, in bytes. Mail systems refuse far smaller ones.
pub(crate) const LARGEST: usize = 64 << 20;
/// The first bytes of a request; the last of them is the version.
pub(crate) const MAGIC: [u8; 4] = *b"FDM1";
/// The longest answer, in bytes.
pub(crate) const LONGEST_ANSWER: usize = 1024;

/// Where the running instance of a data folder takes mails.
pub(crate) fn socket(data: &Path) -> PathBuf {
    data.join("run").join("frontdesk.sock")
}

/// What goes before the mail; `None` when the name is longer than 255 bytes or the mail than 4 GiB.
pub(crate) fn head(source: &str, length: usize) -> Option<Vec<u8>> {
    let mut head = MAGIC.to_vec();
    head.push(u8::try_from(source.len()).ok()?);
    head.extend(source.as_bytes());
    head.extend(u32::try_from(length).ok()?.to_be_bytes());
    Some(head)
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is durable here. Whoever had it may forget it.
    Kept,
    /// Not now, and why.
    Later(String),
    /// Not this one, however often it comes, and why.
    Never(String),
}

impl Answer {
    pub(crate) fn line(&self) -> String {
        let (word, why) = match self {
            Self::Kept => return "kept\n".to_owned(),
            Self::Later(why) => ("later", why),
            Self::Never(why) => ("never", why),
        };
        // A sentence is one line, and fits with its word.
        let mut line = format!("{word} ");
        for c in why.chars() {
            if line.len() + c.len_utf8() >= LONGEST_ANSWER {
                break;
            }
            line.push(if c.is_control() { ' ' } else { c });
        }
        line.push('\n');
        line
    }

    /// `None` unless it is a whole answer.
    pub(crate) fn read(line: &str) -> Option<Self> {
        match line.strip_suffix('\n')?.split_once(' ') {
            None if line == "kept\n" => Some(Self::Kept),
            Some(("later", why)) => Some(Self::Later(why.to_owned())),
            Some(("never", why)) => Some(Self::Never(why.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_meant_and_half_of_one_is_none() {
        for answer in [
            Answer::Kept,
            Answer::Later("the journal is full".to_owned()),
            Answer::Never("Забагато літер".to_owned()),
            Answer::Later(String::new()),
        ] {
            let line = answer.line();
            assert_eq!(Answer::read(&line), Some(answer));
            for cut in (0..line.len()).filter(|cut| line.is_char_boundary(*cut)) {
                assert_eq!(Answer::read(line.get(..cut).unwrap()), None, "{line:?} cut at {cut}");
            }
        }
        assert_eq!(Answer::read("kept \n"), None);
        assert_eq!(Answer::read("maybe so\n"), None);
    }

    #[test]
    fn an_answer_is_one_short_line_whatever_the_reason() {
        let long = Answer::Later("ї\n".repeat(5000)).line();
        assert!(long.len() <= LONGEST_ANSWER, "{}", long.len());
        assert_eq!(long.matches('\n').count(), 1);
    }
}
