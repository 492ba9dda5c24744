//! Reading back what is recorded: each line once, in order, without a gap.

use connector::{Line, Thread, ThreadAway};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use crate::frame::{Said, Side};

/// So many lines are read at once; with long ones about a megabyte.
pub(crate) const PAGE: usize = 50;
/// Reading that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// By how much the clocks of our machines may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// What one connection has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Every line up to this number.
    After(i64),
    /// It wants what comes from this moment on, and what is recorded could not be read then.
    Since(Timestamp),
}

/// What follows a position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) said: Vec<Said>,
    pub(crate) position: Position,
    /// There may be more at once.
    pub(crate) more: bool,
}

/// Reads on. The position is left to the caller, who has it only when all of the page was sent.
pub(crate) async fn read(thread: &dyn Thread, visitor: &str, position: Position) -> Result<Page, ThreadAway> {
    tokio::time::timeout(TIMEOUT, next(thread, visitor, position))
        .await
        .unwrap_or_else(|_| Err(ThreadAway("it took too long".to_owned())))
}

async fn next(thread: &dyn Thread, visitor: &str, position: Position) -> Result<Page, ThreadAway> {
    let (after, old) = match position {
        Position::After(after) => (after, None),
        Position::Since(moment) => match thread.head(visitor).await? {
            None => (0, None),
            // Old lines are looked at, not sent: only those of the outage.
            Some(head) => {
                let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
                let since = moment.checked_sub(SKEW).unwrap_or(moment);
                (head.seq.saturating_sub(page).max(0), Some((head.seq, since)))
            }
        },
    };
    let lines = thread.lines(visitor, after, PAGE).await?;
    let more = lines.len() >= PAGE;
    let mut last = after;
    let mut said = Vec::with_capacity(lines.len());
    for line in lines {
        // A store that repeats itself must not make us do so.
        if line.seq <= last {
            continue;
        }
        last = line.seq;
        if old.is_none_or(|(head, since)| line.seq > head || line.at >= since) {
            said.push(message(line));
        }
    }
    Ok(Page { more: more && last > after, said, position: Position::After(last) })
}

fn message(line: Line) -> Said {
    let from = if line.agent.is_some() { Side::Agent } else { Side::Visitor };
    Said::Message { id: line.id, seq: line.seq, from, name: line.agent, text: line.text, at: line.at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use connector::Head;

    /// So many lines, one a minute from the epoch on.
    struct Minutes(i64);

    #[async_trait]
    impl Thread for Minutes {
        async fn head(&self, _: &str) -> Result<Option<Head>, ThreadAway> {
            let head =
                |seq| Head { seq, session: "s".into(), last_at: minute(seq), resolved: false, read: 0 };
            Ok((self.0 > 0).then(|| head(self.0)))
        }

        async fn lines(&self, _: &str, after: i64, limit: usize) -> Result<Vec<Line>, ThreadAway> {
            // From one line earlier than asked for.
            let line = |seq: i64| Line {
                seq,
                id: seq.to_string(),
                agent: (seq % 2 == 0).then(|| "Mia".to_owned()),
                text: "hi".into(),
                at: minute(seq),
            };
            Ok((after.max(1)..=self.0).map(line).take(limit + 1).collect())
        }
    }

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_second(n * 60).unwrap()
    }

    fn numbers(page: &Page) -> Vec<i64> {
        let number = |said: &Said| match said {
            Said::Message { seq, .. } => *seq,
            other => panic!("{other:?}"),
        };
        page.said.iter().map(number).collect()
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repetition() {
        let (mut position, mut all) = (Position::After(3), Vec::new());
        loop {
            let page = read(&Minutes(120), "v", position).await.unwrap();
            all.extend(numbers(&page));
            position = page.position;
            if !page.more {
                break;
            }
        }
        assert_eq!(all, (4..=120).collect::<Vec<_>>());
        assert_eq!(position, Position::After(120));
        assert!(read(&Minutes(120), "v", position).await.unwrap().said.is_empty());
    }

    #[tokio::test]
    async fn what_was_recorded_during_an_outage_follows_it() {
        let page = read(&Minutes(120), "v", Position::Since(minute(118))).await.unwrap();
        assert_eq!(numbers(&page), [118, 119, 120], "and nothing older");
        assert_eq!(page.position, Position::After(120));
        let page = read(&Minutes(0), "v", Position::Since(minute(118))).await.unwrap();
        assert_eq!((page.said.len(), page.position), (0, Position::After(0)));
    }
}
