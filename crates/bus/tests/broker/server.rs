//! The supervised nats-server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::support::{PATIENCE, eventually};
use ::bus::server::{Options, Search, Server, ServerError};

#[tokio::test]
async fn its_secrets_are_readable_by_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = crate::support::server(dir.path()).await;
    let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("nats"), 0o700);
    assert_eq!(mode("nats/nats.conf"), 0o600);
    assert!(!format!("{:?}", server.credentials()).contains('"'), "a password was printed");
    server.stop().await;
}

#[tokio::test]
async fn a_stopped_server_is_gone_quickly_and_stays_gone() {
    let dir = tempfile::tempdir().unwrap();
    let server = crate::support::server(dir.path()).await;
    let pid = server.pid().unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("stop took too long");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!((server.pid(), server.restarts()), (None, 0));
    // Twice is once.
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_ends_and_leaves_the_folder_free() {
    let dir = tempfile::tempdir().unwrap();
    let first = crate::support::server(dir.path()).await;
    let pid = first.pid().unwrap();
    drop(first);
    let second = tokio::time::timeout(PATIENCE, crate::support::server(dir.path())).await.unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "two servers on one store");
    second.stop().await;
}

#[tokio::test]
async fn a_second_server_waits_for_the_first_to_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = crate::support::server(dir.path()).await;
    let second = crate::support::server(dir.path());
    let mut second = std::pin::pin!(second);
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waits.is_err(), "two servers on one store");
    let (second, ()) = tokio::join!(second, first.stop());
    assert_eq!(first.url(), second.url(), "the port was not remembered");
    second.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_run_is_given_up_with_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("nats-server");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'nats-server: v2.15.1'; exit; }\n\
                  echo '[1] 2026/11/21 10:15:02.3 [FTL] the disk is on fire' >&2; exit 3\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let started = Server::start(Options {
        dir: dir.path().join("nats"),
        search: Search::only([program]),
        max_file_store: 1 << 30,
        launcher: None,
    });
    let error = tokio::time::timeout(PATIENCE, started).await.unwrap().err().unwrap();
    assert!(matches!(error, ServerError::NotReady { .. }));
    assert!(error.to_string().contains("the disk is on fire"), "{error}");
}

#[tokio::test]
async fn a_server_killed_twice_is_restarted_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = crate::support::server(dir.path()).await;
    for round in 1..=2 {
        let pid = eventually(async || server.pid(), Option::is_some).await.unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        eventually(async || server.restarts(), |restarts| *restarts == round).await;
    }
    server.stop().await;
}
