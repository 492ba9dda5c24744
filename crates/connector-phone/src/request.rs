//! Trust is a type: an [`Unverified`] request has no body to read, and the only ways to the
//! [`Verified`] one are its provider's check, or an admin who released it from quarantine.

use std::fmt;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use contact::{RawBytes, Trust};
use jiff::Timestamp;
use url::Url;

use crate::config::Line;
use crate::form;
use crate::normalise::clean;
use crate::provider::Forged;

/// A request as it came.
pub struct Unverified {
    method: Method,
    /// Path and query, byte for byte.
    target: String,
    headers: HeaderMap,
    body: Bytes,
    received_at: Timestamp,
}

/// What a provider may look at to decide whether a request is genuine.
pub struct Evidence<'a> {
    pub method: &'a Method,
    /// The URL it was sent to, as the sender sees it: our public one, never from the `Host` header.
    pub url: String,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// For signatures with a time window.
    pub received_at: Timestamp,
}

/// A request that may be read.
#[derive(Debug)]
pub struct Verified {
    raw: RawBytes,
    trust: Trust,
    received_at: Timestamp,
    traceparent: Option<String>,
}

impl Unverified {
    /// A request from the wire.
    pub fn new(
        method: Method,
        target: String,
        headers: HeaderMap,
        body: Bytes,
        received_at: Timestamp,
    ) -> Self {
        Self { method, target, headers, body, received_at }
    }

    /// A held request (`message/http`).
    ///
    /// # Errors
    /// When the bytes are no request.
    pub fn from_message(message: &[u8], received_at: Timestamp) -> Result<Self, Garbled> {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n").ok_or(Garbled)?;
        let (head, body) = message.split_at_checked(end).ok_or(Garbled)?;
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().and_then(|line| std::str::from_utf8(line).ok()).ok_or(Garbled)?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().ok_or(Garbled)?, words.next().ok_or(Garbled)?);
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':').ok_or(Garbled)?;
            let (name, value) = line.split_at_checked(colon).ok_or(Garbled)?;
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            headers.append(
                HeaderName::from_bytes(name).map_err(|_| Garbled)?,
                HeaderValue::from_bytes(value).map_err(|_| Garbled)?,
            );
        }
        Ok(Self {
            method: method.parse().map_err(|_| Garbled)?,
            target: target.to_owned(),
            headers,
            body: Bytes::copy_from_slice(body.get(4..).unwrap_or_default()),
            received_at,
        })
    }

    /// The whole request as `message/http`, to be held.
    pub fn to_message(&self) -> Vec<u8> {
        let mut message = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            message.extend_from_slice(name.as_str().as_bytes());
            message.extend_from_slice(b": ");
            message.extend_from_slice(value.as_bytes());
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }

    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// The request, if it proves to come from `line`'s system. `public_url` is where that system
    /// reaches us.
    ///
    /// # Errors
    /// When it does not; the request is still here to be held.
    pub fn verify(&self, line: &Line, public_url: &Url) -> Result<Verified, Forged> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        if let Some(secret) = &line.secret
            && !secret.is(path.rsplit('/').next().unwrap_or_default().as_bytes())
        {
            return Err(Forged("the secret in its path is wrong"));
        }
        line.provider.verify(
            line,
            &Evidence {
                method: &self.method,
                url: format!("{}{}", public_url.as_str().trim_end_matches('/'), self.target),
                query,
                headers: &self.headers,
                body: &self.body,
                received_at: self.received_at,
            },
        )?;
        Ok(self.readable(Trust::Verified))
    }

    /// The request, on the word of an admin. What comes of it stays marked [`Trust::Unverified`].
    pub fn release(&self) -> Verified {
        self.readable(Trust::Unverified)
    }

    fn readable(&self, trust: Trust) -> Verified {
        let raw = if self.method == Method::GET {
            let query = self.target.split_once('?').map_or("", |(_, query)| query);
            RawBytes::new(form::MEDIA_TYPE, query)
        } else {
            let given = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            RawBytes::new(clean(given.unwrap_or("application/octet-stream"), 200), self.body.to_vec())
        };
        Verified { raw, trust, received_at: self.received_at, traceparent: traceparent(&self.headers) }
    }
}

/// Shows neither headers nor body: they hold signatures and addresses.
impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Bytes that are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was held is no HTTP request")]
pub struct Garbled;

impl Verified {
    /// What is read and kept: the body, or the query of a GET as a form.
    pub fn raw(&self) -> &RawBytes {
        &self.raw
    }

    pub fn into_raw(self) -> RawBytes {
        self.raw
    }

    pub fn trust(&self) -> Trust {
        self.trust
    }

    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// The sender's trace, when its header was well-formed.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
}

/// W3C Trace Context, version 00: a malformed one is ignored, as the standard wants.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let part = parts.next()?;
        let good =
            part.len() == length && part.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        good.then_some(part)
    };
    let (version, trace, span, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let zeros = |part: &str| part.bytes().all(|c| c == b'0');
    (version == "00" && parts.next().is_none() && !zeros(trace) && !zeros(span)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_request_is_the_same_again() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_bytes(b"\xff 1").unwrap());
        headers.append("x-a", HeaderValue::from_static(""));
        let body = Bytes::from_static(b"\r\n\r\n\x00\xff");
        let sent = Unverified::new(Method::POST, "/x?a=%00".into(), headers, body, Timestamp::UNIX_EPOCH);
        let read = Unverified::from_message(&sent.to_message(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((&read.method, &read.target, &read.body), (&sent.method, &sent.target, &sent.body));
        assert_eq!(read.headers, sent.headers);
        for garbled in
            ["", "\r\n\r\n", "POST\r\n\r\n", "POST / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n"]
        {
            assert!(
                Unverified::from_message(garbled.as_bytes(), Timestamp::UNIX_EPOCH).is_err(),
                "{garbled:?}"
            );
        }
    }

    #[test]
    fn only_a_well_formed_trace_is_taken_over() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(text));
            traceparent(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(read(good).as_deref(), Some(good));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
