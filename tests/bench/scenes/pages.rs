//! Pages of 50 timeline entries: over HTTP, with a token, as JSON; beside the bare read of as many rows of
//! the hand-made table through the same driver.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::figures::{Figure, Report, Target, percentile_ms};
use crate::handmade::store::Store;
use crate::hooks::regulars;
use crate::http;
use crate::lab::Lab;
use crate::load::read;
use crate::machine::micros;
use crate::numbers::Random;

/// Whose timelines are read.
const CLIENTS: u64 = 200;

pub(crate) async fn measure(lab: &mut Lab, report: &Report) -> anyhow::Result<()> {
    let store = Arc::new(lab.by_hand.store().await?);
    let callers = regulars(CLIENTS);
    let mut by_hand = Vec::new();
    let mut paths = Vec::new();
    for caller in &callers {
        let encoded = caller.replace('+', "%2B");
        let Some(client) = store.client(&encoded).await? else { continue };
        by_hand.push(client);
        let (status, body) =
            http::get(lab.desk.addr, &format!("/v1/clients?phone={encoded}"), &lab.token).await?;
        ensure!(status == 200, "looking up a client answered {status}");
        let found: Value = serde_json::from_slice(&body).context("a list of clients is no JSON")?;
        let id = found.pointer("/items/0/id").and_then(Value::as_str).context("a caller is no client")?;
        paths.push(format!("/v1/clients/{id}/timeline?limit=50"));
    }
    let (by_hand, paths) = (Arc::new(by_hand), Arc::new(paths));
    let during = Duration::from_secs(u64::from(lab.size.seconds).div_ceil(2));
    let mut figures = Vec::new();
    for readers in [1, 4] {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        let (mut bare99, mut ours99) = (Vec::new(), Vec::new());
        for _ in 0..lab.size.rounds {
            let (per_s, latencies) = read_bare(&store, &by_hand, readers, during).await?;
            bare.push(per_s);
            bare99.push(percentile_ms(&latencies, 0.99));
            let sent = read(lab.desk.addr, &paths, &lab.token, readers, during).await?;
            ensure!(sent.refused == 0, "{} pages were refused", sent.refused);
            ours.push(sent.per_s());
            ours99.push(percentile_ms(&sent.latencies, 0.99));
        }
        let who = if readers == 1 { "1 reader".to_owned() } else { format!("{readers} readers") };
        figures.push(Figure::new(format!("pages, {who}"), "per s", bare, ours, Target::Part(0.7)));
        figures.push(Figure::new(format!("p99 of a page, {who}"), "ms", bare99, ours99, Target::None));
    }
    let (_, body) = http::get(lab.desk.addr, paths.first().context("nobody called")?, &lab.token).await?;
    let page: Value = serde_json::from_slice(&body).context("a page is no JSON")?;
    let entries = page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
    let rows = store.count().await?;
    report.heading(
        "Timeline pages of 50: GET /v1/clients/{id}/timeline, beside the bare read of the hand-made table",
    );
    for figure in &figures {
        report.figure(figure);
    }
    report.note(&format!(
        "{rows} rows in the hand-made table; a page of ours had {entries} entries, {} bytes",
        body.len()
    ));
    Ok(())
}

async fn read_bare(
    store: &Arc<Store>,
    clients: &Arc<Vec<i64>>,
    readers: usize,
    during: Duration,
) -> anyhow::Result<(f64, Vec<u32>)> {
    let began = micros();
    let until = began + u64::try_from(during.as_micros()).unwrap_or(0);
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let (store, clients) = (store.clone(), clients.clone());
        tasks.spawn(async move {
            let (mut random, mut latencies) = (Random(reader as u64 + 11), Vec::new());
            while micros() < until {
                let since = micros();
                let client = clients.get(random.place(clients.len())).context("nobody called")?;
                store.page(*client).await?;
                latencies.push(u32::try_from(micros() - since).unwrap_or(u32::MAX));
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done.context("a reader ended badly")??);
    }
    Ok((latencies.len() as f64 * 1e6 / (micros() - began) as f64, latencies))
}
