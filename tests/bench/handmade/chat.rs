//! A chat by hand: a line is acked when it is in the spool, flushed, and then published for the recorder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use memchr::memmem;

use super::{House, ROWS};

/// What stands before a line's id in a frame, and its length.
const ID: (&[u8], usize) = (b"\"id\":\"", 34);

pub(super) async fn chat(State(house): State<Arc<House>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| talk(house, socket))
}

/// Ends when the visitor hangs up, or when a line cannot be kept.
async fn talk(house: Arc<House>, mut socket: WebSocket) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let visitor = NEXT.fetch_add(1, Ordering::Relaxed);
    while let Some(Ok(Message::Text(frame))) = socket.recv().await {
        let frame = frame.as_str();
        let Some(id) = id(frame) else {
            if socket.send(Message::text(r#"{"type":"welcome"}"#)).await.is_err() {
                return;
            }
            continue;
        };
        if !house.spool.append(Bytes::copy_from_slice(frame.as_bytes())).await {
            return;
        }
        if socket.send(Message::text(format!(r#"{{"type":"ack","id":"{id}"}}"#))).await.is_err() {
            return;
        }
        let event = format!("From=visitor{visitor}&CallSid={id}&{frame}");
        if house.broker.publish(ROWS.1, event.into()).await.is_err() {
            return;
        }
    }
}

fn id(frame: &str) -> Option<&str> {
    let at = memmem::find(frame.as_bytes(), ID.0)? + ID.0.len();
    frame.get(at..at + ID.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_an_id_is_a_line() {
        let sid = "CA000000000000000000000000000000ff";
        assert_eq!(id(&format!(r#"{{"type":"message","id":"{sid}","text":"x"}}"#)), Some(sid));
        assert_eq!(id(r#"{"type":"hello","visitor":null}"#), None);
    }
}
