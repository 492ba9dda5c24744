//! `frontdesk mail`, as a mail system runs it: what its exit code makes of the mail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

const KEPT: i32 = 0;
const BOUNCED: i32 = 65;
const TRIED_AGAIN: i32 = 75;

/// Runs it in a folder of its own, with no environment but the data folder.
fn frontdesk(arguments: &[&str], data: Option<&Path>, mail: &[u8]) -> Output {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_frontdesk"))
        .args(arguments)
        .env_clear()
        .envs(data.map(|data| ("FRONTDESK__DATA", data)))
        .current_dir(elsewhere.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that ends without having read is judged by its exit code.
    stdin.write_all(mail).ok();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Its exit code and what it says.
fn judged(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// Plays a running instance for one mail; gives what it was sent.
fn instance(data: &Path, answer: &'static str) -> JoinHandle<Vec<u8>> {
    fs::create_dir_all(data.join("run")).unwrap();
    let listener = UnixListener::bind(data.join("run/frontdesk.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut head = [0; 16];
        peer.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
        let mut mail = vec![0; usize::try_from(length).unwrap()];
        peer.read_exact(&mut mail).unwrap();
        peer.write_all(answer.as_bytes()).unwrap();
        [head.as_slice(), &mail].concat()
    })
}

#[test]
fn a_mail_that_is_kept_may_be_forgotten() {
    let data = tempfile::tempdir().unwrap();
    let instance = instance(data.path(), "kept\n");
    // The mail system's user may not read our secrets, and the running instance holds the lock.
    let config = data.path().join("own.toml");
    let text = "data = \"DATA\"\n[phone.main]\nprovider = \"twilio\"\nregion = \"UA\"\nzone = \"Europe/Kyiv\"\n\
        auth_token_file = \"/no/such/file\"\n";
    fs::write(&config, text.replace("DATA", data.path().to_str().unwrap())).unwrap();
    let lock = File::create(data.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let mail: Vec<u8> = (0..100_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let arguments = ["mail", "--source", "support", "--config", config.to_str().unwrap()];
    let output = frontdesk(&arguments, None, &mail);
    assert_eq!(judged(&output), (KEPT, String::new()));
    let sent = instance.join().unwrap();
    assert_eq!(sent, [b"FDM1\x07support\0\x01\x86\xa0".as_slice(), &mail].concat());
}

#[test]
fn whatever_trying_again_may_mend_leaves_the_mail_where_it_is() {
    let data = tempfile::tempdir().unwrap();
    let broken = data.path().join("broken.toml");
    fs::write(&broken, "[http").unwrap();
    let broken = broken.to_str().unwrap();
    for (arguments, sentence) in [
        (["mail", "--source", "support"].as_slice(), "could not be reached; does it run?"),
        (&["mail", "--source", "Not A Name"], "Not A Name"),
        (&["mail", "--sorce", "support"], "--sorce"),
        (&["mail"], "--source"),
        (&["--config", "/no/such.toml", "mail", "--source", "support"], "/no/such.toml"),
        (&["mail", "--source", "support", "--config", broken], "broken.toml"),
    ] {
        let (code, said) = judged(&frontdesk(arguments, None, b"Subject: x\n\nx"));
        assert_eq!(code, TRIED_AGAIN, "{arguments:?}: {said}");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
    }
    // Other commands say a wrong command line as ever, and help is no mistake.
    assert_eq!(frontdesk(&["token", "--sorce"], None, b"").status.code(), Some(2));
    assert_eq!(frontdesk(&["mail", "--help"], None, b"").status.code(), Some(0));
}

#[test]
fn a_refusal_is_one_sentence_and_its_exit_code() {
    for (answer, code, sentence) in [
        (
            "later the journal is full\n",
            TRIED_AGAIN,
            "frontdesk: not kept, try again later: the journal is full\n",
        ),
        ("never it is too large\n", BOUNCED, "frontdesk: not kept: it is too large\n"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let instance = instance(data.path(), answer);
        let output = frontdesk(&["mail", "--source", "support"], Some(data.path()), b"Subject: x\n\nx");
        assert_eq!(judged(&output), (code, sentence.to_owned()));
        instance.join().unwrap();
    }
    // It stopped before it had answered.
    let data = tempfile::tempdir().unwrap();
    let instance = instance(data.path(), "");
    let (code, said) = judged(&frontdesk(&["mail", "--source", "support"], Some(data.path()), b"x"));
    assert_eq!((code, said.lines().count()), (TRIED_AGAIN, 1), "{said}");
    instance.join().unwrap();
}

#[test]
fn a_mail_that_can_never_be_taken_goes_back() {
    let data = tempfile::tempdir().unwrap();
    for (mail, sentence) in [(vec![], "no mail"), (vec![b'x'; (64 << 20) + 1], "over the bound of 67108864")]
    {
        let (code, said) = judged(&frontdesk(&["mail", "--source", "support"], Some(data.path()), &mail));
        assert_eq!(code, BOUNCED, "{said}");
        assert!(said.contains(sentence) && said.lines().count() == 1, "{said}");
    }
}
