//! A server that follows a script, for what no real one does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::stage::eventually;

/// It runs until the process ends.
pub(crate) struct Scripted {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn url(&self) -> String {
        format!("imap+insecure://anna@127.0.0.1:{}/INBOX", self.port)
    }

    /// How many commands held this.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }

    pub(crate) async fn sees(&self, what: &str, many: usize) {
        eventually(&format!("{many} times {what}"), || self.count(what) >= many).await;
    }
}

/// What the script has no answer for is answered as by a server with an empty mailbox.
pub(crate) fn scripted(script: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (script, ears) = (Arc::new(script), Arc::clone(&heard));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (script, ears) = (Arc::clone(&script), Arc::clone(&ears));
            // Each ends with its connection.
            std::thread::spawn(move || serve(stream, &*script, &ears).ok());
        }
    });
    Scripted { port, heard }
}

fn serve(
    mut stream: TcpStream,
    script: &dyn Fn(&str) -> Option<String>,
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.write_all(b"* OK ready\r\n")?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        heard.lock().unwrap().push(line.clone());
        let tag = line.split(' ').next().unwrap_or_default();
        let answer = script(&line).unwrap_or_else(|| {
            let said = match line.split(' ').nth(1).unwrap_or_default() {
                "CAPABILITY" => "* CAPABILITY IMAP4rev1 IDLE\r\n",
                "EXAMINE" | "SELECT" => "* 0 EXISTS\r\n* OK [UIDVALIDITY 7] so\r\n* OK [UIDNEXT 4] so\r\n",
                "UID" => "* SEARCH\r\n",
                _ => "",
            };
            format!("{said}{tag} OK done\r\n")
        });
        stream.write_all(answer.as_bytes())?;
        if answer.starts_with("* BYE") {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}
