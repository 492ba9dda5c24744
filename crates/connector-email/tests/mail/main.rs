//! Whole mails through [`connector_email::normalise()`].
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod corpora;
mod fuzz;
mod hostile;
mod made;
mod meaning;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use connector_email::{Attachment, Mailbox, normalise};
use contact::{Content, Email, Event, Unreadable};
use jiff::Timestamp;

pub(crate) fn now() -> Timestamp {
    "2025-03-03T11:00:01.123456Z".parse().unwrap()
}

pub(crate) fn mailbox() -> Mailbox {
    Mailbox {
        source: "email/support".parse().unwrap(),
        addresses: BTreeSet::from(["support@desk.example".to_owned()]),
        forms: BTreeSet::new(),
        authserv_id: Some("mx.desk.example".into()),
    }
}

pub(crate) fn try_read(raw: &[u8]) -> Result<(Event, Vec<Attachment>), Unreadable> {
    normalise(&mailbox(), raw, "2025-03-03T11:00:00Z".parse().unwrap(), now())
}

pub(crate) fn read(raw: impl AsRef<[u8]>) -> (Event, Vec<Attachment>) {
    try_read(raw.as_ref()).unwrap()
}

pub(crate) fn email(event: &Event) -> &Email {
    match &event.content {
        Content::Email(email) => email,
        other => panic!("a mail became {other:?}"),
    }
}

/// What holds for every mail whatever is in it.
pub(crate) fn check(name: &str, event: &Event, attachments: &[Attachment]) {
    let json = event.to_json();
    assert!(json.len() <= 700 * 1024, "{name}: {} bytes", json.len());
    assert_eq!(&Event::from_json(&json).unwrap(), event, "{name}: read back");
    let text = String::from_utf8(json).unwrap();
    // A backslash of the mail's own is written as two.
    assert!(!text.replace("\\\\", "").contains("\\u00"), "{name}: a control character is left");
    assert!(event.occurred_at <= event.received_at, "{name}");
    let references: Vec<_> = attachments.iter().map(|one| &one.reference).collect();
    assert_eq!(references, email(event).attachments.iter().collect::<Vec<_>>(), "{name}");
    for one in attachments {
        assert_eq!(one.reference.size, one.bytes.len() as u64, "{name}");
        let file = one.reference.name.as_deref().unwrap_or("file");
        assert!(!file.is_empty() && !file.contains(['/', '\\', '\u{202e}']), "{name}: {file}");
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Every file below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
