//! The vendor's signature vectors, and what each kind of request is read as.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::*;
use crate::Secret;
use crate::config::Config;
use crate::form::{MEDIA_TYPE, pairs};
use crate::request::Unverified;

fn line(token: &str, own: &[&str]) -> Line {
    let config = Config {
        provider: Some("twilio".into()),
        region: Some("US".into()),
        auth_token: Some(Secret::new(token)),
        signing_keys: [("Key_1".to_owned(), crate::config::SigningKey::Inline(Secret::new("shared")))].into(),
        own_numbers: own.iter().map(|number| (*number).to_owned()).collect(),
        ..Config::default()
    };
    config.check("main-line").unwrap()
}

/// A request as it would come; its signature is among `headers`.
fn request(target: &str, headers: &[(&'static str, &str)], body: &str) -> Unverified {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    let body = Bytes::copy_from_slice(body.as_bytes());
    Unverified::new(Method::POST, target.to_owned(), headers, body, Timestamp::UNIX_EPOCH)
}

fn is_genuine(public_url: &str, request: &Unverified) -> bool {
    request.verify(&line("12345", &[]), &public_url.parse().unwrap()).is_ok()
}

#[test]
fn the_vendors_vectors_verify_and_with_any_change_do_not() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/twilio/vectors.json")).unwrap();
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let url: Url = vector["url"].as_str().unwrap().parse().unwrap();
        let origin = url.origin().ascii_serialization();
        let target = format!("{}?{}", url.path(), url.query().unwrap());
        let signature = vector["signature"].as_str().unwrap();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in vector["form"].as_object().into_iter().flatten() {
            form.append_pair(name, value.as_str().unwrap());
        }
        for pair in vector["form_pairs"].as_array().into_iter().flatten() {
            form.append_pair(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        }
        let (media_type, body) = match vector["json_body"].as_str() {
            Some(json) => ("application/json", json.to_owned()),
            None => (MEDIA_TYPE, form.finish()),
        };
        let sent = |target: &str, signature: &str, body: &str| {
            request(target, &[("content-type", media_type), (super::signature::SIGNATURE, signature)], body)
        };
        let name = &vector["source"];
        assert!(is_genuine(&origin, &sent(&target, signature, &body)), "{name} {signature}");
        assert!(!is_genuine(&origin, &sent(&target, signature, &format!("{body}1"))), "other body");
        assert!(!is_genuine(&origin, &sent(&format!("{target}1"), signature, &body)), "other query");
        assert!(!is_genuine("https://evil.example", &sent(&target, signature, &body)), "other host");
        assert!(!is_genuine(&origin, &sent(&target, "AAAA", &body)), "other signature");
        assert!(!is_genuine(&origin, &sent(&target, "not base64!", &body)), "no signature");
    }
}

#[test]
fn a_signature_needs_a_known_algorithm_and_key() {
    let body = "CallSid=CA1";
    let right = sha256_of("shared", "https://a.example/xCallSidCA1");
    let with = |settings: &[&str]| {
        let mut headers = vec![("content-type", MEDIA_TYPE), (super::signature::SIGNATURE, right.as_str())];
        headers.extend(settings.iter().map(|text| (super::signature::SETTINGS, *text)));
        is_genuine("https://a.example", &request("/x", &headers, body))
    };
    assert!(with(&["key=key_1,algorithm=HMAC_SHA256"]), "the id's letter case does not matter");
    assert!(with(&["algorithm=HMAC_SHA256, key=Key_1"]));
    for bad in ["", "key=key_1", "key=key_1,algorithm=HMAC_MD5", "key=other,algorithm=HMAC_SHA256", "x"] {
        assert!(!with(&[bad]), "{bad}");
    }
    assert!(!with(&[]), "without settings it would be HMAC-SHA1 with the token");
}

fn sha256_of(key: &str, text: &str) -> String {
    use base64::Engine as _;
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn a_repeated_field_counts_once_and_order_does_not_matter() {
    let once = sign(b"12345", "https://a.example/x", &[("a", "1"), ("a", "2"), ("b", "3")]);
    let again = sign(b"12345", "https://a.example/x", &[("b", "3"), ("a", "2"), ("a", "1"), ("a", "2")]);
    assert_eq!(once, again);
    assert_eq!(once, sign_form(b"12345", "https://a.example/x", b"b=3&a=%32&a=1"));
}

#[test]
fn a_get_is_signed_by_its_url_and_read_from_its_query() {
    let url = "https://a.example/hook?CallSid=CA1&CallStatus=ringing";
    let signature = sign::<&str, &str>(b"12345", url, &[]);
    let mut headers = HeaderMap::new();
    headers.insert("x-twilio-signature", signature.parse().unwrap());
    let target = "/hook?CallSid=CA1&CallStatus=ringing".to_owned();
    let get =
        Unverified::new(Method::GET, target, headers, Bytes::from_static(b"CallSid=CA2"), Timestamp::MIN);
    let verified = get.verify(&line("12345", &[]), &"https://a.example".parse().unwrap()).unwrap();
    assert_eq!(verified.raw(), &RawBytes::new(MEDIA_TYPE, "CallSid=CA1&CallStatus=ringing"));
}

#[test]
fn a_body_that_is_no_form_must_be_covered_by_the_url() {
    let url = "https://a.example/x";
    let signature = sign::<&str, &str>(b"12345", url, &[]);
    let headers = [("content-type", "application/json"), (super::signature::SIGNATURE, signature.as_str())];
    assert!(!is_genuine("https://a.example", &request("/x", &headers, "{}")));
    let twice = [headers[0], headers[1], headers[1]];
    let mut map = HeaderMap::new();
    for (name, value) in twice {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let twice = Unverified::new(Method::POST, "/x".into(), map, Bytes::new(), Timestamp::UNIX_EPOCH);
    assert!(!is_genuine("https://a.example", &twice), "a signature given twice");
    assert!(!is_genuine("https://a.example", &request("/x", &[], "")), "no signature at all");
}

#[test]
fn a_prefix_in_the_public_url_is_part_of_what_is_signed() {
    let body = "CallSid=CA1";
    let signature = sign(b"12345", "https://a.example:8443/desk/x", &pairs(body.as_bytes()));
    let headers = [("content-type", MEDIA_TYPE), (super::signature::SIGNATURE, signature.as_str())];
    for public in ["https://a.example:8443/desk", "https://a.example:8443/desk/"] {
        assert!(is_genuine(public, &request("/x", &headers, body)));
    }
    assert!(!is_genuine("https://a.example:8443", &request("/x", &headers, body)));
}

fn read_as(own: &[&str], body: &str) -> Result<Read, Unreadable> {
    Twilio.read(&line("12345", own), &RawBytes::new(MEDIA_TYPE, body))
}

fn change(body: &str) -> CallChange {
    read_as(&[], body).unwrap().facts.remove(0).change
}

#[test]
fn each_status_of_a_line() {
    use CallState::{Answered as Talking, Ended, Ringing};
    use Outcome::{Answered, Busy, Canceled, Failed, Missed, NoAnswer};
    let table = [
        ("queued", "inbound", Ringing, None, None),
        ("initiated", "outbound-api", Ringing, None, None),
        ("ringing", "inbound", Ringing, None, None),
        ("in-progress", "inbound", Talking, Some(Answered), None),
        ("completed&CallDuration=7", "inbound", Ended, Some(Answered), Some(7)),
        ("completed&CallDuration=0", "inbound", Ended, Some(Missed), Some(0)),
        ("completed&CallDuration=0", "outbound-api", Ended, Some(NoAnswer), Some(0)),
        ("completed", "inbound", Ended, None, None),
        ("completed&CallDuration=", "inbound", Ended, None, None),
        ("no-answer", "inbound", Ended, Some(Missed), None),
        ("busy", "inbound", Ended, Some(Missed), None),
        ("canceled", "inbound", Ended, Some(Missed), None),
        ("failed&CallDuration=0", "inbound", Ended, Some(Missed), Some(0)),
        ("no-answer", "outbound-api", Ended, Some(NoAnswer), None),
        ("busy", "outbound-dial", Ended, Some(Busy), None),
        ("canceled", "outbound-api", Ended, Some(Canceled), None),
        ("failed", "outbound-api", Ended, Some(Failed), None),
    ];
    for (status, direction, state, outcome, talked_s) in table {
        let read = change(&format!("CallSid=CA1&Direction={direction}&CallStatus={status}"));
        let expected =
            CallChange { state: Some(state), outcome, talked_s, basis: Basis::Line, ..CallChange::default() };
        assert_eq!(read, expected, "{status} {direction}");
    }
}

#[test]
fn each_result_of_a_dial() {
    let dial = |rest: &str| change(&format!("CallSid=CA1&CallStatus=in-progress&DialCallStatus={rest}"));
    let talk = dial("completed&DialCallDuration=42");
    assert_eq!((talk.state, talk.outcome, talk.basis), (None, Some(Outcome::Answered), Basis::Person));
    assert_eq!(talk.talked_s, Some(42));
    for status in ["no-answer", "busy", "failed", "canceled"] {
        let missed = dial(status);
        assert_eq!((missed.state, missed.outcome), (None, Some(Outcome::Missed)), "{status}");
    }
    assert_eq!(dial("busy&Direction=outbound-api").outcome, Some(Outcome::Busy));
    let left = change("CallSid=CA1&CallStatus=completed&DialCallStatus=no-answer");
    assert_eq!(left.state, Some(CallState::Ended));
    let recorded = dial("completed&RecordingUrl=https://api.twilio.com/x/RE7&RecordingDuration=9");
    let recording = recorded.recording.unwrap();
    assert_eq!(
        (recording.id.as_str(), recording.kind, recording.seconds),
        ("RE7", RecordingKind::Talk, Some(9))
    );
}

#[test]
fn a_leg_belongs_to_its_parent_and_speaks_for_a_person() {
    let own = ["+12025550117"];
    let leg = |status: &str, from: &str, to: &str| {
        let body = format!(
            "CallSid=CA2&ParentCallSid=CA1&Direction=outbound-dial&From={from}&To={to}&CallStatus={status}"
        );
        read_as(&own, &body).unwrap().facts.remove(0)
    };
    let table = [
        ("ringing", Some(CallState::Ringing), None, None),
        ("in-progress", Some(CallState::Answered), Some(Outcome::Answered), None),
        ("completed&CallDuration=5", None, Some(Outcome::Answered), Some(5)),
        ("completed", None, None, None),
        ("no-answer", None, Some(Outcome::Missed), None),
        ("busy", None, Some(Outcome::Missed), None),
    ];
    for (status, state, outcome, talked_s) in table {
        let fact = leg(status, "%2B442079460018", "client:mia");
        assert_eq!((fact.call.as_str(), fact.id.as_str()), ("CA1", "CA2"));
        assert_eq!((fact.direction, fact.to), (Direction::Inbound, vec![]), "an agent is no destination");
        assert_eq!(fact.from.unwrap().raw, "+442079460018");
        let expected = CallChange {
            state,
            outcome,
            talked_s,
            basis: Basis::Person,
            extension: Some("mia".into()),
            ..CallChange::default()
        };
        assert_eq!(fact.change, expected, "{status}");
    }
    let shown = leg("ringing", "%2B12025550117", "sip:101@pbx.example");
    assert_eq!(shown.from, None, "one of our numbers shown to an agent is not the caller");
    assert_eq!(shown.change.extension.as_deref(), Some("101"));
    assert_eq!(leg("ringing", "", "%2B12025550118").change.extension.as_deref(), Some("+12025550118"));
}

#[test]
fn recordings_and_what_was_said() {
    let told = |rest: &str| change(&format!("CallSid=CA1&RecordingSid=RE1&{rest}"));
    let talk = told("RecordingStatus=completed&RecordingSource=StartCallRecordingAPI&RecordingDuration=-1");
    assert_eq!((talk.state, talk.outcome), (None, None));
    assert_eq!(talk.recording.as_ref().map(|r| (r.kind, r.seconds)), Some((RecordingKind::Talk, None)));
    let mail = told("RecordingStatus=completed&RecordingSource=RecordVerb&RecordingDuration=12");
    assert_eq!((mail.outcome, mail.basis), (Some(Outcome::Voicemail), Basis::Line));
    assert_eq!(mail.recording.as_ref().unwrap().kind, RecordingKind::Voicemail);
    let begun = told("RecordingStatus=in-progress&RecordingSource=RecordVerb");
    assert_eq!((begun.outcome, begun.recording.is_some()), (None, true));
    let none = told("RecordingStatus=absent&RecordingSource=RecordVerb");
    assert_eq!((none.outcome, none.recording), (None, None));
    let action = told("CallStatus=in-progress&RecordingDuration=3&Digits=hangup");
    assert_eq!((action.outcome, action.state), (Some(Outcome::Voicemail), None));
    let failed = told("TranscriptionSid=TR1&TranscriptionStatus=failed");
    assert_eq!((failed.outcome, failed.transcript), (Some(Outcome::Voicemail), None));
    let live = told("TranscriptionSid=GT1&TranscriptionEvent=transcription-started");
    assert_eq!((live.outcome, live.transcript), (None, None));
}

#[test]
fn what_is_not_understood_names_its_field() {
    let table = [
        ("", "CallSid"),
        ("CallSid=", "CallSid"),
        ("CallSid=a%00b", "CallSid"),
        ("CallSid=CA1", "CallStatus"),
        ("CallSid=CA1&CallStatus=dancing", "CallStatus"),
        ("CallSid=CA1&CallStatus=ringing&CallStatus=busy", "CallStatus"),
        ("CallSid=CA1&CallStatus=completed&CallDuration=long", "CallDuration"),
        ("CallSid=CA1&CallStatus=ringing&Direction=up", "Direction"),
        ("CallSid=CA1&DialCallStatus=maybe", "DialCallStatus"),
        ("CallSid=CA1&RecordingSid=RE1&RecordingStatus=lost", "RecordingStatus"),
        ("CallSid=CA1&CallStatus=ringing&From=%FF", "From"),
    ];
    for (body, field) in table {
        let why = read_as(&[], body).unwrap_err();
        assert_eq!(why.field.as_deref(), Some(field), "{body}: {}", why.reason);
    }
}

#[test]
fn the_answer_is_what_the_kind_wants() {
    let answer = |rest: &str| read_as(&[], &format!("CallSid=CA1&{rest}")).unwrap().answer;
    for twiml in ["CallStatus=ringing", "CallStatus=in-progress&DialCallStatus=busy", "RecordingSid=RE1"] {
        assert_eq!(answer(twiml), TWIML, "{twiml}");
    }
    for nothing in [
        "CallStatus=ringing&CallbackSource=call-progress-events",
        "CallStatus=in-progress&SequenceNumber=2",
        "CallStatus=completed&CallDuration=5",
        "RecordingSid=RE1&RecordingStatus=completed",
        "TranscriptionSid=TR1",
    ] {
        assert_eq!(answer(nothing), Answer::Nothing, "{nothing}");
    }
}
