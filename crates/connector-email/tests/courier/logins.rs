//! Proving who we are.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use connector::secret::{Given, Secret};
use connector::{Courier as _, Tried};
use connector_email::{Credential, MailCourier};
use contact::ReplyFate;

use crate::sink::{Does, Sink};
use crate::{AMPLE, order, smtp};

async fn tried(sink: &Sink, secret: Credential) -> Tried {
    let mut smtp = smtp(&format!("smtp+insecure://mia%40desk.example@127.0.0.1:{}", sink.port), AMPLE);
    smtp.credential = Some(secret);
    MailCourier::new(smtp).unwrap().deliver(&order("olena@client.example")).await
}

fn offering(words: &'static str) -> impl Fn(usize, &str) -> Option<Does> {
    move |_, at| (at == "EHLO").then_some(Does::Says(words))
}

fn password() -> Credential {
    Credential::Password(Given::Text(Secret::new("hush hush")))
}

fn token(text: &str) -> Credential {
    Credential::Token(Given::Text(Secret::new(text)))
}

#[tokio::test]
async fn plain_is_preferred() {
    let sink = Sink::clear(|_, _| None);
    assert_eq!(tried(&sink, password()).await.fate, ReplyFate::Sent);
    assert_eq!(sink.lines()[1], format!("AUTH PLAIN {}", BASE64.encode("\0mia@desk.example\0hush hush")));
}

#[tokio::test]
async fn a_look_logs_in_and_sends_nothing() {
    for (refused, said) in [(false, None), (true, Some("535 no"))] {
        let sink = Sink::clear(move |_, at| (refused && at == "AUTH").then_some(Does::Says("535 no\r\n")));
        let mut smtp = smtp(&format!("smtp+insecure://mia%40desk.example@127.0.0.1:{}", sink.port), AMPLE);
        smtp.credential = Some(password());
        let looked = MailCourier::new(smtp).unwrap().look().await;
        match said {
            None => assert_eq!(looked, Ok(())),
            Some(words) => assert!(looked.unwrap_err().contains(words)),
        }
        assert!(sink.lines().iter().all(|line| !line.starts_with("MAIL")), "{:?}", sink.lines());
    }
}

#[tokio::test]
async fn login_is_spoken_where_there_is_nothing_else() {
    let step = AtomicUsize::new(0);
    let sink = Sink::clear(move |_, at| match at {
        "EHLO" => Some(Does::Says("250-old\r\n250 AUTH LOGIN\r\n")),
        "AUTH" => Some(Does::Says("334 VXNlcm5hbWU6\r\n")),
        "more" if step.fetch_add(1, Ordering::SeqCst) == 0 => Some(Does::Says("334 UGFzc3dvcmQ6\r\n")),
        _ => None,
    });
    let tried = tried(&sink, password()).await;
    assert_eq!(tried.fate, ReplyFate::Sent, "{:?}", tried.detail);
    let lines = sink.lines();
    assert_eq!(lines[1], "AUTH LOGIN");
    assert_eq!(lines[2], BASE64.encode("mia@desk.example"));
    assert_eq!(lines[3], BASE64.encode("hush hush"));
}

#[tokio::test]
async fn a_token_is_spoken_as_xoauth2_and_its_refusal_is_heard_to_the_end() {
    let sink = Sink::clear(|_, _| None);
    assert_eq!(tried(&sink, token("ya29.x")).await.fate, ReplyFate::Sent);
    let said = "user=mia@desk.example\u{1}auth=Bearer ya29.x\u{1}\u{1}";
    assert_eq!(sink.lines()[1], format!("AUTH XOAUTH2 {}", BASE64.encode(said)));

    let sink = Sink::clear(|_, at| match at {
        "AUTH" => Some(Does::Says("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")),
        "more" => Some(Does::Says("535 5.7.8 Username and token not accepted\r\n")),
        _ => None,
    });
    let tried = tried(&sink, token("old")).await;
    assert_eq!(tried.fate, ReplyFate::Deferred);
    let detail = tried.detail.unwrap();
    assert_eq!(detail, "while logging in: 535 5.7.8 Username and token not accepted");
}

#[tokio::test]
async fn a_wrong_password_is_ours_to_mend_and_no_mail_is_announced() {
    let sink = Sink::clear(|_, at| (at == "AUTH").then_some(Does::Says("535 5.7.8 no\r\n")));
    let tried = tried(&sink, password()).await;
    assert_eq!(tried.fate, ReplyFate::Deferred);
    assert!(sink.lines().iter().all(|line| !line.starts_with("MAIL")));
}

#[tokio::test]
async fn a_server_that_takes_no_such_proof_is_told_none() {
    for (offers, secret) in [
        ("250-old\r\n250 SIZE 1\r\n", password()),
        ("250-old\r\n250 AUTH XOAUTH2 GSSAPI\r\n", password()),
        ("250-old\r\n250 AUTH PLAIN LOGIN\r\n", token("t")),
    ] {
        let sink = Sink::clear(offering(offers));
        let tried = tried(&sink, secret).await;
        assert_eq!(tried.fate, ReplyFate::Deferred, "{offers}");
        assert_eq!(sink.lines().len(), 1, "{offers}: {:?}", sink.lines());
    }
}

#[tokio::test]
async fn a_token_in_a_file_is_read_at_every_login() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let sink = Sink::clear(|_, at| (at == ".").then_some(Does::Says("451 again\r\n")));
    let mut smtp = smtp(&format!("smtp+insecure://mia@127.0.0.1:{}", sink.port), AMPLE);
    smtp.credential = Some(Credential::Token(Given::File(path.clone())));
    let courier = MailCourier::new(smtp).unwrap();
    let tried = courier.deliver(&order("olena@client.example")).await;
    assert_eq!(tried.fate, ReplyFate::Deferred);
    assert!(tried.detail.unwrap().contains("the file with the secret"));
    for token in ["first", "second"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        courier.deliver(&order("olena@client.example")).await;
        let said = format!("user=mia\u{1}auth=Bearer {token}\u{1}\u{1}");
        assert!(sink.lines().contains(&format!("AUTH XOAUTH2 {}", BASE64.encode(said))), "{token}");
    }
}
