//! What somebody wrote this time, told from what they quoted and how they signed.
//!
//! Line by line and linear; nothing is lost, every line ends up in one of the three. When in doubt a
//! line is new: a quote shown twice costs a glance, a sentence hidden costs a client.

use crate::{address, phrases};

/// A text, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// New; the whole text where nothing else would be left.
    pub text: String,
    pub quoted: Option<String>,
    pub signature: Option<String>,
    /// The author of what is forwarded, as the forwarding names them.
    pub forwarded_from: Option<String>,
}

/// Takes a cleaned text apart. `forwarding` tells that the subject says it is a forwarding.
pub fn split(text: &str, forwarding: bool) -> Parts {
    let lines: Vec<&str> = text.lines().collect();
    let mut parts = Parts::default();
    let (mut end, marker) = hard_end(&lines);
    let mut quoted: Vec<&str> = Vec::new();
    if marker == Some(Marker::Forward) || (marker == Some(Marker::Headers) && forwarding) {
        parts.forwarded_from = author(lines.get(end..).unwrap_or_default());
    }
    let hard = lines.get(end..).unwrap_or_default();
    let mut signatures = Vec::new();
    let marks = marks(lines.get(..end).unwrap_or_default());
    // A signature below the quote, the quote, and the signature above it.
    if let Some(start) = signature(&lines, &marks, end) {
        signatures.push((start, end));
        end = start;
    }
    let (start, below) = trailing_quote(&lines, &marks, end);
    if let Some(start) = start {
        quoted.extend(lines.get(start..end).unwrap_or_default());
        end = start;
        if let Some(start) = signature(&lines, &marks, end) {
            signatures.push((start, end));
            end = start;
        }
    } else {
        end = below;
    }
    let mut begin = 0;
    if quoted.is_empty()
        && hard.is_empty()
        && let Some(after) = leading_quote(&lines, &marks, end)
    {
        quoted.extend(lines.get(..after).unwrap_or_default());
        begin = after;
    }
    let new = join(lines.get(begin..end).unwrap_or_default());
    if new.is_empty() {
        return Parts { text: text.to_owned(), forwarded_from: parts.forwarded_from, ..Parts::default() };
    }
    quoted.extend(hard);
    parts.text = new;
    parts.quoted = Some(join(&quoted)).filter(|text| !text.is_empty());
    signatures.reverse();
    let signed: Vec<&str> = signatures
        .into_iter()
        .flat_map(|(start, end)| lines.get(start..end).unwrap_or_default())
        .copied()
        .collect();
    parts.signature = Some(join(&signed)).filter(|text| !text.is_empty());
    parts
}

/// Whether a subject says that the mail is forwarded.
pub fn is_forwarding(subject: &str) -> bool {
    let subject = subject.to_lowercase();
    ["fwd:", "fw:", "wg:", "tr:", "пересл:", "fwd[", "i:", "переслано:"]
        .iter()
        .any(|start| subject.starts_with(start))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Forward,
    /// "-----Original Message-----", or who wrote it when without `>` below.
    Original,
    /// From, Sent, To, Subject.
    Headers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Blank,
    Quoted,
    Own,
}

/// Where everything below is somebody else's, and by what sign.
fn hard_end(lines: &[&str]) -> (usize, Option<Marker>) {
    for (at, line) in lines.iter().enumerate() {
        let below = lines.get(at..).unwrap_or_default();
        let marker = if is_forward_line(line) {
            Some(Marker::Forward)
        } else if is_original_line(line) {
            Some(Marker::Original)
        } else if header_block(below) {
            Some(Marker::Headers)
        } else {
            // Who wrote it, and then no `>`: the sender's program marks no lines.
            attribution(below).and_then(|length| {
                let next = below.iter().skip(length).find(|line| !line.trim().is_empty());
                next.is_some_and(|line| !is_quoted(line)).then_some(Marker::Original)
            })
        };
        if let Some(marker) = marker {
            // A rule of dashes or underscores above belongs to the sign.
            let above = lines.get(..at).unwrap_or_default();
            let rule = above.iter().rposition(|line| !line.trim().is_empty());
            return match rule {
                Some(rule) if above.get(rule).is_some_and(|line| is_rule(line)) => (rule, Some(marker)),
                _ => (at, Some(marker)),
            };
        }
    }
    (lines.len(), None)
}

