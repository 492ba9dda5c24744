//! What went wrong with a mailbox, by what is to be done about it.

use std::io;

use crate::text::clean_line;

/// Why a mailbox could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It will not get better by trying again soon: a wrong password, an untrusted certificate.
    #[error("{0}")]
    Refused(String),
    /// The session is over; another may work.
    #[error("{0}")]
    Broken(String),
    /// The server refused this one command; the session goes on.
    #[error("{0}")]
    No(String),
}

/// What the library says, as what is to be done about it.
pub(crate) fn trouble(doing: &str, error: imap::Error) -> Trouble {
    match error {
        imap::Error::No(no) => Trouble::No(format!("could not {doing}: {}", words(&no.information))),
        imap::Error::Bad(bad) => Trouble::No(format!("could not {doing}: {}", words(&bad.information))),
        imap::Error::Validate(why) => Trouble::Refused(format!("could not {doing}: {why}")),
        // The library's word for a line it did not understand, too.
        imap::Error::Bye(bye) => {
            Trouble::Broken(format!("could not {doing}: the server ended it: {}", words(&bye.information)))
        }
        imap::Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Trouble::Broken(format!("could not {doing}: the server was silent for too long"))
        }
        imap::Error::Io(error) => Trouble::Broken(format!("could not {doing}: {error}")),
        imap::Error::ConnectionLost => Trouble::Broken(format!("could not {doing}: the line was lost")),
        // Its text may hold a piece of a mail.
        imap::Error::Parse(_) => Trouble::Broken(format!("could not {doing}: the answer was not understood")),
        _ => Trouble::Broken(format!("could not {doing}: the answer was not expected")),
    }
}

/// A server's words, fit for a log line.
fn words(told: &str) -> String {
    clean_line(told, 200)
}
