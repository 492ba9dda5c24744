//! Folders, ports and children of throwaway servers.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take to start; the tests of a busy machine start many at once.
pub(super) const START: Duration = Duration::from_secs(60);
/// Between two looks at whether it has.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// Kills the process group whose number is in `<folder>/pid`, and removes the folder.
const KILL_ITS_GROUP: &str = r#"
    read -r line
    main=$(cat "$0/pid" 2>/dev/null) && kill -s KILL -- "-$main" 2>/dev/null
    for look in 1 2 3 4 5 6 7 8 9 10
    do kill -s 0 -- "-$main" 2>/dev/null || break; sleep 0.02; done
    rm -rf "$0"
"#;

/// A shell that does nothing until this process ends or asks it to; then it ends the server in `folder`.
pub(super) fn watch(folder: &Path) -> io::Result<Child> {
    watch_with(KILL_ITS_GROUP, folder)
}

/// The same with a script of one's own, of which `$0` is the folder and which begins by reading a line.
pub(super) fn watch_with(script: &str, folder: &Path) -> io::Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A new folder for a server, empty, which others may enter.
pub(super) fn fresh_folder(name: &str) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("{name}-{}-{next}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    run(Command::new("chmod").arg("755").arg(&folder))?;
    Ok(folder)
}

/// A port of the loopback nobody listens on now: below those that outgoing connections take, for one of them
/// could have it while a server is killed and started again.
pub(super) fn free_port() -> io::Result<u16> {
    const PORTS: (u16, u16) = (10_000, 9_000);
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = PORTS.0 + u16::try_from(random % u64::from(PORTS.1)).map_err(io::Error::other)?;
        match TcpListener::bind(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map(|_| port),
        }
    }
}

/// Whether the tests run as root.
pub(super) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// Where a program is: in PATH, or where Debian keeps those of the administrator.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Whether absence of a server is a failure: nothing is skipped silently where this is asked for.
pub(super) fn required(name: &str) -> bool {
    ["CI", name].iter().any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

/// Runs a command to its end.
pub(super) fn run(command: &mut Command) -> io::Result<()> {
    output(command).map(|_| ())
}

/// Runs a command to its end and gives what it wrote.
pub(super) fn output(command: &mut Command) -> io::Result<String> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(io::Error::other(format!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr))))
    }
}

/// A line for whoever reads the tests' output.
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "how tests are run is told by the environment alone")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
