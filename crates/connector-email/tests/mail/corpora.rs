//! Collections of other people's mails, where they are at hand: `FRONTDESK_CORPORA` names the folder that
//! holds `mail/`. Every mail is read, and compared with what other programs make of it. Each difference
//! stands in `fixtures/differences.tsv` with its reason; one that is not there, or no longer one, fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use connector_email::{html, quote};
use contact::Email;
use contact::email::{AutomaticKind, Fate};
use serde_json::Value;

use crate::{check, email, files, fixtures, read, try_read};

fn corpora() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the collections lie beside some checkouts only")]
    let root = std::env::var("FRONTDESK_CORPORA").ok().filter(|root| !root.is_empty());
    if root.is_none() {
        eprintln!("skipped: FRONTDESK_CORPORA is not set, so no collection of mails was read");
    }
    root.map(|root| Path::new(&root).join("mail"))
}

#[test]
fn every_mail_is_read() {
    let Some(root) = corpora() else { return };
    let mut count = 0;
    for path in files(&root) {
        let raw = fs::read(&path).unwrap();
        let name = path.display().to_string();
        if let Ok((event, attachments)) = try_read(&raw) {
            check(&name, &event, &attachments);
            count += 1;
        } else {
            assert!(raw.trim_ascii().is_empty(), "{name} is no empty file");
        }
    }
    assert!(count > 500, "only {count} mails were found");
}

#[test]
fn every_difference_has_its_reason() {
    let Some(root) = corpora() else { return };
    let mut found = Differences::default();
    zammad(&root, &mut found);
    sisimai(&root, &mut found);
    flufl(&root, &mut found);
    talon(&root, &mut found);
    email_reply_parser(&root, &mut found);
    chatwoot(&root, &mut found);
    eprintln!("compared {} values, {} differ", found.compared, found.found.len());
    assert!(found.compared > 1000, "only {} values were compared", found.compared);

    let listed = fs::read_to_string(fixtures().join("differences.tsv")).unwrap();
    let listed: BTreeSet<(String, String)> = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let mut cells = line.splitn(3, '\t');
            let (file, field, reason) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
            assert!(reason.len() > 10, "{file} {field} has no reason");
            (file.to_owned(), field.to_owned())
        })
        .collect();
    let new: Vec<_> = found.found.iter().filter(|(key, _)| !listed.contains(*key)).collect();
    let gone: Vec<_> = listed.iter().filter(|key| !found.found.contains_key(*key)).collect();
    let shown: String =
        new.iter().map(|((file, field), what)| format!("{file} | {field} | {what}\n")).collect();
    assert!(new.is_empty(), "not listed in differences.tsv:\n{shown}");
    assert!(gone.is_empty(), "listed in differences.tsv, but no difference: {gone:?}");
}

#[derive(Default)]
struct Differences {
    compared: usize,
    found: BTreeMap<(String, String), String>,
}

