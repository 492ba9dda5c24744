//! Whatever is sent, there is an answer, and "got it" is said of nothing that was not kept.

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;

use crate::{Desk, FORM, PATH, Told, signed};

/// Statuses that a sender may see from an intake that takes everything.
const KNOWN: [u16; 6] = [200, 204, 400, 401, 404, 413];

fn deliver(request: Request<Body>) -> (Told, usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let desk = Desk::new();
        let told = desk.send(request).await;
        let (kept, held) = desk.kept();
        (told, kept, held)
    })
}

pub(crate) fn check(request: Request<Body>) -> Result<(), TestCaseError> {
    let (told, kept, held) = deliver(request);
    let status = told.status.as_u16();
    prop_assert!(KNOWN.contains(&status), "{told:?}");
    let expected = match status {
        200 | 204 | 400 => (1, 0),
        401 => (0, 1),
        _ => (0, 0),
    };
    prop_assert_eq!((kept, held), expected, "{:?}", told);
    Ok(())
}

fn field() -> impl Strategy<Value = (String, String)> {
    let names = prop::sample::select(vec![
        "CallSid",
        "ParentCallSid",
        "CallStatus",
        "Direction",
        "From",
        "To",
        "Caller",
        "CallerName",
        "CallDuration",
        "DialCallStatus",
        "DialCallDuration",
        "RecordingSid",
        "RecordingStatus",
        "RecordingSource",
        "RecordingDuration",
        "RecordingUrl",
        "RecordingStartTime",
        "TranscriptionSid",
        "TranscriptionText",
        "TranscriptionEvent",
        "Timestamp",
        "SequenceNumber",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "CA1",
            "ringing",
            "in-progress",
            "completed",
            "no-answer",
            "inbound",
            "outbound-api",
            "outbound-dial",
            "+442079460018",
            "0",
            "7",
            "-1",
            "RecordVerb",
            "client:mia",
            "sip:101@pbx",
            "+266696687",
            "",
            "Mon, 03 Mar 2025 10:33:01 +0000",
            "Mon, 03 Mar 9999 23:59:59 -2359",
        ])
        .prop_map(str::to_owned),
        ".{0,40}",
    ];
    (names.prop_map(str::to_owned), values)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_signed_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..300)) {
        check(signed(PATH, &body))?;
    }

    #[test]
    fn any_signed_form_is_answered(mut fields in prop::collection::vec(field(), 0..10), whole in any::<bool>()) {
        if whole {
            fields.insert(0, ("CallSid".into(), "CA1".into()));
            fields.insert(1, ("CallStatus".into(), "ringing".into()));
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        check(signed(PATH, body.as_bytes()))?;
    }

    #[test]
    fn any_unsigned_request_is_answered(
        path in "/hooks/phone/[a-z%0-9/-]{0,20}",
        query in "[ -~&&[^ \"#<>\\\\^`{|}]]{0,40}",
        signature in "[ -~]{0,40}",
        settings in proptest::option::of("[ -~]{0,40}"),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let request = Request::post(format!("{path}?{query}"))
            .header("content-type", FORM)
            .header("x-twilio-signature", signature);
        let request = match settings {
            Some(settings) => request.header("x-twilio-webhooks-signature-settings", settings),
            None => request,
        };
        if let Ok(request) = request.body(Body::from(body)) {
            let (told, kept, _) = deliver(request);
            prop_assert!([401, 404].contains(&told.status.as_u16()), "{told:?}");
            prop_assert_eq!(kept, 0);
        }
    }
}
