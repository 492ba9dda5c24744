//! What is never said in clear, and to whom nothing is said at all.

use connector::secret::{Given, Secret};
use connector::{Courier as _, Tried};
use connector_email::testing::Authority;
use connector_email::{Credential, MailCourier, Smtp};
use contact::ReplyFate;

use crate::sink::{Does, Sink};
use crate::{AMPLE, SHORT, order, smtp};

fn with_secret(url: &str, ca: Option<&Authority>) -> Smtp {
    let mut smtp = smtp(url, AMPLE);
    smtp.credential = Some(Credential::Password(Given::Text(Secret::new("hush hush"))));
    smtp.ca = ca.map(|ca| ca.pem().as_bytes().to_vec());
    smtp
}

async fn tried(smtp: Smtp) -> Tried {
    MailCourier::new(smtp).unwrap().deliver(&order("olena@client.example")).await
}

async fn refused(smtp: Smtp, sink: &Sink, why: &str) {
    let tried = tried(smtp).await;
    let detail = tried.detail.unwrap();
    assert_eq!(tried.fate, ReplyFate::Deferred, "{detail}");
    assert!(detail.contains(why), "{detail}");
    let said = sink.lines();
    assert!(said.iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{said:?}");
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn both_kinds_of_tls_bring_a_mail_to_a_server_with_the_right_certificate() {
    let ca = Authority::new().unwrap();
    let identity = ca.identity(&["localhost"]).unwrap();
    for (scheme, sink) in [("smtps", Sink::tls(&identity)), ("smtp", Sink::starttls(&identity, |_, _| None))]
    {
        let tried = tried(with_secret(&format!("{scheme}://mia@localhost:{}", sink.port), Some(&ca))).await;
        assert_eq!(tried.fate, ReplyFate::Sent, "{scheme}: {:?}", tried.detail);
        let lines = sink.lines();
        let login = lines.iter().position(|line| line.starts_with("AUTH PLAIN ")).unwrap();
        let tls = lines.iter().position(|line| line == "STARTTLS");
        assert!(tls.is_none_or(|tls| tls < login), "{lines:?}");
        assert_eq!(tls.is_some(), scheme == "smtp");
    }
}

#[tokio::test]
async fn a_stripped_starttls_is_refused() {
    let sink = Sink::clear(|_, _| None);
    refused(with_secret(&format!("smtp://mia@localhost:{}", sink.port), None), &sink, "offers no STARTTLS")
        .await;
}

#[tokio::test]
async fn a_refused_starttls_is_refused() {
    let identity = Authority::new().unwrap().identity(&["localhost"]).unwrap();
    let sink = Sink::starttls(&identity, |_, at| {
        (at == "STARTTLS").then_some(Does::Says("454 4.7.0 TLS not available\r\n"))
    });
    let smtp = with_secret(&format!("smtp://mia@localhost:{}", sink.port), None);
    refused(smtp, &sink, "454 4.7.0 TLS not available").await;
}

#[tokio::test]
async fn what_is_slipped_in_before_tls_is_not_taken_for_the_server() {
    let ca = Authority::new().unwrap();
    let identity = ca.identity(&["localhost"]).unwrap();
    // In one piece with the answer: without care it would be read as the first answer over TLS.
    let sink = Sink::starttls(&identity, |_, at| {
        (at == "STARTTLS").then_some(Does::Says("220 go ahead\r\n250-sink\r\n250 AUTH PLAIN\r\n"))
    });
    let smtp = with_secret(&format!("smtp://mia@localhost:{}", sink.port), Some(&ca));
    refused(smtp, &sink, "answers what was not asked").await;
}

#[tokio::test]
async fn a_strangers_certificate_is_refused() {
    let (ca, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    for (identity, why) in [
        (other.identity(&["localhost"]), "invalid peer certificate"),
        (ca.identity(&["mx.evil.example"]), "not valid for name"),
    ] {
        let identity = identity.unwrap();
        for (scheme, sink) in
            [("smtps", Sink::tls(&identity)), ("smtp", Sink::starttls(&identity, |_, _| None))]
        {
            let smtp = with_secret(&format!("{scheme}://mia@localhost:{}", sink.port), Some(&ca));
            refused(smtp, &sink, why).await;
        }
    }
    // Nor do the public authorities know a private one.
    let sink = Sink::tls(&ca.identity(&["localhost"]).unwrap());
    refused(with_secret(&format!("smtps://mia@localhost:{}", sink.port), None), &sink, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_server_without_tls_hears_nothing_from_smtps() {
    let sink = Sink::clear(|_, _| None);
    let mut smtp = with_secret(&format!("smtps://mia@localhost:{}", sink.port), None);
    smtp.limits.attempt = SHORT;
    let tried = tried(smtp).await;
    assert_eq!(tried.fate, ReplyFate::Deferred);
    let said = sink.lines().concat();
    assert!(!said.contains("AUTH") && !said.contains("EHLO") && !said.contains("hush"), "{said}");
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    let part = |smtp: Smtp| MailCourier::new(smtp).err().map(|unfit| unfit.part);
    let plain = || smtp("smtps://localhost", AMPLE);
    assert_eq!(part(plain()), None);
    assert_eq!(part(with_secret("smtps://localhost", None)), Some("smtp"), "a secret of nobody");
    assert_eq!(part(smtp("smtps://mia@localhost", AMPLE)), Some("smtp"), "a user without a secret");
    for ca in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(part(Smtp { ca: Some(ca.into()), ..plain() }), Some("ca"), "{ca}");
    }
    for hello in ["", "a b", "a\r\nMAIL", "пошта"] {
        assert_eq!(part(Smtp { hello: Some(hello.to_owned()), ..plain() }), Some("hello"), "{hello}");
    }
    assert!(!format!("{:?}", with_secret("smtps://mia@localhost", None)).contains("hush"), "never printed");
}
