use std::time::Instant;
use contact::*; use timeline::*; use jiff::Timestamp;
fn ev(n: u64) -> Arrival {
    let src: SourceName = "phone/main-line".parse().unwrap();
    let t: Timestamp = Timestamp::from_microsecond(1_795_000_000_000_000 + n as i64 * 1000).unwrap();
    let h = n.wrapping_mul(0x9E3779B97F4A7C15);
    let party = |v: String| Party{kind: IdentifierKind::Phone, value: Some(v.clone()), raw: v, name: None};
    let event = Event { key: EventKey{source: src.clone(), id: format!("CA{h:032x}:ended:00000000")}, contact: ContactKey::new(&src, &format!("CA{h:032x}")),
      occurred_at: t, received_at: t, traceparent: None, direction: Direction::Inbound, trust: Trust::Verified,
      from: Some(party(format!("+38044{:07}", h % 10_000))), to: vec![party("+380800500500".into())],
      content: Content::Call(CallChange{state: Some(CallState::Ended), outcome: Some(Outcome::Missed), ..Default::default()}),
      raw: Some(RawBytes::new("text/plain", "x".repeat(500)).inline()) };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival{event, payload, recorded_at: t}
}
#[tokio::test(flavor="multi_thread", worker_threads=2)]
async fn measure() {
    let dir = tempfile::tempdir_in("/work/main/target").unwrap();
    let pg = store::testing::Postgres::start().unwrap();
    let mut n = 0;
    for url in [format!("sqlite://{}", dir.path().join("a.db").display()), format!("sqlite://{}", dir.path().join("b.db").display())] {
        let s = store::open(&url, store::Options::default()).await.unwrap();
        for (size, count) in [(1usize, 300), (2, 300), (31, 60), (512, 20), (511, 20), (512, 20)] {
            let mut lat = vec![]; let (mut tr, mut tw, mut tc, mut ta) = (0.0,0.0,0.0,0.0);
            for _ in 0..count {
                let b: Vec<_> = (0..size).map(|_| {n += 1; ev(n)}).collect();
                let t = Instant::now();
                let w = timeline::attach::wanted(&b);
                let mut tx = s.begin().await.unwrap();
                let t1 = Instant::now();
                let k = tx.read(&w).await.unwrap(); tr += t1.elapsed().as_secs_f64();
                let t2 = Instant::now();
                let c = attach(k, b, Mode::Live); ta += t2.elapsed().as_secs_f64();
                let t3 = Instant::now();
                tx.write(&c).await.unwrap(); tw += t3.elapsed().as_secs_f64();
                let t4 = Instant::now();
                tx.commit().await.unwrap(); tc += t4.elapsed().as_secs_f64();
                lat.push(t.elapsed().as_secs_f64()*1e3);
            }
            let total: f64 = lat.iter().sum::<f64>()/1e3;
            lat.sort_by(f64::total_cmp);
            let f = 1e3/count as f64;
            println!("{} batch {size}: {:.0}/s p50 {:.2} p99 {:.2} ms (read {:.2} attach {:.2} write {:.2} commit {:.2})", &url[..6], (size*count) as f64/total, lat[lat.len()/2], lat[lat.len()*99/100], tr*f, ta*f, tw*f, tc*f);
        }
    }
}
