//! The chat widget in a real browser. Its stories are told in JavaScript, in `browser/`; here they are run:
//! against a stand-in that speaks the protocol and has moods, and against the built program.
//!
//! They need Chromium, Node.js 18.20 or newer, and `npm ci` in `browser/`: `run.sh` sees to all three.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::setup::frontdesk;

#[test]
fn the_widget_copes_with_every_mood_of_a_server() {
    told("widget.test.mjs", None);
}

#[test]
fn everybody_can_use_the_widget() {
    told("access.test.mjs", None);
}

#[test]
fn a_visitor_can_rely_on_the_widget() {
    told("stories.test.mjs", None);
}

#[test]
fn a_visitor_can_rely_on_the_widget_and_the_built_program() {
    told("stories.test.mjs", Some(frontdesk()));
}

/// Runs the stories of one file to the end. Every wait in them has a deadline of its own.
fn told(stories: &str, program: Option<PathBuf>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "the browser tests are not installed: run `npm ci --ignore-scripts` in {}",
        folder.display()
    );
    let mut node = Command::new("node");
    node.args(["--test", stories]).current_dir(&folder).env_remove("FRONTDESK");
    if let Some(program) = program {
        node.env("FRONTDESK", program);
    }
    let answer = node.output().expect("could not start node: install Node.js 18.20 or newer");
    assert!(
        answer.status.success(),
        "{stories}:\n{}\n{}",
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    );
}
