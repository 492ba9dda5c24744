//! Each sample verifies by the signature it came with, and becomes the event in the snapshot beside it.

use connector_phone::reverify;
use contact::suspect::MESSAGE_HTTP;
use contact::{Event, RawBytes, Suspect};
use serde_json::Value;

use crate::{lines, now, public_url, samples, source};

#[test]
fn every_sample_becomes_its_event() {
    let samples = samples();
    assert_eq!(samples.len(), 10);
    for (name, message) in samples {
        let message = RawBytes::new(MESSAGE_HTTP, message);
        let suspect = Suspect::new(source("main-line"), now(), None, String::new(), &message);
        let events = reverify(&lines(), &suspect, &public_url()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let shown: Vec<Value> = events
            .iter()
            .map(|(event, raw)| {
                let json = event.to_json();
                assert_eq!(&Event::from_json(&json).unwrap(), event, "{name}: read back");
                assert!(!raw.bytes.is_empty(), "{name}");
                serde_json::from_slice(&json).unwrap()
            })
            .collect();
        insta::with_settings!({
            snapshot_path => "../../fixtures/twilio",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_json_snapshot!(name, shown);
        });
    }
}
