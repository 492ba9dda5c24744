//! The files that came with a mail: offered as files, never run.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use contact::{ContactId, Raw};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::contacts::{find, payload};
use crate::extract::{Id, Sha256Hex};
use crate::problem::Problem;

/// What a sender may label a file and is believed: a browser shows these and runs nothing in them.
/// Whatever else it is, it is bytes.
const SHOWN: [&str; 6] =
    ["application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain"];
/// In letters; longer ones trouble file systems.
const LONGEST_NAME: usize = 120;
const NAMELESS: &str = "attachment";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(attachment))
}

/// One file of a mail, decoded.
///
/// Untrusted bytes: they are offered as a file under a harmless name and never run in a browser. The media
/// type is the sender's only where it is an image (GIF, JPEG, PNG, WebP), a PDF or plain text.
#[utoipa::path(get, path = "/v1/contacts/{id}/attachments/{sha256}", tag = "contacts", operation_id = "getAttachment",
    params(("id" = String, Path, description = "The contact's id, `con_…`."),
        ("sha256" = String, Path, description = "The file's `sha256`, as the mail's `attachments` tell it.")),
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream")))]
async fn attachment(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ContactId>,
    Sha256Hex(sha256): Sha256Hex,
) -> Result<Response, Problem> {
    let (_, events) = find(&app, id).await?;
    let raw = events.iter().find_map(|logged| raw_with(payload(logged), &sha256));
    let raw = raw.ok_or_else(|| Problem::missing("the contact has no such attachment"))?;
    let found = app.desk.attachment(&raw, &sha256).await?;
    let (file, bytes) = found.ok_or_else(|| Problem::missing("the bytes are not kept any more"))?;
    let media_type = SHOWN.into_iter().find(|shown| shown.eq_ignore_ascii_case(&file.media_type));
    let media_type = HeaderValue::from_static(media_type.unwrap_or("application/octet-stream"));
    Ok(offered(bytes, media_type, disposition(file.name.as_deref().unwrap_or(NAMELESS))))
}

/// The raw of an event that lists this file.
fn raw_with(mut event: Value, sha256: &str) -> Option<Raw> {
    let files = event.pointer("/data/email/attachments")?.as_array()?;
    files.iter().find(|file| file["sha256"] == sha256)?;
    serde_json::from_value(event.pointer_mut("/data/raw")?.take()).ok()
}

/// Bytes of strangers: a file to be kept, in which no browser runs anything.
pub(crate) fn offered(bytes: Bytes, media_type: HeaderValue, disposition: HeaderValue) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

/// A file to be kept under this name, twice: for whoever reads ASCII only, and whole (RFC 6266 section 5,
/// RFC 8187 section 3.2).
fn disposition(name: &str) -> HeaderValue {
    let name = harmless(name);
    let plain: String =
        name.chars().map(|c| if c.is_ascii() && !matches!(c, '"' | '%' | '\\') { c } else { '_' }).collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"))
        .unwrap_or(HeaderValue::from_static(NAMELESS))
}

/// A name that leads nowhere and reads as it is: no path, nothing hidden, nothing that turns the writing
/// round (`gpj.exe`).
fn harmless(name: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !turns(*c))
        .map(|c| if matches!(c, '/' | '\\' | ':') { '_' } else { c })
        .take(LONGEST_NAME)
        .collect();
    let name = name.trim().trim_start_matches('.').trim();
    if name.is_empty() { NAMELESS.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_leads_nowhere_and_reads_as_it_is() {
        for (name, header) in [
            ("invoice 7.pdf", r#"filename="invoice 7.pdf"; filename*=UTF-8''invoice%207.pdf"#),
            (
                "рахунок.pdf",
                r#"filename="_______.pdf"; filename*=UTF-8''%D1%80%D0%B0%D1%85%D1%83%D0%BD%D0%BE%D0%BA.pdf"#,
            ),
            ("../../etc/passwd", r#"filename="_.._etc_passwd"; filename*=UTF-8''_.._etc_passwd"#),
            (
                "a\"; filename=\"b.exe\r\nX: y",
                r#"filename="a_; filename=_b.exeX_ y"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exeX_%20y"#,
            ),
            ("photo\u{202e}gpj.exe", r#"filename="photogpj.exe"; filename*=UTF-8''photogpj.exe"#),
            (" .. ", r#"filename="attachment"; filename*=UTF-8''attachment"#),
        ] {
            assert_eq!(disposition(name).to_str().unwrap(), format!("attachment; {header}"), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_too_strange_for_a_header(name in any::<String>()) {
            let header = disposition(&name);
            let header = header.to_str().unwrap();
            prop_assert!(header.starts_with("attachment; filename=\""));
            prop_assert_eq!(header.matches('"').count(), 2);
        }
    }
}
