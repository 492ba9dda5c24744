//! A phone system: calls told by webhooks, signed as Twilio signs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Response, StatusCode};
use sha1::Sha1;

use crate::agent::client;

/// The fields of one webhook.
pub type Fields = Vec<(String, String)>;

/// A phone system with one line.
#[derive(Clone, Debug)]
pub struct Pbx {
    http: reqwest::Client,
    url: String,
    secret: String,
}

/// One call: who calls, and when it began in seconds after [`Call::epoch`].
#[derive(Clone, Debug)]
pub struct Call {
    pub id: String,
    pub from: String,
    pub began_s: i64,
}

impl Call {
    /// The `nth` call of a test: its own id, one of forty callers, a minute after the one before.
    pub fn nth(nth: usize) -> Self {
        Self {
            id: format!("CA{nth:032x}"),
            from: format!("+3805010001{:02}", nth % 40),
            began_s: 60 * i64::try_from(nth).unwrap_or(0),
        }
    }

    /// From another number.
    pub fn from(mut self, number: &str) -> Self {
        number.clone_into(&mut self.from);
        self
    }

    /// A fixed moment in the past, so that a story is the same every day.
    pub fn epoch() -> Timestamp {
        Timestamp::from_second(1_740_997_981).expect("it is in range")
    }

    fn hook(&self, after_s: i64, status: &str, nth: u32) -> Fields {
        let at = Self::epoch() + SignedDuration::from_secs(self.began_s + after_s);
        let at = jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).expect("a date");
        [
            ("AccountSid", "AC00000000000000000000000000000001"),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.id),
            ("CallStatus", status),
            ("CallbackSource", "call-progress-events"),
            ("Direction", "inbound"),
            ("From", &self.from),
            ("SequenceNumber", &nth.to_string()),
            ("Timestamp", &at),
            ("To", "+380800500500"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// It rings.
    pub fn ringing(&self) -> Fields {
        self.hook(0, "ringing", 0)
    }

    /// It rings for 21 seconds and nobody answers.
    pub fn missed(&self) -> Vec<Fields> {
        let mut end = self.hook(21, "no-answer", 1);
        end.push(("CallDuration".to_owned(), "0".to_owned()));
        vec![self.ringing(), end]
    }

    /// It is answered after 5 seconds and lasts 63.
    pub fn answered(&self) -> Vec<Fields> {
        let mut end = self.hook(68, "completed", 2);
        end.push(("CallDuration".to_owned(), "63".to_owned()));
        vec![self.ringing(), self.hook(5, "in-progress", 1), end]
    }
}

impl Pbx {
    /// The system of the line `source` at `base`, which signs with `secret`.
    pub fn new(base: &str, source: &str, secret: &str) -> Self {
        Self { http: client(), url: format!("{base}/hooks/phone/{source}"), secret: secret.to_owned() }
    }

    /// The same, signing with another secret.
    pub fn signing_with(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    /// Where it posts to, which is what it signs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Twilio's signature: HMAC-SHA1 over the URL and the sorted fields.
    pub fn signature(&self, fields: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> String {
        let mut sorted: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(self.url.as_bytes());
        for (name, value) in sorted {
            mac.update(name);
            mac.update(value);
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Sends a webhook once.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn try_send(&self, fields: &Fields) -> reqwest::Result<Response> {
        let signature = self.signature(fields);
        self.http.post(&self.url).header("X-Twilio-Signature", signature).form(fields).send().await
    }

    /// Sends a form as it is once, signed over these fields.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn send_form(&self, form: Vec<u8>, fields: &[(Vec<u8>, Vec<u8>)]) -> Response {
        let request = self
            .http
            .post(&self.url)
            .header("X-Twilio-Signature", self.signature(fields))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        request.send().await.expect("no answer to a hook")
    }

    /// Sends a webhook once and gives the status.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn send(&self, fields: &Fields) -> StatusCode {
        self.try_send(fields).await.expect("no answer to a hook").status()
    }

    /// Sends webhooks, each once.
    ///
    /// # Panics
    /// When one of them is not taken.
    pub async fn tells(&self, hooks: &[Fields]) {
        for hook in hooks {
            let answer = self.try_send(hook).await.expect("no answer to a hook");
            let status = answer.status();
            assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap_or_default());
        }
    }

    /// Sends a webhook until it is taken, as phone systems do; gives how often it was sent.
    pub async fn insists(&self, fields: &Fields) -> usize {
        for nth in 1..3_000 {
            match self.try_send(fields).await {
                Ok(answer) if answer.status().is_success() => return nth,
                Ok(answer) if answer.status().is_server_error() => {}
                Err(_) => {}
                Ok(answer) => panic!("a hook of ours was refused with {}", answer.status()),
            }
            // A phone system's pause before it tries again.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("a hook was not taken in 3000 tries");
    }
}
