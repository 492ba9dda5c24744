//! The chat: a widget for web sites, its socket, and our answers back through it.
//!
//! A visitor writes; the line becomes a [`contact::Event`], is handed to [`connector::Intake`], and only
//! then acknowledged. What is recorded, both sides' lines, is read back through [`connector::Thread`] and
//! sent to every place where the visitor is connected, also by other processes.
//!
//! It never shows a visitor anything but their own recorded lines, never believes what a visitor types about
//! themselves, never keeps or logs a visitor's secret or token, and knows neither NATS nor SQL.
//!
//! Reading order: [`frame`] (what is said, below as a protocol), [`config`] (a `[chat.<name>]` table becomes
//! a [`Widget`]), [`door`] (the routes, who may come in, how much), [`visitor`] and [`token`] (who it is),
//! `talk` (what becomes of a frame), `sessions` (which contact a line belongs to), [`normalise`] (the event),
//! `deliver` (reading back, in order and without a gap), `hub` (signs of life to those connected),
//! `socket` and `poll` (the two ways in), `courier` (our answers), `page` (widget and demo page),
//! `limits`, `origin`, `claims`, [`address`], `problem`, [`secret`].
//!
//! # The protocol
//!
//! For any client, not only our widget. `GET /chat/{source}/socket` is a WebSocket (RFC 6455) with JSON text
//! frames. Unknown fields are ignored on both sides, so that either may be newer.
//!
//! The client says `hello` first, within 10 seconds:
//!
//! ```json
//! {"type":"hello","visitor":null,"token":null,"after":null,"page":{"url":"https://…","title":"…"}}
//! ```
//!
//! - `visitor`: the secret of an earlier `welcome`, or null for a new one. Nothing is kept of a visitor who
//!   never writes. What is no such secret is taken for null. It is a secret: whoever has it reads the chat.
//! - `token`: a JWT (HS256) by which the site says who it is: `sub` and `exp` required; `email`, `phone`,
//!   `name` optional and proved by it. With it the visitor is `sub`, and `visitor` is ignored.
//! - `after`: the number of the last line the client has. Every later line follows, both sides'. 0: all of
//!   them; null: only those that come from now on.
//!
//! The answer is `{"type":"welcome","visitor":"…","seq":17}`: the secret to keep (null behind a token), and
//! the number of the last recorded line, 0 when there is none, null while what is recorded cannot be read.
//! In that case everything else works, and the lines follow as soon as they can be read.
//!
//! Then the client may send, in any order:
//!
//! ```json
//! {"type":"message","id":"6c0a…","text":"…"}
//! {"type":"identify","id":null,"email":"…","phone":"…","name":"…"}
//! {"type":"typing"}
//! {"type":"read","seq":19}
//! {"type":"ping"}
//! ```
//!
//! - `message`: `id` is the client's own, 1 to 64 of `A-Z a-z 0-9 - _`, a UUID at best. `ack` means: it is on
//!   a disk, and cannot be lost any more. Without an `ack` the client sends it again with the same `id`, as
//!   often as it takes: it is one line. The text is trimmed, and control characters are taken out.
//! - `identify`: what the visitor typed about themselves, at least one of the three. It is acknowledged
//!   when it has an `id`.
//! - `read`: the visitor has seen every line up to this number.
//! - `ping`: is answered with `{"type":"pong"}`, for scripts, which cannot send a WebSocket's own.
//!
//! The server sends:
//!
//! ```json
//! {"type":"ack","id":"6c0a…"}
//! {"type":"message","id":"…","seq":19,"from":"agent","name":"Mia","text":"…","at":"2026-11-21T10:15:02Z"}
//! {"type":"typing","name":"Mia"}
//! {"type":"read","seq":19}
//! {"type":"error","code":"…","detail":"…","id":null,"field":null,"retry_after":null}
//! ```
//!
//! - `message`: a recorded line. `seq` grows strictly, with no line left out and none twice on one connection.
//!   With `"from":"visitor"` it is the visitor's own, with their `id`, and `name` is null.
//! - `read`: how far the visitor has read, on this connection or another.
//! - `error`: `detail` is a sentence for a developer; `id` names the message it is about; `retry_after` is in
//!   seconds. The last three are there where they say something.
//!
//! | code | meaning | and then |
//! |---|---|---|
//! | `bad_frame` | no JSON object, or a field of the wrong kind | |
//! | `unknown_type` | a `type` that is not known here | |
//! | `hello_first` | something else came before `hello` | |
//! | `bad_id`, `empty`, `too_long` | the line is not kept and never will be | do not send it again |
//! | `bad_claim` | the e-mail address or number is none; see `field` | ask again |
//! | `not_now` | it could not be kept | send it again after `retry_after` |
//! | `slow_down` | too much at once | send it again after `retry_after`; after a hello close 4008 |
//! | `bad_token`, `expired_token` | the token proves nothing | close 4001 |
//! | `too_many` | too many connections of this visitor | close 4009 |
//!
//! | close | meaning |
//! |---|---|
//! | 1001 | the server is stopping: connect again, after a second or two |
//! | 1003 | a binary frame |
//! | 1009 | a frame larger than the bound, or no text (some clients see the connection reset) |
//! | 4001 | the token is bad or expired: do not connect again with it |
//! | 4002 | silence: no `hello` in time, no answer to two pings, or what was sent was not read |
//! | 4008 | flood: connect again after a minute |
//! | 4009 | too many connections of this visitor |
//!
//! The server pings every 25 seconds. Before the WebSocket is opened a refusal is a problem (RFC 9457): 403
//! for an origin that is not listed, 404 for an unknown widget, 429 and 503 with `Retry-After`.
//!
//! Where no WebSocket can be opened, `POST /chat/{source}/poll` takes an array of the same frames, `hello`
//! first, and answers with an array: `welcome`, what there is to say to each frame, and every line after
//! `hello.after`. When there is nothing to say it waits up to 25 seconds for something to happen. The client
//! then asks again with the `visitor` it was given and `after` = the last `seq` it knows (first
//! `welcome.seq`). Nothing is remembered between two requests. The body's media type does not matter;
//! `text/plain` saves browsers a preflight.

pub mod address;
mod claims;
pub mod config;
mod courier;
mod deliver;
pub mod door;
pub mod frame;
mod hub;
mod limits;
pub mod normalise;
mod origin;
mod page;
mod poll;
mod problem;
mod sessions;
mod socket;
mod talk;
pub mod token;
pub mod visitor;

use std::collections::BTreeMap;

use contact::SourceName;

pub use config::{Config, Problem, Widget};
pub use connector::Secret;
pub use door::{Doors, Pace, connect};

/// Every configured widget by its source.
pub type Widgets = BTreeMap<SourceName, Widget>;
