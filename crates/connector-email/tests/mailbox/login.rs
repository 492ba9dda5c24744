//! Who gets in, and who is not spoken to.

use std::time::Duration;

use connector::secret::Secret;
use connector_email::look;
use connector_email::testing::{Authority, Dovecot};

use crate::server;
use crate::stage::{Stage, eventually, mail};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_not_tried_again_soon() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.password = Some(Secret::new("wrong"));
    });
    let sources = [(source.name().clone(), source.clone())].into();
    let task = connector_email::connect(&sources, &stage.doors()).unwrap().tasks.remove(0);
    let told = (task.run)().await.unwrap_err().to_string();
    assert!(told.contains("could not log in") && told.contains("Authentication failed"), "{told}");
    assert!(!told.contains("wrong"), "a password is never told: {told}");
    let again = tokio::time::timeout(Duration::from_secs(3), (task.run)()).await;
    assert!(again.is_err(), "half a minute of peace");
    let failed = || dovecot.log().unwrap().matches("auth failed").count();
    eventually("the server logs the session", || failed() > 0).await;
    assert_eq!(failed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_nobody_vouches_for_is_refused() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Authority::new().unwrap().pem()).unwrap();
    for url in [dovecot.imaps("anna", "INBOX"), dovecot.starttls("anna", "INBOX")] {
        for ca in [None, Some(other.clone())] {
            let source = stage.source(&url, &dovecot, |config| config.ca_file = ca);
            let told = stage.refused(&source).await;
            assert!(told.contains("TLS was refused: invalid peer certificate"), "{told}");
        }
    }
    assert!(!dovecot.log().unwrap().contains("Login:"), "no password was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_starttls_is_stripped_no_password_is_sent() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    for stripped in ["s1 BAD what\r\n", "s1 NO not here\r\n", "* OK wait\r\ns1 NO\r\n"] {
        let server = server::scripted(move |line| line.contains("STARTTLS").then(|| stripped.to_owned()));
        let url = server.url().replace("imap+insecure", "imap");
        let source = stage.source(&url, &dovecot, |_| {});
        let told = stage.refused(&source).await;
        assert!(told.contains("refuses STARTTLS"), "{told}");
        assert_eq!(server.count("LOGIN"), 0);
    }
    // What is sent in clear behind the answer is no part of what is protected.
    let server = server::scripted(|line| {
        line.contains("STARTTLS").then(|| "s1 OK begin\r\n* PREAUTH welcome\r\n".to_owned())
    });
    let source = stage.source(&server.url().replace("imap+insecure", "imap"), &dovecot, |_| {});
    let told = stage.refused(&source).await;
    assert!(told.contains("TLS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_learns_whether_a_mailbox_works() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let source = |user: &str, folder: &str, password: &str| {
        stage.source(&dovecot.imaps(user, folder), &dovecot, |config| {
            config.password = Some(Secret::new(password));
        })
    };
    assert_eq!(look(&source("anna", "INBOX", dovecot.password())).await, Ok(()));
    let told = look(&source("anna", "Nowhere", dovecot.password())).await.unwrap_err();
    assert!(told.contains("could not open the mailbox"), "{told}");
    let told = look(&source("anna", "INBOX", "wrong")).await.unwrap_err();
    assert!(told.contains("could not log in"), "{told}");
    assert!(stage.cursors.history().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_and_clear_text_on_this_machine_work() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    for url in [dovecot.starttls("anna", "INBOX"), dovecot.insecure("anna", "INBOX")] {
        let stage = Stage::new();
        let _running = stage.start(&stage.source(&url, &dovecot, |_| {}));
        stage.begun().await;
        dovecot.deliver("anna", "INBOX", &mail("one"), None).unwrap();
        stage.live.reaches(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_anew_at_every_login() {
    let Some(dovecot) = Dovecot::start_or_skip() else { return };
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, dovecot.token("anna", "2020-01-01T00:00:00Z".parse().unwrap())).unwrap();
    let source = stage.source(&dovecot.imaps("anna", "INBOX"), &dovecot, |config| {
        config.password = None;
        config.token_file = Some(file.clone());
    });
    let told = stage.refused(&source).await;
    assert!(told.contains("could not log in"), "{told}");
    std::fs::write(&file, dovecot.token("anna", "2100-01-01T00:00:00Z".parse().unwrap())).unwrap();
    let _running = stage.start(&source);
    stage.begun().await;
    dovecot.deliver("anna", "INBOX", &mail("one"), None).unwrap();
    stage.live.reaches(1).await;
}
