//! The mails: 2 to 20 KiB of plain text, of text with a page beside it, or with a file; in two languages, a
//! third of them in a thread. And the Dovecot they lie in.

use std::fmt::Write as _;

use anyhow::Context as _;
use connector_email::testing::Dovecot;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::numbers::{Numbers, Random, id_of};

/// Our address.
const OURS: &str = "help@bench.example";
const SENDERS: u32 = 1_000;
/// Of a mail's text, in bytes: at least, and so many more at most.
const SIZES: (usize, usize) = (2_000, 16_000);
const FOLDER: &str = "INBOX";

const WORDS: [&str; 40] = [
    "order",
    "the",
    "invoice",
    "we",
    "have",
    "not",
    "received",
    "yet",
    "delivery",
    "on",
    "Monday",
    "please",
    "could",
    "you",
    "check",
    "with",
    "warehouse",
    "and",
    "let",
    "us",
    "know",
    "about",
    "return",
    "of",
    "замовлення",
    "доставка",
    "ми",
    "чекаємо",
    "на",
    "рахунок",
    "будь",
    "ласка",
    "перевірте",
    "дякую",
    "склад",
    "повернення",
    "завтра",
    "зранку",
    "телефон",
    "адреса",
];
/// Of them, the English ones.
const ENGLISH: usize = 24;

/// A mail server and who writes to it.
pub(crate) struct Post {
    dovecot: Dovecot,
    writer: Writer,
}

/// Writes mails; no two alike.
struct Writer {
    random: Random,
    next: u32,
    date: String,
}

impl Post {
    /// `None`, said aloud, where Dovecot is not installed.
    pub(crate) fn open() -> anyhow::Result<Option<Self>> {
        let Some(dovecot) = Dovecot::start_or_skip() else { return Ok(None) };
        #[expect(clippy::disallowed_methods, reason = "we play the mail system here, and it has a clock")]
        let now = jiff::Timestamp::now();
        let date = rfc2822::to_string(&now.to_zoned(TimeZone::UTC)).context("could not write the time")?;
        Ok(Some(Self { dovecot, writer: Writer { random: Random(0xd0_7ec0), next: 0, date } }))
    }

    /// The port on which it speaks IMAP in clear: TLS would cost both sides the same.
    pub(crate) fn port(&self) -> u16 {
        self.dovecot.plain_port()
    }

    /// A table of the configuration: the mailbox of this user, read through this port.
    pub(crate) fn table(&self, user: &str, port: u16) -> String {
        let password = self.dovecot.password();
        format!(
            "[email.bench]\naddress = \"{OURS}\"\nfrom = \"all\"\npassword = \"{password}\"\n\
             imap = \"imap+insecure://{user}@127.0.0.1:{port}/{FOLDER}\"\n"
        )
    }

    /// The same, as the hand-made pipeline reads it.
    pub(crate) fn lines(&self, user: &str, port: u16) -> String {
        format!("{port}\n{user}\n{}\n{FOLDER}", self.dovecot.password())
    }

    /// Puts so many new mails into the mailboxes of all of these users, the same into each.
    pub(crate) fn fill(&mut self, users: &[&str], count: usize) -> anyhow::Result<Numbers> {
        let first = self.writer.next;
        for _ in 0..count {
            let mail = self.writer.mail();
            for user in users {
                self.put(user, &mail)?;
            }
        }
        Ok(Numbers { first, count })
    }

    /// Puts one mail into a mailbox, where it is seen at once.
    pub(crate) fn put(&self, user: &str, mail: &str) -> anyhow::Result<()> {
        self.dovecot.deliver(user, FOLDER, mail.as_bytes(), None).context("Dovecot did not take a mail")
    }

    /// A new mail.
    pub(crate) fn mail(&mut self) -> String {
        self.writer.mail()
    }
}

impl Writer {
    fn mail(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        let sender = number % SENDERS;
        let mut mail = format!(
            "Received: from mx.client.example by mx.bench.example with ESMTPS; {date}\r\n\
             From: \"Client {sender}\" <client{sender}@shop{}.example>\r\nTo: Help <{OURS}>\r\n\
             Subject: {}\r\nMessage-ID: <{}@client.example>\r\nDate: {date}\r\nMIME-Version: 1.0\r\n",
            sender % 97,
            subject(number),
            message_id(number),
            date = self.date,
        );
        if let Some(before) = number.checked_sub(SENDERS).filter(|_| number.is_multiple_of(3)) {
            let before = message_id(before);
            mail.push_str(&format!(
                "In-Reply-To: <{before}@client.example>\r\nReferences: <{before}@client.example>\r\n"
            ));
        }
        let size = SIZES.0 + self.random.place(SIZES.1);
        match self.random.place(10) {
            0..5 => self.plain(&mut mail, size),
            5..9 => self.with_page(&mut mail, size),
            _ => self.with_file(&mut mail, size),
        }
        mail
    }

