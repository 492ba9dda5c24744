//! What a visitor's client and we say to each other. The protocol is in the crate's description.

use contact::chat::Page;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A longer id is no id of ours or of a client's.
const LONGEST_ID: usize = 64;
/// In characters: what is kept of a page's address, and of its title.
const LONGEST_URL: usize = 1000;
const LONGEST_TITLE: usize = 200;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame {
    Hello(Hello),
    Message {
        id: String,
        text: String,
    },
    Identify(Claims),
    Typing {},
    Read {
        seq: i64,
    },
    /// Browsers' scripts cannot send the pings of a WebSocket.
    Ping {},
}

/// Who comes, and what they have already.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Hello {
    #[serde(default)]
    pub visitor: Option<String>,
    #[serde(default)]
    pub token: Option<String>,
    /// The number of the last line they have.
    #[serde(default)]
    pub after: Option<i64>,
    #[serde(default)]
    pub page: Option<Page>,
}

/// Without secret and token.
impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("after", &self.after).finish_non_exhaustive()
    }
}

/// What the visitor typed about themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

impl Frame {
    /// Reads one frame.
    ///
    /// # Errors
    /// The error to be said back, when it is none.
    pub fn read(text: &str) -> Result<Self, Said> {
        const KNOWN: [&str; 6] = ["hello", "message", "identify", "typing", "read", "ping"];
        #[derive(Deserialize)]
        struct Tag {
            r#type: String,
        }
        let bad = |error: serde_json::Error| Said::error(Code::BadFrame, clean(&error.to_string(), 200));
        let tag: Tag = serde_json::from_str(text).map_err(bad)?;
        if !KNOWN.contains(&tag.r#type.as_str()) {
            let detail =
                format!("`{}` is not known; known are: {}", clean(&tag.r#type, 40), KNOWN.join(", "));
            return Err(Said::error(Code::UnknownType, detail));
        }
        serde_json::from_str(text).map_err(bad)
    }
}

/// What we say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    Welcome {
        /// The secret; `None` behind a token.
        visitor: Option<String>,
        /// The last recorded line; `None` while that cannot be read.
        seq: Option<i64>,
    },
    Ack {
        id: String,
    },
    Message {
        id: String,
        seq: i64,
        from: Side,
        /// Of the agent.
        name: Option<String>,
        text: String,
        at: Timestamp,
    },
    Typing {
        name: String,
    },
    Read {
        seq: i64,
    },
    Pong {},
    Error(Fault),
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Agent,
    Visitor,
}

/// What is wrong with a frame, or with now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub code: Code,
    /// For a developer.
    pub detail: String,
    /// The message it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    BadFrame,
    UnknownType,
    HelloFirst,
    BadId,
    Empty,
    TooLong,
    BadClaim,
    NotNow,
    SlowDown,
    BadToken,
    ExpiredToken,
    TooMany,
}

impl Code {
    /// As it is said, and counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::BadFrame => "bad_frame",
            Code::UnknownType => "unknown_type",
            Code::HelloFirst => "hello_first",
            Code::BadId => "bad_id",
            Code::Empty => "empty",
            Code::TooLong => "too_long",
            Code::BadClaim => "bad_claim",
            Code::NotNow => "not_now",
            Code::SlowDown => "slow_down",
            Code::BadToken => "bad_token",
            Code::ExpiredToken => "expired_token",
            Code::TooMany => "too_many",
        }
    }
}

impl Fault {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), id: None, field: None, retry_after: None }
    }

    /// About this message.
    pub fn of(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// To be tried again after so long: whole seconds, rounded up, because 0 would mean "at once".
    pub fn after(self, pause: std::time::Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        Self { retry_after: Some(seconds.max(1)), ..self }
    }
}

impl Said {
    pub fn error(code: Code, detail: impl Into<String>) -> Self {
        Said::Error(Fault::new(code, detail))
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a frame has no map with keys that are not text")
    }
}

/// Whether a client's id of a line is one: it becomes part of an event's key and of its contact's.
pub fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

/// A line as it is kept: NUL and other control characters out (but for line ends and tabs), trimmed.
pub fn line(text: &str) -> String {
    let kept: String =
        text.replace("\r\n", "\n").chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    kept.trim().to_owned()
}

