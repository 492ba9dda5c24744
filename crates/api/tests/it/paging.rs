//! Pages neither skip nor repeat.

use proptest::prelude::*;
use serde_json::Value;
use timeline::Role;

use crate::house::{House, Person, letter, missed};

/// Every item of a list, page by page.
async fn walk(person: &Person, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = person.get(&format!("{path}?limit={limit}&cursor={cursor}")).await;
        let items = page.items();
        assert!(items.len() <= limit);
        all.extend(items);
        match page.json()["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Also when many entries share a moment, and when some come in while somebody reads.
    #[test]
    fn a_timeline_read_in_pages_is_the_timeline(
        moments in proptest::collection::vec(0i64..4, 1..30),
        late in proptest::collection::vec(0i64..4, 0..5),
        limit in 1usize..9,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let mia = house.person(Role::Reader).await;
            let number = Some("+380441234567");
            for (n, at) in moments.iter().enumerate() {
                house.records(missed(&format!("CA{n}"), number, *at)).await;
            }
            let id = mia.get("/v1/clients").await.items()[0]["id"].as_str().unwrap().to_owned();
            let path = format!("/v1/clients/{id}/timeline");
            let whole = mia.get(&format!("{path}?limit=200")).await.items();
            assert_eq!(whole.len(), moments.len());
            assert_eq!(walk(&mia, &path, limit).await, whole);
            assert_eq!(walk(&mia, "/v1/contacts", limit).await.len(), moments.len());

            // What was there at the first page is there once, whatever comes in after it.
            let first = mia.get(&format!("{path}?limit={limit}")).await.json();
            for (n, at) in late.iter().enumerate() {
                house.records(missed(&format!("CB{n}"), number, *at)).await;
            }
            let mut seen = first["items"].as_array().unwrap().clone();
            let mut cursor = first["next"].as_str().map(str::to_owned);
            while let Some(at) = cursor {
                let page = mia.get(&format!("{path}?limit={limit}&cursor={at}")).await.json();
                seen.extend(page["items"].as_array().unwrap().clone());
                cursor = page["next"].as_str().map(str::to_owned);
            }
            let mut ids: Vec<_> = seen.iter().map(|entry| entry["id"].to_string()).collect();
            ids.sort();
            let count = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), count, "nothing twice");
            assert!(whole.iter().all(|entry| seen.contains(entry)), "nothing skipped");
        });
    }
}

#[tokio::test]
async fn every_list_pages() {
    let house = House::new();
    let ada = house.person(Role::Admin).await;
    let (letters, mut suspects) = ((0..7).map(letter).collect::<Vec<_>>(), Vec::new());
    timeline::Store::bury(house.store.as_ref(), &letters).await.unwrap();
    for n in 0..7 {
        house.records(missed(&format!("CA{n}"), Some(&format!("+38044123456{n}")), n)).await;
        suspects.push(crate::house::suspect(&n.to_string()));
    }
    let bounds = timeline::HoldBounds { per_source: 100, bytes_per_source: 1 << 20 };
    timeline::Store::hold(house.store.as_ref(), &suspects, bounds).await.unwrap();
    for list in ["clients", "contacts", "conversations", "dead-letters", "quarantine"] {
        let path = format!("/v1/{list}");
        let whole = ada.get(&path).await.items();
        assert_eq!(whole.len(), 7, "{list}");
        for limit in [1, 2, 3, 6, 7, 8] {
            assert_eq!(walk(&ada, &path, limit).await, whole, "{list} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let house = House::new();
    let mia = house.person(Role::Reader).await;
    for n in 0..2 {
        house.records(missed(&format!("CA{n}"), Some(&format!("+38044123456{n}")), n)).await;
    }
    let cursor = mia.get("/v1/clients?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    let answer = mia.get(&format!("/v1/contacts?cursor={cursor}")).await;
    assert_eq!(
        answer.problem(),
        "400 [cursor] this is no cursor of this list; take it from `next` of the page before"
    );
}
