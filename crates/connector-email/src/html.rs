//! HTML from strangers: made harmless, and turned into text.
//!
//! Bounded: sanitising and laying out cost the square of the nesting, so a page over [`LARGEST`] bytes
//! or [`DEEPEST`] levels is not sanitised; it gives its text alone, by a scan that costs no more than
//! its length.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use mail_parser::decoders::html::html_to_text;

use crate::layout;
use crate::text::clean_text;

/// The largest page that is sanitised, in bytes; only so much of a larger one is read.
pub const LARGEST: usize = 1024 * 1024;
/// How deep elements may lie.
pub const DEEPEST: usize = 256;

/// A page, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Safe to show; `None` where the page was too large or too deep.
    pub html: Option<String>,
    pub text: String,
    /// Whether something was left out.
    pub cut: bool,
}

/// No script, no style, no form, no picture from elsewhere (each would tell the sender who opened the
/// mail); links say nothing about us.
static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::default();
    builder
        .add_url_schemes(["cid", "tel"])
        .rm_url_schemes([
            "bitcoin",
            "ftp",
            "ftps",
            "irc",
            "ircs",
            "magnet",
            "news",
            "nntp",
            "openpgp4fpr",
            "sftp",
            "ssh",
            "webcal",
            "wtai",
            "xmpp",
            "im",
            "sip",
            "sips",
            "sms",
            "urn",
            "url",
            "geo",
        ])
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .rm_tags(["map", "area"])
        .clean_content_tags(HashSet::from(["script", "style", "title", "head", "template", "noscript"]))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("img", "src") => {
                value.trim_start().to_ascii_lowercase().starts_with("cid:").then_some(Cow::Borrowed(value))
            }
            (_, "cite" | "longdesc") => None,
            _ => Some(Cow::Borrowed(value)),
        });
    builder
});

/// Reads a page.
pub fn read(html: &str) -> Page {
    read_as(html, true)
}

/// Reads a page that says what is known in plain text already: where it can be shown its text is empty, for
/// laying it out costs as much again.
pub(crate) fn read_beside_text(html: &str) -> Page {
    read_as(html, false)
}

fn read_as(html: &str, laid_out: bool) -> Page {
    let whole = html.len() <= LARGEST;
    let html = if whole { html } else { html.get(..html.floor_char_boundary(LARGEST)).unwrap_or_default() };
    if !whole || deeper_than(html, DEEPEST) {
        return Page { html: None, text: clean_text(&html_to_text(html)), cut: true };
    }
    let clean = SANITISER.clean(html).to_string();
    let blank = clean.trim().is_empty();
    let text = if laid_out || blank {
        clean_text(&layout::text_of(&clean).unwrap_or_else(|| html_to_text(&clean)))
    } else {
        String::new()
    };
    Page { text, html: Some(clean).filter(|_| !blank), cut: false }
}

/// Plain text as HTML, for a mail that has both.
pub fn from_text(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{}</p>", escaped.replace('\n', "<br>"))
}

/// Whether open elements ever outnumber closed ones by more than `limit`. Elements that close
/// themselves are not counted.
fn deeper_than(html: &str, limit: usize) -> bool {
    const SELF_CLOSING: &[&str] = &[
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
        "track", "wbr", "p", "li", "td", "th", "tr", "dt", "dd", "option", "tbody", "thead",
    ];
    let mut depth = 0_usize;
    // Within drawings and formulas nothing closes itself.
    let mut foreign = false;
    for piece in html.split('<').skip(1) {
        let (closing, name) = match piece.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, piece),
        };
        let name: String =
            name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == ':').take(12).collect();
        let name = name.to_ascii_lowercase();
        foreign |= name == "svg" || name == "math";
        if name.is_empty() || (!foreign && SELF_CLOSING.contains(&name.as_str())) {
            continue;
        }
        depth = if closing { depth.saturating_sub(1) } else { depth + 1 };
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_dangerous_and_nothing_that_calls_home_is_left() {
        let page = read(
            "<html><head><title>t</title><style>p{}</style></head><body onload=x()><script>alert(1)</script>\
             <p style='background:url(http://spy)'>Hi <a href='javascript:x()'>a</a> <a href='https://x.ua/'>b</a>\
             <img src='http://spy/1.gif'><img src='cid:logo@x'><img src=' data:x'></p><iframe src=//e></iframe>\
             <form action=/x><input></form></body></html>",
        );
        let html = page.html.unwrap();
        for bad in ["script", "spy", "style", "javascript", "iframe", "form", "onload", "data:"] {
            assert!(!html.contains(bad), "{bad} in {html}");
        }
        assert!(html.contains("cid:logo@x") && html.contains("https://x.ua/"), "{html}");
        assert!(page.text.starts_with("Hi a b"), "{}", page.text);
    }

    #[test]
    fn a_quote_is_marked_in_the_text() {
        let page =
            read("<div>Дякую!</div><div>On Monday X wrote:<blockquote><p>a</p><p>b</p></blockquote></div>");
        assert_eq!(page.text, "Дякую!\nOn Monday X wrote:\n\n> a\n>\n> b");
    }

    #[test]
    fn beside_a_text_a_page_gives_its_own_only_where_it_cannot_be_shown() {
        let shown = "<div>Hi <script>x</script><b>there</b></div>";
        assert_eq!(read_beside_text(shown), Page { text: String::new(), ..read(shown) });
        let deep = format!("{}hello", "<div>".repeat(DEEPEST + 1));
        assert_eq!(read_beside_text(&deep), read(&deep));
        assert_eq!(read_beside_text(&deep).text, "hello");
    }

    #[test]
    fn what_is_too_deep_or_too_large_gives_its_text() {
        let deep = format!("{}hello{}", "<div>".repeat(20_000), "</div>".repeat(20_000));
        assert_eq!(read(&deep), Page { html: None, text: "hello".into(), cut: true });
        let almost = format!("{}hello{}", "<div>".repeat(DEEPEST), "</div>".repeat(DEEPEST));
        let page = read(&almost);
        assert!(!page.cut && page.text == "hello" && page.html.is_some());
        let large = format!("<b>x</b>{}", "ж ".repeat(LARGEST));
        let page = read(&large);
        assert!(page.cut && page.html.is_none() && page.text.starts_with('x'));
        let list = format!("<ul>{}</ul>", "<li>a".repeat(2000));
        assert!(!read(&list).cut, "a long list is not deep");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn nothing_fails_and_nothing_runs(pieces in proptest::collection::vec(
            prop_oneof![
                Just("<script>"), Just("</script>"), Just("<img src=x onerror=y>"), Just("<svg/onload=z>"), Just("<table><td>"), Just("</table>"),
                Just("<!--"), Just("-->"), Just("<a href=\"javascript:x\">"), Just("<b"), Just("&#x6a;"), Just("text"), Just("<math><mtext>"), Just("<style>"),
                Just("<blockquote>"), Just("<pre>"), Just("\u{0}"), Just("<ul><li>"), Just("ж"), Just("</p>"), Just("<![CDATA["),
            ], 0..40)) {
            let page = read(&pieces.concat());
            let html = page.html.unwrap_or_default();
            for tag in html.split('<').skip(1).filter_map(|piece| piece.split('>').next()) {
                let bad = ["script", "onerror", "onload", "svg", "style", "math", "src"];
                prop_assert!(bad.iter().all(|bad| !tag.contains(bad)), "{}", html);
            }
        }
    }
}