/// A short text on one line, without control characters, trimmed, and cut after `longest` characters.
pub fn clean(text: &str, longest: usize) -> String {
    let one_line = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let kept: String = one_line.filter(|c| !c.is_control()).collect();
    let cut: String = kept.trim().chars().take(longest).collect();
    cut.trim_end().to_owned()
}

/// The page as it is kept: a web address or none, and a bounded title.
pub fn page(page: Page) -> Option<Page> {
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    let url = page.url.map(|url| clean(&url, LONGEST_URL)).filter(is_web);
    let title = page.title.map(|title| clean(&title, LONGEST_TITLE)).filter(|title| !title.is_empty());
    (url.is_some() || title.is_some()).then_some(Page { url, title })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> Code {
        match Frame::read(text) {
            Err(Said::Error(fault)) => fault.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_is_read_strictly_and_a_newer_one_too() {
        assert_eq!(
            Frame::read(r#"{"type":"message","id":"1","text":"hi","mood":"good"}"#).unwrap(),
            Frame::Message { id: "1".into(), text: "hi".into() }
        );
        assert_eq!(Frame::read(r#"{"type":"hello"}"#).unwrap(), Frame::Hello(Hello::default()));
        assert_eq!(Frame::read(r#"{"type":"typing"}"#).unwrap(), Frame::Typing {});
        assert_eq!(code(r#"{"type":"dance"}"#), Code::UnknownType);
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "\"hello\"",
            r#"{"type":7}"#,
            r#"{"type":"message","id":1,"text":"x"}"#,
            r#"{"type":"message","id":"1"}"#,
            r#"{"type":"message","id":"1","id":"2","text":"x"}"#,
            r#"{"type":"read","seq":1.5}"#,
            r#"{"type":"read","seq":99999999999999999999}"#,
            r#"{"type":"hello","after":"17"}"#,
            r#"{"type":"message","id":"1","text":"\ud800"}"#,
            r#"{"type":"typing"} {"type":"typing"}"#,
        ] {
            assert_eq!(code(bad), Code::BadFrame, "{bad}");
        }
        assert_eq!(code(&"[".repeat(60_000)), Code::BadFrame, "depth is bounded");
    }

    #[test]
    fn a_line_is_cleaned_and_a_page_is_bounded() {
        assert_eq!(line(" a\u{0}b\r\nc\td\u{7f}\u{9f} \n"), "ab\nc\td");
        assert_eq!(line("\u{0}\u{1b} \n"), "");
        assert_eq!(line("👩‍👩‍👧 шалом שלום"), "👩‍👩‍👧 шалом שלום");
        let kept =
            page(Page { url: Some("javascript:alert(1)".into()), title: Some("x".repeat(500)) }).unwrap();
        assert_eq!((kept.url, kept.title.unwrap().len()), (None, 200));
        assert_eq!(page(Page { url: Some(String::new()), title: Some(" ".into()) }), None);
    }

    #[test]
    fn an_id_is_a_token() {
        for good in ["1", "6c0a4a0e-4b1e-4a8e-9a3c-0d5f6c7b8a90", &"a".repeat(64)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "a:b", "ä", "a\u{0}", &"a".repeat(65)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn what_we_say_is_as_described() {
        let fault = Fault::new(Code::NotNow, "x").of("1").after(std::time::Duration::from_millis(1500));
        assert_eq!(
            Said::Error(fault).to_json(),
            r#"{"type":"error","code":"not_now","detail":"x","id":"1","retry_after":2}"#
        );
        assert_eq!(
            Said::Welcome { visitor: None, seq: Some(0) }.to_json(),
            r#"{"type":"welcome","visitor":null,"seq":0}"#
        );
        let line = Said::Message {
            id: "1".into(),
            seq: 19,
            from: Side::Agent,
            name: Some("Mia".into()),
            text: "hi".into(),
            at: "2026-11-21T10:15:02Z".parse().unwrap(),
        };
        assert_eq!(
            line.to_json(),
            r#"{"type":"message","id":"1","seq":19,"from":"agent","name":"Mia","text":"hi","at":"2026-11-21T10:15:02Z"}"#
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_answered_briefly(text in ".{0,300}") {
            if let Err(Said::Error(fault)) = Frame::read(&text) {
                prop_assert!(fault.detail.chars().count() <= 300);
            }
            prop_assert!(!line(&text).contains('\0'));
        }
    }
}
