//! What operators write and what lies on the disk, with wounds: a sentence, never a panic, never a secret.

use std::fs;

use connector::testing::hostile::{Wound, wounded};
use connector::{CursorError, Cursors as _, Mark};
use proptest::prelude::*;

use crate::config::{Config, DEFAULTS};
use crate::cursors::FileCursors;

/// A file with everything in it, every value of which is good.
const OPERATORS: &str = r#"
data = "elsewhere"
[http]
listen = "127.0.0.1:8700"
public_url = "https://desk.example"
[nats]
user = "desk"
replicas = 1
[phone.main-line]
provider = "twilio"
region = "UA"
zone = "Europe/Kyiv"
auth_token = "tested-auth-token"
own_numbers = ["+380800500500"]
[email.support]
address = "help@example.org"
imap = "imaps://help@imap.example.org:993/INBOX"
password = "tested-password"
from = "2026-01-31"
after = "move:Archive"
poll_s = 60
[chat.site]
origins = ["https://shop.example"]
identity_secret = "tested-identity-secret-0123456789abcdef"
proxies = ["10.0.0.1"]
"#;

const WORDS: [&[u8]; 20] = [
    b"\n",
    b"[",
    b"]",
    b"[[",
    b"\"",
    b"\"\"\"",
    b"=",
    b".",
    b"\\u0000",
    b"\xff",
    b"[chat.x]\n",
    b"[phone.\"../x\"]\n",
    b"data = 7\n",
    b"-1",
    b"99999999999999999999",
    b"0x",
    b"1979-05-27T07:32:00Z",
    b"{",
    b"inf",
    b"secret = \"\"\n",
];

fn wounds() -> impl Strategy<Value = Vec<Wound>> {
    prop::collection::vec(any::<Wound>(), 0..6)
}

fn load(text: &[u8], environment: Vec<(String, String)>) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), environment).map_err(|wrong| wrong.to_string())?;
    let shown = config.shown().map_err(|error| error.to_string())?;
    // A wound in the key's name makes it another key, which is refused above.
    assert!(!shown.contains("tested-"), "a secret is shown: {shown}");
    Ok(())
}

proptest! {
    // A case reads four layers: half of what others try by default.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(2)))]

    #[test]
    fn fuzz_a_wounded_configuration_is_taken_or_refused_with_sentences(wounds in wounds(), shipped in any::<bool>()) {
        let whole = if shipped { DEFAULTS } else { OPERATORS };
        let loaded = load(&wounded(whole.as_bytes(), &WORDS, &wounds), Vec::new());
        match loaded {
            Ok(()) => {}
            Err(_) if wounds.is_empty() => prop_assert!(false, "the specimen itself is good: {:?}", loaded),
            Err(wrong) => prop_assert!(!wrong.is_empty() && wrong.len() < 300_000, "{} bytes", wrong.len()),
        }
    }

    #[test]
    fn fuzz_a_variable_may_be_called_anything_and_hold_anything(variables in prop::collection::vec((
        prop_oneof![
            "FRONTDESK__[A-Z_]{0,30}",
            "FRONTDESK__(HTTP|NATS|STORE|LOG|JOURNAL|PHONE|EMAIL|CHAT)__[A-Z0-9_]{1,12}(__[A-Z_]{1,15}){0,3}",
            prop::sample::select(vec!["FRONTDESK__", "FRONTDESK____", "FRONTDESK__HTTP", "FRONTDESK__CHAT__SITE", "FRONTDESK__HTTP__LISTEN__X",
                "FRONTDESK__JOURNAL__MAX_BYTES", "FRONTDESK__CHAT__SITE__ORIGINS", "FRONTDESK__PHONE__MAIN__REGION"]).prop_map(str::to_owned),
        ],
        prop_oneof![".{0,30}", "-?[0-9]{1,22}", prop::sample::select(vec!["true", ",,,", "[]", "{}", "*", "\0"]).prop_map(str::to_owned)],
    ), 0..5)) {
        if let Err(wrong) = load(OPERATORS.as_bytes(), variables) {
            prop_assert!(!wrong.is_empty() && wrong.len() < 20_000, "{}", wrong);
            prop_assert!(!wrong.contains("tested-"), "a secret is told: {}", wrong);
        }
    }

    #[test]
    fn fuzz_a_wounded_cursor_is_the_one_that_was_kept_or_a_damaged_one(wounds in wounds(), value in ".{0,60}") {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cursors = FileCursors::open(data.path()).unwrap();
            let revision = cursors.advance("email/support", None, &value).await.unwrap();
            let file = fs::read_dir(data.path().join("cursors")).unwrap().next().unwrap().unwrap().path();
            let words: [&[u8]; 5] = [b"\"revision\":2", b"\"value\":\"\"", b"{", b"\"digest\":\"\"", b"\0"];
            fs::write(&file, wounded(&fs::read(&file).unwrap(), &words, &wounds)).unwrap();
            match cursors.get("email/support").await {
                Ok(mark) => prop_assert_eq!(mark, Some(Mark { value, revision })),
                Err(CursorError::Away(sentence)) => prop_assert!(!wounds.is_empty() && sentence.contains("is damaged"), "{}", sentence),
                Err(other) => prop_assert!(false, "{:?}", other),
            }
            Ok(())
        })?;
    }
}
