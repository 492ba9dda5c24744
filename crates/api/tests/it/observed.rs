//! What the operator sees of requests, in the log and in the metrics.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::PrometheusBuilder;
use timeline::Role;
use tracing::Level;

use crate::house::{House, missed};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_cause_and_nobodys_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let house = House::new();
    let mia = house.person(Role::Agent).await;
    house.records(missed("CA1", Some("+380441234567"), 0)).await;
    assert_eq!(mia.get("/v1/clients?phone=%2B380441234567").await.items().len(), 1);
    house.store.broken.store(true, Ordering::Relaxed);
    let failed = mia.get("/v1/clients?phone=%2B380441234567").await;
    assert_eq!(failed.status, 500);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("no such table")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in
        ["ERROR", "could not read: no such table: secrets", "/v1/clients", failed.header("x-request-id")]
    {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    for secret in [mia.secret.as_deref().unwrap(), "380441234567", "Олена"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_streams_while_they_live() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let house = House::new();
    let mia = house.person(Role::Agent).await;
    for path in ["/v1/clients", "/v1/clients?q=x", "/v1/clients/12", "/v1/clients/13", "/nothing", "/else"] {
        mia.get(path).await;
    }
    mia.send("BREW", "/v1/clients", &[], "").await;
    let stream = mia.open("GET", "/v1/events", &[], "").await;
    let lines = |start: &str| {
        let text = recorder.handle().render();
        let found = text.lines().filter(|line| line.starts_with(start)).map(str::to_owned);
        let mut found: Vec<_> = found.collect();
        found.sort();
        found
    };
    assert_eq!(
        lines("frontdesk_http_requests_total"),
        [
            r#"frontdesk_http_requests_total{route="/v1/clients",method="GET",status="200"} 2"#,
            r#"frontdesk_http_requests_total{route="/v1/clients",method="other",status="405"} 1"#,
            r#"frontdesk_http_requests_total{route="/v1/clients/{id}",method="GET",status="400"} 2"#,
            r#"frontdesk_http_requests_total{route="/v1/events",method="GET",status="200"} 1"#,
            r#"frontdesk_http_requests_total{route="unmatched",method="GET",status="404"} 2"#,
        ]
    );
    assert_eq!(lines("frontdesk_http_request_seconds_count").len(), 4);
    assert_eq!(lines("frontdesk_sse_subscribers"), ["frontdesk_sse_subscribers 1"]);
    drop(stream);
    assert_eq!(lines("frontdesk_sse_subscribers"), ["frontdesk_sse_subscribers 0"]);
}
