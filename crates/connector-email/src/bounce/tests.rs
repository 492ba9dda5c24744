use super::*;
use proptest::prelude::*;

fn read(raw: &str) -> Option<Found> {
    let tree = Tree::parse(raw.as_bytes());
    let text = tree.leaves().first().map(|part| part.text()).unwrap_or_default();
    let subject = tree.root.headers.text("subject").unwrap_or_default();
    let from = tree.root.headers.first("from").and_then(first_address);
    report(&tree, &subject, &text, from.as_deref())
}

const DSN: &str = "From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
    --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n\
    Final-Recipient: rfc822; Nobody@Client.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no\n\n\
    Final-Recipient: rfc822;full@client.example\nAction: failed\nStatus: 4.2.2 (full)\n\nFinal-Recipient: x\nAction: delayed\n\n\
    --b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <out-7@desk.example>\n--b--\n";

#[test]
fn a_standard_report_is_read_field_by_field() {
    let found = read(DSN).unwrap();
    assert_eq!(found.kind, AutomaticKind::Bounce);
    assert_eq!(found.report.original_message_id.as_deref(), Some("out-7@desk.example"));
    let fates: Vec<_> = found
        .report
        .recipients
        .iter()
        .map(|one| (one.address.as_str(), one.fate, one.status.as_deref()))
        .collect();
    assert_eq!(
        fates,
        [
            ("nobody@client.example", Fate::Failed, Some("5.1.1")),
            ("full@client.example", Fate::FailedForNow, Some("4.2.2")),
            ("x", Fate::Failed, None)
        ]
        .map(|(a, f, s)| if a == "x" { (a, Fate::Delayed, s) } else { (a, f, s) })
    );
    let delivered = read(&DSN.replace("failed", "delivered").replace("delayed", "relayed")).unwrap();
    assert_eq!(delivered.kind, AutomaticKind::Delivered);
}

#[test]
fn a_report_in_words_is_known_by_two_signs() {
    let qmail = "From: MAILER-DAEMON@x.example\nSubject: failure notice\n\nHi. This is the qmail-send program.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<nobody@client.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <out@desk.example>\nTo: nobody@client.example\n";
    let found = read(qmail).unwrap();
    let one = found.report.recipients.first().unwrap();
    assert_eq!(
        (one.address.as_str(), one.status.as_deref(), one.fate),
        ("nobody@client.example", Some("5.1.1"), Fate::Failed)
    );
    assert_eq!(found.report.original_message_id.as_deref(), Some("out@desk.example"));
    for person in [
        "From: olena@client.example\nSubject: Re: order\n\nI got \"user unknown\" from a@b.example, help!\n",
        "From: olena@client.example\nSubject: Fwd: Undelivered Mail\n\nWhat is it?\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\nuser unknown\n",
        "From: olena@client.example\nSubject: Mail delivery\n\nOrder 550 was not delivered, no such user they say.\nCall me: 067 555 01 42, other@client.example\n",
        "From: olena@client.example\nSubject: Mail delivery problem\n\nWhere is my parcel?\n",
    ] {
        assert_eq!(read(person), None, "{person}");
    }
}

