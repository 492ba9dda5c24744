//! `frontdesk simulate chat`: a visitor writes one line, through the door for those without a WebSocket.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{chosen, furnished, say};
use crate::cli::SimulateChat;
use crate::config::Config;
use crate::{demo, wire};

pub(crate) async fn run(config: &Config, chat: SimulateChat) -> anyhow::Result<ExitCode> {
    let config = furnished(config)?;
    let source = chosen(chat.source.as_deref(), config.chat.keys())?;
    let widget = config.chat.get(source).with_context(|| format!("no widget is called `{source}`"))?;
    let token = match &chat.user {
        None if chat.email.is_some() || chat.phone.is_some() => {
            bail!("--email and --phone are said of somebody who is signed in: give --user")
        }
        None => None,
        Some(user) => {
            let claims = json!({ "sub": user, "email": chat.email, "phone": chat.phone, "name": chat.name });
            Some(token(widget, source, claims)?)
        }
    };
    let id = demo::random_hex(16)?;
    let url = format!("http://{}", config.http.listen);
    let frames = json!([
        { "type": "hello", "visitor": null, "token": token, "after": null, "page": { "url": format!("{url}/") } },
        { "type": "message", "id": id, "text": chat.text },
    ]);
    let post = format!("{url}/chat/{source}/poll");
    let http = crate::commands::http().timeout(Duration::from_secs(40)).build()?;
    let answer = http.post(&post).header("Origin", &url).json(&frames).send().await;
    let answer = answer.with_context(|| format!("could not reach {post}; is `frontdesk up` running?"))?;
    let (status, told) = (answer.status(), answer.text().await.unwrap_or_default());
    let said: Vec<Value> = serde_json::from_str(&told).unwrap_or_default();
    if !said.iter().any(|frame| frame["type"] == "ack" && frame["id"] == json!(id)) {
        bail!("{post} answered {status}: {told}");
    }
    say(format_args!("{id} from {}", chat.user.as_deref().unwrap_or("a visitor")));
    Ok(ExitCode::SUCCESS)
}

/// A token by which the widget's site says who is signed in, for five minutes.
pub(in crate::commands) fn token(
    widget: &connector_chat::Config,
    source: &str,
    mut claims: Value,
) -> anyhow::Result<String> {
    let secret = match (&widget.identity_secret, &widget.identity_secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(file)) => connector_chat::Secret::from_file(file)
            .with_context(|| format!("could not read {}", file.display()))?,
        (None, None) => bail!("the widget `{source}` has no identity_secret to sign with"),
    };
    claims["exp"] = json!((wire::real_clock()() + SignedDuration::from_mins(5)).as_second());
    (claims["aud"], claims["iss"]) = (json!(widget.audience), json!(widget.issuer));
    Ok(signed(claims, secret.expose()))
}

/// A JWT signed with HS256 (RFC 7515), without the claims there are none of.
fn signed(mut claims: Value, secret: &[u8]) -> String {
    if let Value::Object(fields) = &mut claims {
        fields.retain(|_, value| !value.is_null());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(head.as_bytes());
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