fn marks(lines: &[&str]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = lines
        .iter()
        .map(|line| match line.trim() {
            "" => Mark::Blank,
            _ if is_quoted(line) => Mark::Quoted,
            _ => Mark::Own,
        })
        .collect();
    let mut at = 0;
    while at < lines.len() {
        let found = if marks.get(at) == Some(&Mark::Own) {
            attribution(lines.get(at..).unwrap_or_default())
        } else {
            None
        };
        let length = found.unwrap_or(1);
        if found.is_some() {
            let next = marks.iter().skip(at + length).find(|mark| **mark != Mark::Blank);
            if next == Some(&Mark::Quoted) {
                marks.iter_mut().skip(at).take(length).for_each(|mark| *mark = Mark::Quoted);
            }
        }
        at += length;
    }
    marks
}

/// Where the quote at the end begins, if there is one; else the end without blank lines.
fn trailing_quote(lines: &[&str], marks: &[Mark], end: usize) -> (Option<usize>, usize) {
    let last_own = marks.iter().take(end.min(lines.len())).rposition(|mark| *mark == Mark::Own);
    let start = last_own.map_or(0, |at| at + 1);
    let quote = marks.iter().take(end).skip(start).any(|mark| *mark == Mark::Quoted);
    (quote.then_some(start), end)
}

/// Where the one quote at the beginning ends: an answer written below it. Several quotes are left where
/// they are, because the answers between them need them.
fn leading_quote(lines: &[&str], marks: &[Mark], end: usize) -> Option<usize> {
    let marks = marks.get(..end.min(lines.len()))?;
    let first = marks.iter().position(|mark| *mark != Mark::Blank)?;
    if marks.get(first) != Some(&Mark::Quoted) {
        return None;
    }
    let own = marks.iter().position(|mark| *mark == Mark::Own)?;
    let more = marks.iter().skip(own).any(|mark| *mark == Mark::Quoted);
    (!more).then_some(own)
}

/// Where the signature at the end begins: below `-- ` or its like, or a telephone's own line.
fn signature(lines: &[&str], marks: &[Mark], end: usize) -> Option<usize> {
    const LONGEST: usize = 15;
    let mut own_below = 0;
    for at in (0..end).rev() {
        let line = lines.get(at)?;
        match marks.get(at)? {
            Mark::Quoted => return None,
            Mark::Blank => continue,
            Mark::Own => {}
        }
        if is_delimiter(line) || is_list_footer(lines.get(at..end).unwrap_or_default()) {
            return Some(at);
        }
        if own_below == 0 && is_mobile_line(line) {
            // One more above, as `-- ` and then the telephone's line.
            let above = (at.saturating_sub(3)..at)
                .find(|above| lines.get(*above).is_some_and(|line| is_delimiter(line)));
            return Some(above.unwrap_or(at));
        }
        own_below += 1;
        if own_below > LONGEST {
            return None;
        }
    }
    None
}

fn is_delimiter(line: &str) -> bool {
    matches!(line.trim(), "--" | "—" | "–" | "---" | "__" | "– –")
}

/// What Mailman puts below every mail of a list: a long rule, the list's name, its address and its page.
fn is_list_footer(lines: &[&str]) -> bool {
    let [rule, name, rest @ ..] = lines else { return false };
    let rule = rule.trim();
    let long = rule.len() >= 40 && rule.bytes().all(|byte| byte == b'_');
    long && name.trim_end().ends_with(" mailing list")
        && rest.iter().filter(|line| !line.trim().is_empty()).count() <= 3
}

fn is_quoted(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('>') || line.starts_with("|>")
}

fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() >= 5 && line.chars().all(|c| matches!(c, '_' | '-' | '=' | '—' | '─' | '*'))
}

/// Removes the dashes around a title; `None` when there are none.
fn dashed(line: &str) -> Option<String> {
    let line = line.trim();
    let rules = line.chars().take_while(|c| matches!(c, '-' | '—' | '_' | '=')).take(2).count();
    if rules < 2 {
        return None;
    }
    let inner = line.trim_matches(|c: char| matches!(c, '-' | '—' | '_' | '=' | ' ' | '*'));
    (!inner.is_empty() && inner.chars().count() < 60).then(|| inner.to_lowercase())
}

fn is_forward_line(line: &str) -> bool {
    line.trim_end().ends_with(':') && phrases::FORWARDED_PLAIN.contains(&line.trim().to_lowercase().as_str())
        || dashed(line).is_some_and(|inner| phrases::FORWARDED.iter().any(|start| inner.starts_with(start)))
}

fn is_original_line(line: &str) -> bool {
    // What every form of it holds, because most lines are none.
    let answer_above = ["bove", "BOVE", "ыше", "ЫШЕ"].iter().any(|part| line.contains(part)) && {
        let lower = line.to_lowercase();
        lower.contains("reply above this line") || lower.contains("пишите ответ выше этой")
    };
    answer_above || dashed(line).is_some_and(|inner| phrases::ORIGINAL.contains(&inner.as_str()))
}