#[test]
fn reports_in_words_are_understood_whoever_wrote_them() {
    for (raw, address, fate) in [
        // The name of no person.
        (
            "From: E500_SMTP_Mail_Service@x.example\nSubject: Returned Mail - Error During Delivery\n\n\
             ------ Failed Recipients ------\n\n<nobody@client.example>: mailbox unavailable. [SMTP Error Code 550]\n",
            "nobody@client.example",
            Fate::Failed,
        ),
        (
            "From: <\"System Administrator\"@x.example>\nSubject: Delivery Failure\n\n\
             Could not deliver message to the following recipient(s):\n\nFailed Recipient: nobody@client.example\n\
             Reason: Remote host said: 550 unknown user <nobody@client.example>\n",
            "nobody@client.example",
            Fate::Failed,
        ),
        (
            "From: AntiVirus_for_SMTP_Gateways@x.example\nSubject: Delivery failure notification\n\n\
             Your message could not be delivered to the following recipients:\n\nnobody@client.example\n\n\
             Delivery attempts will continue to be made for 5 day(s).\n",
            "nobody@client.example",
            Fate::Delayed,
        ),
        // The sign of the copy on the line of the address.
        (
            "From: MAILER-DAEMON@x.example\n\nI'm afraid I wasn't able to deliver the following message. \
             This is a permanent error. To: nobody@client.example ---Below this line is a copy of the message.\n\
             To: other@client.example\n",
            "nobody@client.example",
            Fate::Failed,
        ),
        // A name that looks like an address.
        (
            "From: mailer-daemon@x.example\nSubject: Mail failure - malformed recipient address\n\n\
             A message could not be delivered:\n\n  other@client.example <nobody@client.example>: malformed address\n",
            "nobody@client.example",
            Fate::Failed,
        ),
        (
            "From: mailer-daemon@x.example\nX-Failed-Recipients: nobody@client.example\n\n\
             all hosts have been failing for a long time and were last tried after this message arrived\n",
            "nobody@client.example",
            Fate::FailedForNow,
        ),
        // Delivered to a file in the end, which is nobody's address.
        (
            "From: mailer-daemon@x.example\nX-Failed-Recipients: nobody@client.example\n\
             Content-Type: multipart/report; boundary=b\n\n--b\n\nsave to /mail/nobody\n--b\n\
             Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822;/mail/nobody\nAction: failed\nStatus: 5.0.0\n--b--\n",
            "nobody@client.example",
            Fate::Failed,
        ),
    ] {
        let found = read(raw).unwrap_or_else(|| panic!("no report: {raw}"));
        let told: Vec<_> =
            found.report.recipients.iter().map(|one| (one.address.as_str(), one.fate)).collect();
        assert_eq!(told, [(address, fate)], "{raw}");
    }
    // A person may administer a system, too.
    let person = "From: System Administrator <olena@client.example>\nSubject: Mail delivery\n\nOne could not be delivered to a@b.example.\n";
    assert_eq!(read(person), None);
}

#[test]
fn the_id_is_that_of_our_mail_and_not_of_a_report_within_the_report() {
    let report = "From: MAILER-DAEMON@a.example\nSubject: Undelivered Mail Returned to Sender\n\n\
        could not be delivered\n---\nReturn-Path: <>\nFrom: MAILER-DAEMON@b.example (Mail Delivery System)\n\
        Message-Id: <report@b.example>\n\n<nobody@client.example>: no such user\n";
    let id = |raw: &str| read(raw).unwrap().report.original_message_id;
    let copy = "\nReturn-Path: <help@desk.example>\nMessage-Id:\n <ours@desk.example>\nFrom: help@desk.example\n\nHello\n";
    assert_eq!(id(&format!("{report}{copy}")).as_deref(), Some("ours@desk.example"));
    assert_eq!(id(report).as_deref(), Some("report@b.example"), "where there is no other");
}

#[test]
fn receipts_and_complaints_are_told_apart() {
    let other = |kind: &str, body: &str| {
        read(&format!("From: a@b.example\nContent-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/{kind}\n\n{body}\n--b--")).unwrap()
    };
    let receipt = other(
        "disposition-notification",
        "Original-Message-ID: <o@d>\nDisposition: manual-action/MDN-sent-manually; displayed",
    );
    assert_eq!(
        (receipt.kind, receipt.report.original_message_id.as_deref()),
        (AutomaticKind::Receipt, Some("o@d"))
    );
    let complaint = other("feedback-report", "Feedback-Type: abuse\nOriginal-Rcpt-To: <a@b.example>");
    assert_eq!((complaint.kind, complaint.report.recipients.len()), (AutomaticKind::Complaint, 1));
}

proptest! {
    #[test]
    fn nothing_fails(lines in proptest::collection::vec(
        prop_oneof![Just("Final-Recipient: rfc822;"), Just("Final-Recipient: rfc822; a@b.example"), Just("Action: failed"), Just("Status: 5.."), Just(""), Just("<a@b.example>:"), Just("Message-ID:"), Just("550 5.1.1 no"), Just("\u{0}ж")], 0..20)) {
        let text = lines.join("\n");
        delivery_status(&text);
        if let Some(found) = read(&format!("From: mailer-daemon@x.example\nSubject: failure notice\n\n{text}")) {
            prop_assert!(found.report.recipients.len() <= MOST_RECIPIENTS);
        }
        read(&DSN.replace("Sorry.", &text));
    }
}
