//! What is right, and what is refused by field.

use super::*;

fn problems(section: &str) -> Vec<(String, String)> {
    let config: Config = toml::from_str(section).unwrap();
    config.check("support").unwrap_err().into_iter().map(|p| (p.field, p.sentence)).collect()
}

#[test]
fn a_whole_section_becomes_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "12345\n").unwrap();
    let section = format!(
        "address = 'Help@Desk.example'\naddresses = ['info@desk.example']\n\
         imap = 'imaps://mx.desk.example/INBOX'\npassword_file = '{0}'\n\
         smtp = 'smtps://help%40desk.example@mx.desk.example'\nfrom_name = 'Desk'\n\
         from = '2026-01-31'\nafter = 'move:Done/2026'\npoll_s = 30\nmax_bytes = 2000000\n\
         forms = ['form@site.example']\nauthserv_id = 'mx.desk.example'",
        file.display()
    );
    let source = toml::from_str::<Config>(&section).unwrap().check("support").unwrap();
    assert_eq!(source.name().as_str(), "email/support");
    let own: Vec<_> = source.mailbox().addresses.iter().map(String::as_str).collect();
    assert_eq!(own, ["help@desk.example", "info@desk.example"]);
    assert!(source.polls() && source.answers());
    let account = source.account.as_ref().unwrap();
    assert_eq!(account.place.user.as_deref(), Some("help@desk.example"), "ours, where the url has none");
    assert_eq!(source.from, From::Date("2026-01-31".parse().unwrap()));
    assert_eq!(source.after, After::Move("Done/2026".to_owned()));
    assert_eq!((source.poll, source.max_bytes), (Duration::from_secs(30), 2_000_000));
    assert!(source.smtp.as_ref().unwrap().credential.is_some(), "that of the mailbox");
    assert!(!format!("{source:?}").contains("12345"), "a secret is never printed");
}

#[test]
fn what_is_left_out_has_its_default() {
    let source = toml::from_str::<Config>("address = 'help@desk.example'").unwrap().check("support").unwrap();
    assert!(!source.polls() && !source.answers());
    assert_eq!((source.from, source.after.clone()), (From::Now, After::Leave));
    assert_eq!((source.poll, source.max_bytes), (Duration::from_secs(60), 50 * 1024 * 1024));
}

#[test]
fn a_half_right_section_is_refused_by_field() {
    let ours = "address = 'help@desk.example'\n";
    let imap = "address = 'help@desk.example'\nimap = 'imaps://mx.desk.example'\n";
    for (section, fields) in [
        (String::new(), vec!["address"]),
        ("address = 'nobody'".to_owned(), vec!["address"]),
        (format!("{ours}addresses = ['a@b.example', 'b']\nforms = ['c']"), vec!["addresses[1]", "forms[0]"]),
        (format!("{ours}imap = 'mx.desk.example'\npassword = 'x'"), vec!["imap"]),
        (imap.to_owned(), vec!["password"]),
        (format!("{imap}password = ''"), vec!["password"]),
        (format!("{imap}password = 'a'\npassword_file = 'b'"), vec!["password"]),
        (format!("{imap}password_file = '/no/such'"), vec!["password_file"]),
        (format!("{imap}password = \"a\\nb\""), vec!["password"]),
        (format!("{imap}password = 'a'\ntoken = 'b'"), vec!["token"]),
        (format!("{imap}password = 'a'\nca_file = '/no/such'"), vec!["ca_file"]),
        (format!("{imap}password = 'a'\nca_file = '/etc/hostname'"), vec!["ca_file"]),
        (format!("{imap}password = 'a'\nafter = 'delete'\nfrom = 'then'"), vec!["from", "after"]),
        (format!("{imap}password = 'a'\nafter = 'move:INBOX'"), vec!["after"]),
        (format!("{imap}password = 'a'\nafter = 'move:'"), vec!["after"]),
        (format!("{ours}poll_s = 0\nmax_bytes = 1"), vec!["poll_s", "max_bytes"]),
        (format!("{ours}smtp = 'smtp:'"), vec!["smtp"]),
        (format!("{ours}smtp = 'smtps://mia@mx.desk.example'"), vec!["smtp"]),
        (format!("{ours}smtp_password = 'x'"), vec!["smtp_password"]),
    ] {
        let found = problems(&section);
        let found: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(found, fields, "{section}");
    }
    assert!(toml::from_str::<Config>("adress = 'a@b.example'").is_err(), "unknown keys are refused");
    let config: Config = toml::from_str(ours).unwrap();
    assert!(config.check("Support").is_err(), "a name is a token");
}

#[test]
fn an_environment_has_no_types() {
    let config: Config = toml::from_str("address = 'a@b.example'\npassword = 123\nfrom_name = true").unwrap();
    assert_eq!(config.password.unwrap().expose_text(), "123");
    assert_eq!(config.from_name.as_deref(), Some("true"));
}
