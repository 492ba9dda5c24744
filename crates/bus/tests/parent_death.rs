//! A supervised server ends with its parent, even when that is killed. Three processes play: the
//! test, a parent that runs a server, and the launcher that becomes the server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bus::server::{Launcher, Options, Search, Server, exec_child};

const NAME: &str = "a_server_dies_with_its_killed_parent_and_leaves_the_folder_free";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    match words.as_slice() {
        // What test runners ask.
        [.., "--ignored"] => {}
        ["--list", ..] => say(&format!("{NAME}: test")),
        ["parent", dir] => parent(Path::new(dir)),
        ["launch", ..] => {
            let error = exec_child(&args[1..]);
            panic!("{error}");
        }
        _ => test(),
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the test runner and the test read it")]
fn say(text: &str) {
    println!("{text}");
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.join("nats"),
        search: Search::usual(None, dir),
        max_file_store: 1 << 30,
        launcher: Some(Launcher { program: std::env::current_exe().unwrap(), args: vec!["launch".into()] }),
    }
}

/// Runs a server until it is killed.
fn parent(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(options(dir)).await.unwrap();
        say(&server.pid().unwrap().to_string());
        std::future::pending::<()>().await;
    });
}

fn test() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .arg("parent")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server: u32 = line.trim().parse().unwrap();
    let command = std::fs::read_to_string(format!("/proc/{server}/comm")).unwrap();
    assert_eq!(command.trim(), "nats-server", "the launcher did not become the server");

    parent.kill().unwrap();
    parent.wait().unwrap();
    // The lock is waited for, so a server that lives on fails this.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let since = Instant::now();
        let successor = Server::start(options(dir.path())).await.unwrap();
        assert!(since.elapsed() < Duration::from_secs(10));
        assert_ne!(successor.pid(), Some(server));
        successor.stop().await;
    });
    // A zombie that nobody has reaped yet has no executable any more.
    assert!(!Path::new(&format!("/proc/{server}/exe")).exists(), "the server outlived its parent");
}
