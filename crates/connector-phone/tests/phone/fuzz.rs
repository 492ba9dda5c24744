//! Real requests with wounds: each is answered, and what is told is kept.

use connector::number::{Region, e164};
use connector::testing::hostile::{Wound, wounded};
use connector_phone::normalise::party;
use connector_phone::{release_unverified, renormalise, reverify};
use contact::{Event, RawBytes, Suspect, Trust};
use proptest::prelude::*;

use crate::hostile::check;
use crate::{FORM, PATH, body_of, lines, now, public_url, samples, signed, source};

const WORDS: [&[u8]; 18] = [
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%ff",
    b"+",
    b"&CallSid=CA2",
    b"&CallStatus=completed",
    b"&CallStatus=",
    b"&From=%2B",
    b"&To=client%3Amia",
    b"&Direction=outbound-dial",
    b"&CallDuration=-1",
    b"&CallDuration=99999999999",
    b"&Timestamp=Mon%2C+03+Mar+9999+23%3A59%3A59+-2359",
    b"&RecordingUrl=javascript%3A",
    b"&RecordingSid=RE1&RecordingStatus=completed",
    b"&ParentCallSid=CA1",
];

fn wounds() -> impl Strategy<Value = Vec<Wound>> {
    prop::collection::vec(any::<Wound>(), 1..8)
}

fn suspect(message: &[u8]) -> Suspect {
    let source = source("main-line");
    let (received_at, reason) = (now(), "it has no signature".to_owned());
    let id = "0".repeat(32);
    Suspect {
        id,
        source,
        received_at,
        peer: None,
        reason,
        request: RawBytes::new("message/http", message).inline(),
    }
}

/// An event is never much more than what it was made of.
fn is_bounded(event: &Event) -> Result<(), TestCaseError> {
    let json = event.to_json();
    prop_assert!(json.len() < 64 * 1024, "{} bytes", json.len());
    prop_assert_eq!(&Event::from_json(&json).unwrap(), event);
    prop_assert!(event.occurred_at <= event.received_at);
    Ok(())
}

proptest! {
    #[test]
    fn fuzz_a_signed_hook_is_answered_and_kept_whatever_is_in_it(which in any::<prop::sample::Index>(), wounds in wounds()) {
        let samples = samples();
        check(signed(PATH, &wounded(&body_of(&which.get(&samples).1), &WORDS, &wounds)))?;
    }

    #[test]
    fn fuzz_a_held_request_is_released_or_refused(which in any::<prop::sample::Index>(), wounds in wounds()) {
        let samples = samples();
        let (name, message) = which.get(&samples);
        let mut words = WORDS.to_vec();
        words.extend([b"\r\n".as_slice(), b"\r\n\r\n", b"HTTP/1.1", b"x-twilio-signature: ", b"content-type: application/json", b"\0"]);
        let suspect = suspect(&wounded(message, &words, &wounds));
        if let Ok(events) = release_unverified(&lines(), &suspect) {
            for (event, _) in events {
                prop_assert_eq!(event.trust, Trust::Unverified, "{}", name);
                is_bounded(&event)?;
            }
        }
        if let Err(refused) = reverify(&lines(), &suspect, &public_url()) {
            prop_assert!(refused.to_string().len() < 500, "{}", refused);
        }
    }

    #[test]
    fn fuzz_a_raw_read_again_is_events_or_a_sentence(
        which in any::<prop::sample::Index>(),
        wounds in wounds(),
        media_type in prop::sample::select(vec![FORM, "application/json", "text/plain", "\0", "application/x-www-form-urlencoded; charset=utf-16"]),
    ) {
        let samples = samples();
        let raw = RawBytes::new(media_type, wounded(&body_of(&which.get(&samples).1), &WORDS, &wounds));
        match renormalise(&lines(), &source("main-line"), &raw, now(), Trust::Verified) {
            Ok(events) => events.iter().try_for_each(is_bounded)?,
            Err(why) => prop_assert!(!why.reason.is_empty() && why.reason.len() < 1000, "{}", why.reason),
        }
    }

    #[test]
    fn fuzz_a_number_is_in_its_one_form_or_none(text in prop_oneof![
        ".{0,40}", "[+0-9 ()./*#-]{0,30}", "\\+?[0-9٠-٩０-９]{1,20}", "(sip|client|tel):[+0-9a-z@.]{0,30}", "[0-9]{1000,3000}",
    ]) {
        let region: Region = "GB".parse().unwrap();
        if let Some(number) = e164(&text, region) {
            prop_assert!(number.strip_prefix('+').is_some_and(|digits| {
                (3..=17).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit())
            }), "{}", number);
            prop_assert_eq!(e164(&number, region), Some(number.clone()), "its form is its own");
        }
        let party = party(&text, Some(text.clone()), region);
        prop_assert!(party.raw.len() < 4096 && party.name.unwrap_or_default().len() < 4096);
    }
}
