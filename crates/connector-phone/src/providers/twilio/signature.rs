//! How Twilio signs: HMAC over the URL, followed by each form field's name and values in sorted order.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::config::Line;
use crate::form;
use crate::provider::Forged;
use crate::request::Evidence;

pub(super) const SIGNATURE: &str = "x-twilio-signature";

/// Names the key and the algorithm, when it is not the account's token with HMAC-SHA1.
pub(super) const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// The query parameter by which the signed URL covers a body that is no form.
const BODY_DIGEST: &str = "bodySHA256";

/// What goes into `X-Twilio-Signature` for a request to `url` with these form fields, signed with the
/// account's token (HMAC-SHA1).
pub fn sign<N: AsRef<[u8]>, V: AsRef<[u8]>>(token: &[u8], url: &str, pairs: &[(N, V)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    in_order(&mut pairs);
    STANDARD.encode(fed(mac::<Hmac<Sha1>>(token), url, &pairs).finalize().into_bytes())
}

/// The same for a form as it goes over the wire.
pub fn sign_form(token: &[u8], url: &str, body: &[u8]) -> String {
    sign(token, url, &form::pairs(body))
}

/// Whether the request is signed with one of `line`'s keys.
pub(super) fn verify(line: &Line, evidence: &Evidence<'_>) -> Result<(), Forged> {
    let given = one_header(evidence.headers, SIGNATURE)?.ok_or(Forged("it has no signature"))?;
    let given = STANDARD.decode(given.trim()).map_err(|_| Forged("its signature is not base64"))?;
    let fields = signed_fields(evidence)?;
    let mut pairs: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    in_order(&mut pairs);
    // `verify_slice` compares in constant time.
    let genuine = match one_header(evidence.headers, SETTINGS)? {
        None => {
            let token = line.auth_token.as_ref().ok_or(Forged("it is signed with a token we do not have"))?;
            let signed = |url: &str| fed(mac::<Hmac<Sha1>>(token.expose()), url, &pairs);
            spelt(&evidence.url, |url| signed(url).verify_slice(&given).is_ok())
        }
        Some(settings) => {
            let id = shared_key_id(settings)?.to_ascii_lowercase();
            let key =
                line.signing_keys.get(&id).ok_or(Forged("it is signed with a shared key we do not have"))?;
            let signed = |url: &str| fed(mac::<Hmac<Sha256>>(key.expose()), url, &pairs);
            spelt(&evidence.url, |url| signed(url).verify_slice(&given).is_ok())
        }
    };
    if genuine { Ok(()) } else { Err(Forged("its signature is wrong")) }
}

/// The header's one value. Two of them would let the sender and us mean different ones.
fn one_header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Forged> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Forged("a header of its signature is there twice"));
    }
    first.map(|value| value.to_str().map_err(|_| Forged("a header of its signature is no text"))).transpose()
}

/// The `key` of `key=<id>,algorithm=HMAC_SHA256`.
fn shared_key_id(settings: &str) -> Result<&str, Forged> {
    let setting = |name: &str| {
        settings.split(',').filter_map(|part| part.trim().split_once('=')).find(|(n, _)| *n == name)
    };
    match setting("algorithm") {
        Some((_, "HMAC_SHA256")) => {}
        _ => return Err(Forged("its signature's algorithm is not known")),
    }
    setting("key").map(|(_, id)| id).ok_or(Forged("its signature names no key"))
}

/// The fields that the signature covers beside the URL. A body that is no form must have its digest in
/// the URL.
fn signed_fields<'a>(evidence: &'a Evidence<'_>) -> Result<Vec<form::Pair<'a>>, Forged> {
    let media_type = evidence.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    // What is read of a GET is its query; a body beside it is neither signed nor read.
    if evidence.method == axum::http::Method::GET || evidence.body.is_empty() {
        return Ok(Vec::new());
    }
    if form::is_form(media_type) {
        return Ok(form::pairs(evidence.body));
    }
    let claimed = form::pairs(evidence.query.as_bytes())
        .into_iter()
        .find_map(|(name, value)| (*name == *BODY_DIGEST.as_bytes()).then_some(value))
        .ok_or(Forged("its body is no form and not covered by the signature"))?;
    let claimed = hex::decode(claimed).map_err(|_| Forged("its body's digest is not hexadecimal"))?;
    if bool::from(Sha256::digest(evidence.body).ct_eq(&claimed)) {
        Ok(Vec::new())
    } else {
        Err(Forged("its body is not the one that was signed"))
    }
}

/// Whether one of the URL's spellings is the signed one. The configured one is tried first.
fn spelt(url: &str, is_signed: impl Fn(&str) -> bool) -> bool {
    is_signed(url) || other_spellings(url).iter().any(|url| is_signed(url))
}

/// The URL without a port, and with the scheme's default one: Twilio signs either.
fn other_spellings(url: &str) -> Vec<String> {
    let mut all = Vec::new();
    let parts = || {
        let parsed = Url::parse(url).ok()?;
        let default = match parsed.scheme() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        // Cut from the text, because a parsed URL would be spelt anew.
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        let bare = parsed.host_str()?;
        Some((scheme, host, bare.to_owned(), default, path))
    };
    if let Some((scheme, host, bare, default, path)) = parts() {
        for other in [bare.clone(), format!("{bare}:{default}")] {
            if other != host {
                all.push(format!("{scheme}://{other}{path}"));
            }
        }
    }
    all
}

/// Names sorted, and a repeated name's distinct values sorted.
fn in_order(pairs: &mut Vec<(&[u8], &[u8])>) {
    pairs.sort_unstable();
    pairs.dedup();
}

/// The code over the URL, then name and value of each field.
fn fed<M: Mac>(mut mac: M, url: &str, pairs: &[(&[u8], &[u8])]) -> M {
    mac.update(url.as_bytes());
    for (name, value) in pairs {
        mac.update(name);
        mac.update(value);
    }
    mac
}

fn mac<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes a key of any length")
}
