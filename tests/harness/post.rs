//! The mail servers beside the program: one it reads from, one it sends by.

use std::collections::BTreeMap;

use connector_email::testing::{Dovecot, Postfix};

use crate::app::App;
use crate::setup::Setup;
use crate::wait::{PATIENCE, eventually};

/// Dovecot and Postfix, each the real one.
pub struct Post {
    pub dovecot: Dovecot,
    pub postfix: Postfix,
}

/// Whose mailbox it is.
const USER: &str = "support";
/// Which of their mailboxes; INBOX could not be deleted.
const FOLDER: &str = "Support";

impl Post {
    /// Both; `None`, said aloud, where one is not installed and need not be.
    pub fn start() -> Option<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        Some(Self { dovecot: Dovecot::start_or_skip()?, postfix: Postfix::start_or_skip()? })
    }

    /// The program with a mailbox that is read from the one and answered by the other.
    pub fn serves(&self, setup: Setup) -> Setup {
        // There has to be one before anybody asks for it; another program may have made it.
        self.dovecot.admin(&["mailbox", "create", "-u", USER, FOLDER]).ok();
        let ca = setup.folder().join("ca.pem");
        let dovecot =
            std::fs::read_to_string(self.dovecot.ca_file().expect("no authority")).expect("no authority");
        std::fs::write(&ca, dovecot + self.postfix.ca()).expect("could not write the authorities");
        let user = Postfix::USER.replace('@', "%40");
        setup
            .mailbox()
            .with("email.support.address", Postfix::USER)
            .with("email.support.imap", self.dovecot.imaps(USER, FOLDER))
            .with("email.support.password", self.dovecot.password())
            .with("email.support.smtp", format!("smtps://{user}@localhost:{}", self.postfix.tls_port()))
            .with("email.support.smtp_password", Postfix::PASSWORD)
            .with("email.support.ca_file", ca.display())
            .with("email.support.from", "all")
            .with("email.support.poll_s", 1)
    }

    /// Waits until what comes from now on comes live, and is no part of what was there before.
    pub async fn is_watched(&self, app: &App) {
        eventually("the mailbox was looked into", PATIENCE, async || {
            app.metric("frontdesk_mailbox_behind_mails", "email/support").await.ok_or("not yet")
        })
        .await;
    }

    /// Puts a mail into the mailbox.
    pub fn deliver(&self, mail: &str) {
        self.dovecot.deliver(USER, FOLDER, mail.as_bytes(), None).expect("Dovecot did not take it");
    }

    /// Deletes the mailbox and makes it again: its mails are gone, and new ones have numbers of their own.
    pub fn made_anew(&self) {
        for word in ["delete", "create"] {
            self.dovecot.admin(&["mailbox", word, "-u", USER, FOLDER]).expect("Dovecot did not do it");
        }
    }

    /// How often each answer of ours was delivered, by its id.
    pub fn answers(&self) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for mail in self.postfix.delivered().expect("the maildir cannot be read") {
            let mail = String::from_utf8_lossy(&mail).into_owned();
            if let Some(id) = header(&mail, "X-Frontdesk-Reply") {
                *answers.entry(id.to_owned()).or_default() += 1;
            }
        }
        answers
    }
}

/// A field of a mail's head.
pub fn header<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    let head = mail.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

/// A plain mail.
pub fn mail(from: &str, id: &str, subject: &str, more: &str) -> String {
    format!(
        "From: {from}\r\nTo: help@desk.example\r\nSubject: {subject}\r\nMessage-ID: <{id}@client.example>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n{more}Content-Type: text/plain; charset=utf-8\r\n\r\n\
         Dobryi den\r\n"
    )
}
