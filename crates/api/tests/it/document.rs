//! The OpenAPI document is the contract: it equals its snapshot, and says what is true.

use serde_json::Value;

use crate::house::House;

#[test]
fn the_document_is_the_one_we_agreed_on() {
    insta::assert_json_snapshot!(api::openapi());
}

#[tokio::test]
async fn the_document_is_served_as_it_is_printed() {
    let house = House::new();
    let served = house.stranger().get("/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json(), serde_json::to_value(api::openapi()).unwrap());
}

#[tokio::test]
async fn every_documented_operation_is_there_closed_and_described() {
    let house = House::new();
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            count += 1;
            let name = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
            assert!(operation["operationId"].is_string() && operation["tags"].is_array(), "{name}");
            let real = path.replace("{id}", "00000000000000000000000000000000").replace("{sha256}", "00");
            let real = real.replace(['{', '}'], "");
            let answer = house.stranger().send(&method.to_uppercase(), &real, &[], "").await;
            if operation["security"].is_array() {
                assert_eq!(answer.status, 200, "{name} is open");
            } else {
                assert_eq!(answer.status, 401, "{name} is closed");
                assert_eq!(
                    operation["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"],
                    "#/components/schemas/Problem",
                    "{name}"
                );
            }
        }
    }
    assert_eq!(count, 60);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn visit(value: &Value, document: &Value, seen: &mut usize) {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    *seen += 1;
                }
                map.values().for_each(|value| visit(value, document, seen));
            }
            Value::Array(list) => list.iter().for_each(|value| visit(value, document, seen)),
            _ => {}
        }
    }
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut seen = 0;
    visit(&document, &document, &mut seen);
    assert!(seen > 50);
}

#[tokio::test]
async fn the_page_comes_from_us_and_runs_nothing_else() {
    let house = House::new();
    let stranger = house.stranger();
    assert_eq!(stranger.get("/docs").await.header("location"), "/docs/");
    let page = stranger.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("https://"), "nothing is fetched from elsewhere: {}", page.text());
    assert!(page.header("content-security-policy").starts_with("default-src 'self';"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let script = stranger.get("/docs/swagger-initializer.js").await;
    assert!(script.text().contains("/openapi.json"));
    assert!(stranger.get("/docs/swagger-ui-bundle.js").await.body.len() > 1_000_000);
}
