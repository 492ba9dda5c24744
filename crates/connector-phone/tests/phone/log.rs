//! Each hook is logged once, and the log holds neither addresses nor secrets nor what was sent.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use tracing_subscriber::fmt::MakeWriter;

use crate::{Desk, PATH, PATH_SECRET, signed};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Paper {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_hook_is_logged_once_and_discreetly() {
    let paper = Paper::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(paper.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let desk = Desk::new();
    let call = b"CallSid=CA1&From=%2B442079460018&CallerName=Olena&CallStatus=ringing";
    let unreadable = b"CallSid=CA1&From=%2B442079460018&CallerName=Olena&CallStatus=Olena";
    let forged = Request::post(PATH).header("x-twilio-signature", "Zm9yZ2Vk").body(Body::from(call.to_vec()));
    let walled = format!("/hooks/phone/walled/{PATH_SECRET}");
    for (request, level) in [
        (signed(PATH, call), "DEBUG"),
        (signed(PATH, unreadable), "WARN"),
        (forged.unwrap(), "WARN"),
        (signed(&walled, call), "DEBUG"),
        (signed(&format!("{walled}x"), call), "DEBUG"),
    ] {
        desk.send(request).await;
        let written = paper.take();
        assert_eq!(written.lines().filter(|line| line.contains("connector_phone")).count(), 1, "{written}");
        assert!(written.contains(level), "{written}");
        for private in ["2079460018", "Olena", "demo-twilio", PATH_SECRET, "Zm9yZ2Vk"] {
            assert!(!written.contains(private), "{private} in {written}");
        }
    }
}
