//! Our own mails: what Ukrainian and Russian programs send. Each becomes what `expected.json` says, and
//! the event in the snapshot beside it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::{check, email, fixtures, read};

#[test]
fn every_mail_says_what_is_expected_of_it() {
    let folder = fixtures().join("made");
    let expected: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 18);
    for (name, expected) in expected {
        let raw = fs::read(folder.join(&name)).unwrap();
        let (event, attachments) = read(&raw);
        check(&name, &event, &attachments);
        let mail = email(&event);
        for (field, value) in expected.as_object().unwrap() {
            let text = value.as_str().unwrap_or_default();
            match field.as_str() {
                "from_email" => assert_eq!(event.from.as_ref().unwrap().raw, text, "{name}"),
                "from_name" => {
                    assert_eq!(
                        event.from.as_ref().unwrap().name.as_deref().unwrap_or_default(),
                        text,
                        "{name}"
                    );
                }
                "subject" => assert_eq!(mail.subject, text, "{name}"),
                "subject_either" => {
                    assert!(
                        value.as_array().unwrap().contains(&Value::from(mail.subject.as_str())),
                        "{name}: {}",
                        mail.subject
                    );
                }
                // The whole text: here it is in up to three pieces, and the blank lines between are gone.
                "text" => assert_eq!(words(&whole(mail)), words(text), "{name}"),
                "text_either" => {
                    assert_eq!(mail.text, value.get(0).unwrap().as_str().unwrap().trim_end(), "{name}")
                }
                "text_from_html" => assert_eq!(words(&mail.text), words(text), "{name}"),
                "html_contains" => assert!(mail.html.as_deref().unwrap().contains(text), "{name}"),
                "reply" => assert_eq!(mail.text, text, "{name}"),
                "in_reply_to" => assert_eq!(mail.in_reply_to.as_deref(), Some(text), "{name}"),
                "reply_to" => {
                    assert_eq!(mail.reply_to.first().unwrap().value.as_deref(), Some(text), "{name}")
                }
                "auto" => assert_eq!(
                    mail.automatic.is_some(),
                    value.as_bool().unwrap(),
                    "{name}: {:?}",
                    mail.automatic
                ),
                "auto_reason" => {
                    let reason = mail.automatic.as_ref().unwrap().reason.to_lowercase();
                    assert!(
                        text.to_lowercase()
                            .split([' ', '/'])
                            .next()
                            .is_some_and(|word| reason.contains(word)),
                        "{name}: {reason}"
                    );
                }
                "dsn" => {
                    let report = mail.report.as_ref().unwrap();
                    let one = report.recipients.first().unwrap();
                    assert_eq!(one.address, value["recipient"].as_str().unwrap(), "{name}");
                    assert_eq!(one.status.as_deref(), value["status"].as_str(), "{name}");
                    assert_eq!(
                        report.original_message_id.as_deref(),
                        value["original_message_id"].as_str(),
                        "{name}"
                    );
                }
                "attachments" => {
                    let told: Vec<_> = value
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|one| {
                            (
                                one["name"].as_str(),
                                one["type"].as_str().unwrap(),
                                one["inline"].as_bool().unwrap_or(false),
                            )
                        })
                        .collect();
                    let found: Vec<_> = mail
                        .attachments
                        .iter()
                        .map(|one| (one.name.as_deref(), one.media_type.as_str(), one.inline))
                        .collect();
                    assert_eq!(found, told, "{name}");
                }
                "forwarded_from" => assert_eq!(mail.forwarded_from.as_deref(), Some(text), "{name}"),
                "forward" | "why" => {}
                other => panic!("{name}: nobody checks `{other}`"),
            }
        }
        let shown: Value = serde_json::from_slice(&event.to_json()).unwrap();
        insta::with_settings!({
            snapshot_path => "../../fixtures/made",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_json_snapshot!(name.trim_end_matches(".eml"), shown);
        });
    }
}

fn whole(mail: &contact::Email) -> String {
    [Some(mail.text.as_str()), mail.quoted.as_deref(), mail.signature.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