impl Differences {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, file: &str, field: &str, ours: T, theirs: T) {
        self.compared += 1;
        if ours != theirs {
            let shown: String = format!("ours {ours:?}, theirs {theirs:?}").chars().take(400).collect();
            self.found.insert((file.to_owned(), field.to_owned()), shown);
        }
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn whole(mail: &Email) -> String {
    let parts = [Some(mail.text.as_str()), mail.quoted.as_deref(), mail.signature.as_deref()];
    let mut words: Vec<_> = parts.into_iter().flatten().flat_map(str::split_whitespace).collect();
    // The pieces are in another order; which words there are is what is compared.
    words.sort_unstable();
    words.join(" ")
}

fn sorted(text: &str) -> String {
    let mut words: Vec<_> = text.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

fn zammad(root: &Path, found: &mut Differences) {
    for path in files(&root.join("zammad")) {
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let name = format!("zammad/{}", path.file_stem().unwrap().to_string_lossy());
        let expected = json(&path);
        let (event, attachments) = read(fs::read(path.with_extension("box")).unwrap());
        let mail = email(&event);
        let from = event.from.clone();
        if let Some(theirs) = expected["from_email"].as_str() {
            let ours =
                from.as_ref().map(|from| from.value.clone().unwrap_or_else(|| from.raw.to_lowercase()));
            found.same(&name, "from_email", ours.unwrap_or_default(), theirs.to_lowercase());
        }
        if let Some(theirs) = expected["from_display_name"].as_str() {
            let ours = from.as_ref().and_then(|from| from.name.clone()).unwrap_or_default();
            found.same(&name, "from_display_name", words(&ours), words(theirs));
        }
        if let Some(theirs) = expected["subject"].as_str() {
            found.same(&name, "subject", mail.subject.clone(), words(theirs));
        }
        if let (Some(theirs), Some(kind)) = (expected["body"].as_str(), expected["content_type"].as_str()) {
            let theirs = if kind == "text/html" { html::read(theirs).text } else { theirs.to_owned() };
            found.same(&name, "body", whole(mail), sorted(&theirs));
        }
        if let Some(list) = expected["attachments"].as_array() {
            let theirs: Vec<_> = list
                .iter()
                .filter(|one| one["preferences"]["original-format"] != Value::Bool(true))
                .map(|one| one["filename"].as_str().unwrap_or_default().to_owned())
                .collect();
            let ours: Vec<_> =
                attachments.iter().map(|one| one.reference.name.clone().unwrap_or_default()).collect();
            found.same(&name, "attachments", ours, theirs);
            for one in list {
                let Some(data) = one["data"].as_str() else { continue };
                if let Some(ours) =
                    attachments.iter().find(|ours| ours.reference.name.as_deref() == one["filename"].as_str())
                {
                    let field = format!("attachment {}", one["filename"].as_str().unwrap_or_default());
                    found.same(&name, &field, words(&String::from_utf8_lossy(&ours.bytes)), words(data));
                }
            }
        }
    }
}

/// What kind of mail it is, in the words both can say.
fn class(mail: &Email) -> &'static str {
    match mail.automatic.as_ref().map(|found| found.kind) {
        Some(AutomaticKind::Bounce) => "bounce",
        Some(AutomaticKind::Complaint) => "complaint",
        Some(AutomaticKind::Delivered) => "delivered",
        Some(AutomaticKind::AutoReply) => "vacation",
        _ => "none",
    }
}

fn sisimai(root: &Path, found: &mut Differences) {
    let folder = root.join("sisimai");
    let lines = fs::read_to_string(folder.join("expected.sisimai-4.25.15.jsonl")).unwrap();
    for line in lines.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let file = expected["file"].as_str().unwrap();
        let path = folder.join(file);
        // A mailbox of several mails is not a mail.
        if file.starts_with("mailbox/") || !path.is_file() {
            continue;
        }
        let name = format!("sisimai/{file}");
        let Ok((event, _)) = try_read(&fs::read(&path).unwrap()) else { continue };
        let mail = email(&event);
        let bounces = expected["bounces"].as_array().unwrap();
        let theirs = match bounces.first().and_then(|one| one["reason"].as_str()) {
            None => "none",
            Some("feedback") => "complaint",
            Some("vacation") => "vacation",
            Some("delivered") => "delivered",
            Some(_) => "bounce",
        };
        found.same(&name, "class", class(mail), theirs);
        if theirs != "bounce" || class(mail) != "bounce" {
            continue;
        }
        let report = mail.report.clone().unwrap_or_default();
        let addresses = |value: &Value| value["recipient"].as_str().unwrap_or_default().to_lowercase();
        let told: BTreeSet<_> = bounces.iter().map(addresses).collect();
        let ours: BTreeSet<_> = report.recipients.iter().map(|one| one.address.to_lowercase()).collect();
        let agree = ours == told;
        found.same(&name, "recipients", ours, told);
        let status = bounces.first().and_then(|one| one["deliverystatus"].as_str()).unwrap_or_default();
        if agree && bounces.len() == 1 && !status.is_empty() {
            let ours = report.recipients.first().is_some_and(|one| one.fate != Fate::Failed);
            found.same(&name, "temporary", ours, status.starts_with('4'));
        }
        if let Some(id) =
            bounces.first().and_then(|one| one["messageid"].as_str()).filter(|id| !id.is_empty())
        {
            found.same(&name, "message_id", report.original_message_id.unwrap_or_default(), id.to_owned());
        }
    }
}

