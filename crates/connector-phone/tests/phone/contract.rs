//! The contract of every connector, over each sample's body, signed as it then is.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use connector::testing::{MemoryIntake, Rig, Told, contract};

use crate::{Desk, body_of, samples};

struct Telephone;

#[async_trait]
impl Rig for Telephone {
    fn fixtures(&self) -> Vec<(String, Vec<u8>)> {
        samples().into_iter().map(|(name, message)| (name, body_of(&message))).collect()
    }

    async fn deliver(&self, intake: Arc<MemoryIntake>, input: &[u8]) -> Told {
        let told = Desk::over(intake).post(input).await;
        match told.status {
            status if status.is_success() => Told::GotIt,
            StatusCode::SERVICE_UNAVAILABLE => Told::NotNow,
            status if status.is_client_error() => Told::Refused,
            status => panic!("a sender is never told {status}: {}", told.body),
        }
    }
}

#[tokio::test]
async fn the_telephone_keeps_the_contract() {
    contract(&Telephone).await;
}
