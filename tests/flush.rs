//! "Got it" comes after the flush: seen from outside, in the order of the system calls.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::account::balances;
use tests::wait::PATIENCE;
use tests::wait::when;
use tests::{Call, Database, Facts, Nats, Setup, eventually};

const CALLS: &str = "trace=fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_flushed_before_a_hook_is_answered() {
    if !can_be_traced() {
        return;
    }
    let folder = tempfile::tempdir().expect("could not make a folder");
    let trace = folder.path().join("trace");
    let file = trace.display().to_string();
    // As a grandchild (-D), so that the process we started is frontdesk itself. Paths (-y) beside numbers.
    let words = ["strace", "-D", "-f", "-y", "-q", "-s", "4096", "-e", CALLS, "-o", &file];
    let mut app = Setup::up().line().under(&words).start().await;
    let mut nth = 0;
    for hook in Call::nth(0).answered() {
        nth += 1;
        assert_eq!(app.pbx().send(&hook).await, 204);
        assert_order(&trace, nth).await;
    }
    assert_eq!(nth, 3);
    app.stop().await;
}

/// Waits until the `nth` 204 is in the trace and holds what came before it against the promise.
async fn assert_order(trace: &Path, nth: usize) {
    let answered = |line: &&str| line.contains("HTTP/1.1 204");
    let text = eventually("the answer is in the trace", PATIENCE, async || {
        let text = fs::read_to_string(trace).unwrap_or_default();
        let seen = text.lines().filter(answered).count();
        when(seen >= nth, seen).map(|()| text)
    })
    .await;
    let lines: Vec<_> = text.lines().collect();
    let answers: Vec<_> = (0..lines.len()).filter(|place| answered(&lines[*place])).collect();
    let answer = answers[nth - 1];
    let from = if nth == 1 { 0 } else { answers[nth - 2] + 1 };
    let before = &lines[from..answer];

    // The record is written to the journal of contacts, whole, and not to anything else first.
    let call = Call::nth(0).id;
    let in_journal = |line: &str| line.contains("/data/journal/contacts/");
    let written = before
        .iter()
        .position(|line| in_journal(line) && line.contains("write") && line.contains(&call))
        .unwrap_or_else(|| panic!("no record of hook {nth} before its answer:\n{}", before.join("\n")));
    // Then that file is flushed, and the flush has returned 0: the call itself may stand on two lines.
    let flushed = before[written..].iter().enumerate().any(|(place, line)| {
        let begun = in_journal(line) && line.contains("fdatasync(");
        let thread = line.split_whitespace().next().unwrap_or_default();
        begun
            && before[written + place..]
                .iter()
                .find(|later| later.starts_with(thread) && !later.contains("<unfinished"))
                .is_some_and(|done| done.contains("fdatasync") && done.trim_end().ends_with("= 0"))
    });
    assert!(flushed, "hook {nth} was answered before its flush:\n{}", before.join("\n"));
    // A new file's name is in its folder only once that is flushed, too.
    let named = before.iter().any(|line| line.contains("fsync(") && line.contains("/data/journal/contacts>"));
    assert!(named || nth > 1, "the folder of a new segment was not flushed:\n{}", before.join("\n"));
}

/// A disk that fails once: what it may have lost is not promised, the file is not trusted again, and the
/// door opens on a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_fails_is_no_promise() {
    if !can_be_traced() {
        return;
    }
    // The database is another process, so that only journals are flushed this way by this one.
    let Some(database) = Database::postgres() else { return };
    let failing = "inject=fdatasync:error=EIO:when=4";
    let words = ["strace", "-D", "-f", "-q", "-e", "trace=fdatasync", "-e", failing, "-o", "/dev/null"];
    let mut app = Setup::up().line().on(&database).under(&words).start().await;
    let (pbx, agent) = (app.pbx(), app.agent("reader").await);
    let follower = agent.follow();

    let mut told = Facts::new();
    let mut refused = 0;
    for nth in 0..10 {
        let hook = Call::nth(nth).ringing();
        let answer = pbx.try_send(&hook).await.expect("no answer to a hook");
        if answer.status() != 204 {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
            refused += 1;
            pbx.insists(&hook).await;
        }
        told.insert(Call::nth(nth).id, 1);
    }
    assert!((1..=2).contains(&refused), "the fourth flush of the journal's thread failed: {refused}");
    let segments =
        fs::read_dir(app.setup.folder().join("data/journal/contacts")).expect("there is a journal");
    let names: Vec<_> = segments.filter_map(|one| one.ok()?.file_name().into_string().ok()).collect();
    assert!(names.iter().any(|name| name.starts_with("0000000002")), "it went on in a new file: {names:?}");
    app.kill9().await;
    app.again().await;
    balances(&app.setup, &agent, &follower, &told).await;
    app.stop().await;
}

/// Whether this machine lets us trace; a container often does not. `tests/run.sh` installs strace.
fn can_be_traced() -> bool {
    let why = match Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "system calls cannot be traced where nothing may be left out: {why}"
    );
    eprintln!("skipped: system calls cannot be traced here ({why}); the next test looks at the file alone");
    false
}

/// The same promise where nothing can be traced: at the moment of each answer the record is in its file,
/// and there was one more flush. The broker stands still, so it is in no other place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_in_the_journal_at_that_moment() {
    let nats = Nats::start().await;
    let mut app = Setup::up().line().beside(&nats).start().await;
    nats.freeze();
    for nth in 0..20 {
        let flushes = app.metric("frontdesk_journal_flush_seconds_count", "contacts").await.unwrap_or(0.0);
        assert_eq!(app.pbx().send(&Call::nth(nth).ringing()).await, 204);
        let journal = app.setup.folder().join("data/journal/contacts");
        let call = Call::nth(nth).id;
        let kept = fs::read_dir(&journal).expect("there is a journal").any(|segment| {
            let bytes = fs::read(segment.expect("it can be listed").path()).unwrap_or_default();
            bytes.windows(call.len()).any(|window| window == call.as_bytes())
        });
        assert!(kept, "hook {nth} was answered and is not in the journal");
        let now = app.metric("frontdesk_journal_flush_seconds_count", "contacts").await.expect("a metric");
        assert!(now > flushes, "hook {nth} was answered without a flush");
    }
    app.kill9().await;
}