fn flufl(root: &Path, found: &mut Differences) {
    let folder = root.join("flufl-bounce");
    let expected = json(&folder.join("expected.flufl-6.0.0.json"));
    for (file, told) in expected.as_object().unwrap() {
        let path = folder.join(file);
        if !path.is_file() {
            continue;
        }
        let (event, _) = read(fs::read(path).unwrap());
        let mail = email(&event);
        let report = mail.report.clone().unwrap_or_default();
        let list = |name: &str| -> BTreeSet<String> {
            told[name].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_lowercase()).collect()
        };
        let ours = |fates: &[Fate]| -> BTreeSet<String> {
            report
                .recipients
                .iter()
                .filter(|one| fates.contains(&one.fate))
                .map(|one| one.address.to_lowercase())
                .collect()
        };
        let name = format!("flufl-bounce/{file}");
        let all = |mut one: BTreeSet<String>, two: BTreeSet<String>| {
            one.extend(two);
            one
        };
        let (permanent, temporary) = (list("permanent"), list("temporary"));
        let everyone = ours(&[Fate::Failed, Fate::FailedForNow, Fate::Delayed]);
        let agree = everyone == all(permanent.clone(), temporary.clone());
        found.same(&name, "recipients", everyone, all(permanent.clone(), temporary));
        if agree {
            found.same(&name, "permanent", ours(&[Fate::Failed]), permanent);
        }
    }
}

fn talon(root: &Path, found: &mut Differences) {
    let folder = root.join("talon");
    for path in files(&folder.join("standard_replies")) {
        let name = format!("talon/standard_replies/{}", path.file_name().unwrap().to_string_lossy());
        let (event, _) = read(fs::read(&path).unwrap());
        found.same(&name, "text", email(&event).text.clone(), "Hello".to_owned());
    }
    for path in files(&folder.join("html_replies")) {
        let name = format!("talon/html_replies/{}", path.file_name().unwrap().to_string_lossy());
        let page = html::read(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        let new: String = quote::split(&page.text, false).text.split_whitespace().collect();
        found.same(&name, "text", new, "Hi.Iamfine.Thanks,Alex".to_owned());
    }
    for path in files(&folder.join("signature/emails/stripped")) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = file.strip_suffix("_body") else { continue };
        let text = connector_email::text::clean_text(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        let signature = fs::read(path.with_file_name(format!("{stem}_signature"))).unwrap_or_default();
        let ours = quote::split(&text, false).signature.unwrap_or_default();
        found.same(
            &format!("talon/signature/{stem}"),
            "signature",
            words(&ours),
            words(&String::from_utf8_lossy(&signature)),
        );
    }
}

fn email_reply_parser(root: &Path, found: &mut Differences) {
    let folder = root.join("email_reply_parser");
    for (file, told) in json(&folder.join("expected.json")).as_object().unwrap() {
        if file.starts_with('_') {
            continue;
        }
        let name = format!("email_reply_parser/{file}");
        let text = connector_email::text::clean_text(&String::from_utf8_lossy(
            &fs::read(folder.join(file)).unwrap(),
        ));
        let parts = quote::split(&text, false);
        if let Some(reply) = told["reply"].as_str() {
            found.same(&name, "reply", parts.text.trim().to_owned(), reply.to_owned());
        }
        if let Some(hidden) = told["hidden"].as_array() {
            // We tell three pieces, they a list: something is hidden where something is kept apart.
            let any = hidden.contains(&Value::Bool(true));
            found.same(&name, "hides", parts.quoted.is_some() || parts.signature.is_some(), any);
        }
        if let Some(start) = told["first_fragment_matches"].as_str() {
            found.same(&name, "first", parts.text.starts_with(start.trim_start_matches('^')), true);
        }
        if let Some(start) = told["second_fragment_matches"].as_str() {
            let quoted = parts.quoted.unwrap_or_default();
            found.same(&name, "second", quoted.starts_with(start.trim_start_matches('^')), true);
        }
    }
}

fn chatwoot(root: &Path, found: &mut Differences) {
    let kind = |file: &str| {
        let (event, _) = read(fs::read(root.join("chatwoot").join(file)).unwrap());
        class(email(&event))
    };
    found.same("chatwoot/auto_reply.eml", "class", kind("auto_reply.eml"), "vacation");
    found.same("chatwoot/bounced_gmail.eml", "class", kind("bounced_gmail.eml"), "bounce");
}