    fn plain(&mut self, mail: &mut String, size: usize) {
        mail.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        self.text(mail, size, "", "");
        mail.push_str("\r\nOn Mon, somebody wrote:\r\n");
        self.text(mail, 300, "> ", "");
        mail.push_str("\r\n-- \r\nClient of yours\r\n+380 44 123 45 67\r\n");
    }

    fn with_page(&mut self, mail: &mut String, size: usize) {
        mail.push_str("Content-Type: multipart/alternative; boundary=\"half\"\r\n\r\n--half\r\n");
        mail.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        self.text(mail, size / 3, "", "");
        mail.push_str("\r\n--half\r\nContent-Type: text/html; charset=utf-8\r\n");
        mail.push_str("Content-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n");
        self.text(mail, size * 2 / 3, "<p style=\"margin:0;font-family:Arial\">", "</p>");
        mail.push_str("</body></html>\r\n--half--\r\n");
    }

    fn with_file(&mut self, mail: &mut String, size: usize) {
        mail.push_str("Content-Type: multipart/mixed; boundary=\"whole\"\r\n\r\n--whole\r\n");
        mail.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        self.text(mail, size / 4, "", "");
        mail.push_str("\r\n--whole\r\nContent-Type: application/pdf; name=\"invoice.pdf\"\r\n");
        mail.push_str("Content-Disposition: attachment; filename=\"invoice.pdf\"\r\n");
        mail.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        for _ in 0..size * 3 / 4 / 66 {
            // Sixteen digits are good base64 of twelve bytes.
            for _ in 0..4 {
                mail.push_str(&format!("{:016x}", self.random.next()));
            }
            mail.push_str("\r\n");
        }
        mail.push_str("--whole--\r\n");
    }

    /// Lines of words in one language, about so many bytes.
    fn text(&mut self, mail: &mut String, size: usize, before: &str, after: &str) {
        let words = WORDS.split_at(ENGLISH);
        let words = if self.random.place(3) == 0 { words.1 } else { words.0 };
        let end = mail.len() + size;
        while mail.len() < end {
            mail.push_str(before);
            for _ in 0..10 {
                mail.push_str(words.get(self.random.place(words.len())).copied().unwrap_or_default());
                mail.push(' ');
            }
            mail.push_str(after);
            mail.push_str("\r\n");
        }
    }
}

/// Only of the number, so that a later mail can answer it.
fn message_id(number: u32) -> String {
    let mut random = Random(u64::from(number) + 0x1d);
    id_of(number, [random.next(), random.next()])
}

fn subject(number: u32) -> String {
    let mut random = Random(u64::from(number) + 0x5b);
    let mut subject = String::from("Order");
    for _ in 0..4 {
        // Writing to a string cannot fail.
        write!(subject, " {}", WORDS.get(random.place(ENGLISH)).copied().unwrap_or_default()).ok();
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::number_of;

    #[test]
    fn mails_are_of_every_kind_and_size_and_know_their_number() {
        let mut writer =
            Writer { random: Random(7), next: SENDERS, date: "Sat, 21 Nov 2026 10:00:00 +0000".into() };
        let mails: Vec<String> = (0..300).map(|_| writer.mail()).collect();
        for (place, mail) in mails.iter().enumerate() {
            assert!((2_000..24_000).contains(&mail.len()), "{} bytes", mail.len());
            let id = mail.split("\r\nMessage-ID: <").nth(1).unwrap();
            assert_eq!(number_of(id.as_bytes()), Some(SENDERS + place as u32));
        }
        for kind in ["text/plain", "alternative", "mixed"] {
            let begins = mails.iter().filter(|mail| {
                let first = mail.split("\r\nContent-Type: ").nth(1).unwrap();
                first.lines().next().unwrap().contains(kind)
            });
            assert!(begins.count() > 15, "{kind}");
        }
        let answers = mails.iter().filter(|mail| mail.contains("In-Reply-To")).count();
        assert!((90..=110).contains(&answers), "{answers}");
    }
}