/// Whether Outlook's block of From, Sent, To, Subject begins here.
fn header_block(lines: &[&str]) -> bool {
    let Some(first) = lines.first() else { return false };
    if !label(first).is_some_and(|label| phrases::FROM.contains(&label.as_str())) {
        return false;
    }
    let others = lines
        .iter()
        .skip(1)
        .take(8)
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| label(line).is_some_and(|label| phrases::SENT_TO_SUBJECT.contains(&label.as_str())))
        .count();
    others >= 2
}

/// Of a label, in characters.
const LONGEST_LABEL: usize = 12;

/// The word before the first colon, in lower case, without the stars of bold type.
fn label(line: &str) -> Option<String> {
    let (label, _) = line.split_once(':')?;
    let label = label.trim().trim_matches(['*', ' ', '\u{a0}']);
    if label.len() > LONGEST_LABEL * 4 {
        return None;
    }
    let label = label.to_lowercase();
    (!label.is_empty() && label.chars().count() <= LONGEST_LABEL).then_some(label)
}

/// How many lines the sentence takes that says who wrote what follows.
fn attribution(lines: &[&str]) -> Option<usize> {
    const LONGEST: usize = 4;
    // Its end is looked for first, because most lines belong to no such sentence.
    let near = lines.iter().take(LONGEST).map(|line| line.trim());
    let mut own = near.take_while(|line| !line.is_empty() && !is_quoted(line));
    let length = own.position(|line| line.ends_with([':', '：']))? + 1;
    let lines = lines.get(..length)?;
    let first = lines.first()?.trim();
    if first.chars().count() > 300 {
        return None;
    }
    let sentence = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    if sentence.chars().count() > 400 {
        return None;
    }
    let lower = sentence.to_lowercase();
    let dated = lower.chars().filter(char::is_ascii_digit).count() >= 2;
    let addressed = lower.contains('@');
    let words = lower.trim_end_matches([':', '：', ' ', '\u{a0}']);
    let wrote = phrases::WROTE.iter().any(|word| {
        words.ends_with(word) || words.contains(&format!(" {word} ")) || words.contains(&format!(" {word}:"))
    });
    // `03.03.2025, 11:00, "Name" <a@b>:`, as Yandex and mail.ru write.
    let bare = dated && lower.contains('<') && addressed && lower.trim_end_matches([':', ' ']).ends_with('>');
    // A sentence over several lines begins with its date, or the line above is somebody's greeting.
    let begins = length == 1 || starts_sentence(first);
    (begins && ((wrote && (dated || addressed)) || bare)).then_some(length)
}

/// Whether a line can begin the sentence that says who wrote what follows.
fn starts_sentence(line: &str) -> bool {
    let lower = line.to_lowercase();
    phrases::ON.iter().any(|start| lower.starts_with(start))
        || lower.chars().filter(char::is_ascii_digit).count() >= 4
}

fn is_mobile_line(line: &str) -> bool {
    let line = line.trim().trim_matches(['*', '_', '(', ')']).to_lowercase();
    // "Sent from my desk, it is easier." is a sentence.
    let sentence = line.ends_with(['.', '!', '?']) || line.contains(", ");
    line.chars().count() <= 80
        && !sentence
        && phrases::SENT_FROM_MY.iter().any(|start| line.starts_with(start))
}

/// Who wrote the forwarded text: the first address under a From label, or in the first lines.
fn author(lines: &[&str]) -> Option<String> {
    let near = || lines.iter().take(10);
    let labelled = near().find(|line| {
        label(line).is_some_and(|label| {
            matches!(label.as_str(), "from" | "от" | "від" | "von" | "de" | "od" | "от кого" | "від кого")
        })
    });
    labelled.into_iter().chain(near().take(4)).find_map(|line| first_address(line))
}

/// The first address in a line, canonical.
pub fn first_address(line: &str) -> Option<String> {
    line.split(|c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"' | '(' | ')' | '[' | ']')
    })
    .filter(|word| word.contains('@'))
    .find_map(|word| {
        let word = word.trim_matches(|c: char| matches!(c, ':' | '.' | '\'' | '*' | '`'));
        let word = word.strip_prefix("mailto:").unwrap_or(word);
        address::canonical(word)
    })
}

fn join(lines: &[&str]) -> String {
    let first = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(first, |last| last + 1);
    lines.get(first..last).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests;
