//! The console in a real browser, against the built program. Its stories are told in JavaScript, in `browser/`.
//!
//! They need what the widget's need: Chromium, Node.js 18.20 or newer, and `npm ci` in `browser/`.

use std::path::Path;
use std::process::Command;

use tests::setup::frontdesk;

#[test]
fn an_agent_can_work_with_the_console() {
    told("console.test.mjs");
}

#[test]
fn an_agent_knows_their_clients() {
    told("console-clients.test.mjs");
}

#[test]
fn work_comes_to_an_agent_by_itself() {
    told("console-routing.test.mjs");
}

#[test]
fn the_console_copes_with_what_goes_wrong() {
    told("console-trouble.test.mjs");
}

#[test]
fn the_console_keeps_up_when_many_wait() {
    told("console-load.test.mjs");
}

#[test]
fn everybody_can_use_the_console() {
    told("console-access.test.mjs");
}

/// Runs the stories of one file to the end. Every wait in them has a deadline of its own.
fn told(stories: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "the browser tests are not installed: run `npm ci --ignore-scripts` in {}",
        folder.display()
    );
    let answer = Command::new("node")
        .args(["--test", stories])
        .current_dir(&folder)
        .env("FRONTDESK", frontdesk())
        .output()
        .expect("could not start node: install Node.js 18.20 or newer");
    assert!(
        answer.status.success(),
        "{stories}:\n{}\n{}",
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    );
}
