use super::*;
use proptest::prelude::*;

fn new(text: &str) -> String {
    split(text, false).text
}

#[test]
fn quotes_of_many_programs_and_languages() {
    for quote in [
        "On Mon, 3 Mar 2025 at 11:00, Support <s@d.example> wrote:\n> Hi",
        "On Mon, 3 Mar 2025 at 11:00, Support\n<s@d.example>\nwrote:\n\n> Hi\n> there",
        "пн, 3 бер. 2025 р. о 11:00 Підтримка <s@d.example> пише:\n\n> Ні\n>",
        "3 марта 2025 г., в 11:00, Поддержка <s@d.example> написал(а):\n> a",
        "03.03.2025, 11:00, \"П\" <s@d.example>:\n> a",
        ">Понедельник, 3 марта 2025, 11:00 +03:00 от П <s@d.example>:\n>\n>a",
        "Am 03.03.2025 um 11:00 schrieb Support:\n> a",
        "Le lun. 3 mars 2025 à 11:00, S <s@d.example> a écrit :\n> a",
        "-----Original Message-----\nFrom: S\nHello",
        "________________________________\nВід: П <s@d.example>\nНадіслано: понеділок\nКому: x\nТема: y\n\nтекст",
        "Von: S <s@d.example>\nGesendet: Montag\nAn: x\nBetreff: y\n\ntext",
        "*From:* S\n*Sent:* Monday\n*To:* x\n*Subject:* y\n\ntext",
        "-----Исходное сообщение-----\nтекст",
        "02.04.2012 14:20 пользователь \"b@x.org\" <\nb@x.org> написал:\n\n> Hi",
        "On 3 Mar 2025, S <s@d.example> wrote:\n\nno marks at all",
        "> bare\n> quote",
    ] {
        let parts = split(&format!("Дякую!\nOlena\n\n{quote}"), false);
        assert_eq!(parts.text, "Дякую!\nOlena", "{quote}");
        assert_eq!(parts.quoted.as_deref(), Some(quote), "{quote}");
    }
}

#[test]
fn signatures_are_told() {
    let parts = split("Hi\n\n> old\n\n--\nIvan\n+380", false);
    assert_eq!(
        (parts.text.as_str(), parts.quoted.as_deref(), parts.signature.as_deref()),
        ("Hi", Some("> old"), Some("--\nIvan\n+380"))
    );
    let parts = split("Hi\n-- \nIvan\n\nOn 1.1.2025 S wrote:\n> old\n\nSent from my iPhone", false);
    assert_eq!(parts.text, "Hi");
    assert_eq!(parts.signature.as_deref(), Some("-- \nIvan\nSent from my iPhone"));
    let footer =
        format!("{}\nusers mailing list\nusers@lists.example\nhttps://lists.example/", "_".repeat(47));
    let parts = split(&format!("yes\n\n> no?\n\n{footer}"), false);
    assert_eq!(
        (parts.text.as_str(), parts.quoted.as_deref(), parts.signature.as_deref()),
        ("yes", Some("> no?"), Some(footer.as_str()))
    );
    for text in
        [footer.replace("mailing list", "words"), footer.replace("____", "_"), format!("{footer}\na\nb")]
    {
        assert_eq!(split(&format!("yes\n\n{text}"), false).signature, None, "{text}");
    }
    assert_eq!(new("Hi\n\nSent from my desk, is much easier."), "Hi\n\nSent from my desk, is much easier.");
    assert_eq!(new("Надіслано з iPhone"), "Надіслано з iPhone", "something is left");
}

#[test]
fn answers_between_quotes_keep_them() {
    let inline = "> one?\nyes\n> two?\nno";
    assert_eq!(new(inline), inline);
    assert_eq!(new(&format!("{inline}\n> three")), inline);
    let below = split("On 1.1.2025 S wrote:\n> one?\n\nyes", false);
    assert_eq!((below.text.as_str(), below.quoted.as_deref()), ("yes", Some("On 1.1.2025 S wrote:\n> one?")));
}

#[test]
fn ordinary_text_is_new() {
    for text in [
        "From: what I know, it works.\nTo: be sure, ask.",
        "He wrote:\nnothing",
        "On Monday I wrote: yes",
        "a\n---\nb\nc".replace("---", "-----").as_str(),
        "Дата: завтра\nТема: оплата",
    ] {
        assert_eq!(new(text), text);
    }
}

#[test]
fn a_forwarding_names_its_author() {
    let parts = split(
        "See below.\n\n-------- Forwarded Message --------\nSubject: x\nFrom: Anna <Anna@third.example>\n\nhelp",
        false,
    );
    assert_eq!(
        (parts.text.as_str(), parts.forwarded_from.as_deref()),
        ("See below.", Some("anna@third.example"))
    );
    let outlook = "FYI\n\nFrom: A <a@third.example>\nSent: x\nTo: y\n\nhelp";
    assert_eq!(split(outlook, true).forwarded_from.as_deref(), Some("a@third.example"));
    assert_eq!(split(outlook, false).forwarded_from, None);
    assert!(is_forwarding("FW: x") && !is_forwarding("forward"));
}

proptest! {
    #[test]
    fn no_line_is_lost(lines in proptest::collection::vec(
        prop_oneof![
            Just("> q"), Just("On 1.1.2025 S <s@x.ua> wrote:"), Just("--"), Just("-- "), Just(""), Just("text"), Just("From: a"), Just("To: b"), Just("Subject: c"),
            Just("-----Original Message-----"), Just("Sent from my iPhone"), Just("________"), Just("пише:"), Just("03.03.2025 <a@x.ua>:"), Just(">"),
        ], 0..25)) {
        let text = lines.join("\n");
        let parts = split(&text, true);
        let count = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
        let kept = count(&parts.text) + parts.quoted.as_deref().map_or(0, count) + parts.signature.as_deref().map_or(0, count);
        prop_assert_eq!(kept, count(&text));
        prop_assert!(!parts.text.is_empty() || count(&text) == 0);
    }

    #[test]
    fn nothing_fails(text in "\\PC{0,200}") {
        split(&text, false);
        first_address(&text);
    }
}
