//! A20: calls that are given up at any moment. Whoever lost the answer asks again and goes on; nobody gets another's answer.

use std::time::Duration;

use tokenbind_proto::v1::{IssueTokenResponse, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, password};
use tokio::time::timeout;

use crate::fixture::{PASSWORD, Shop};

tokenbind_tests::on_every_backend!(a20_a_lost_answer_is_asked_for_again);

const DEVICES: u64 = 8;
const ROUNDS: u64 = 20;

async fn a20_a_lost_answer_is_asked_for_again(stack: Stack) {
    let shop = Shop::create(&stack, TokenFormat::Jwt, 3).await;
    let last = futures::future::join_all((0..DEVICES).map(|device| run(&stack, &shop, device))).await;
    for token in &last {
        stack.assert_live(&shop.api, &token.access_token).await;
    }
}

/// One device that logs in, and gives up its refresh after a while that differs each time.
async fn run(stack: &Stack, shop: &Shop, device: u64) -> IssueTokenResponse {
    let device_id = format!("phone-{device}");
    let mut last = None;
    for round in 0..ROUNDS {
        let login = password("ada", PASSWORD).bound_to(&device_id);
        let token = stack.issue(&shop.app, login).await.unwrap();
        let patience = Duration::from_micros((round * 977 + device * 331) % 4_000);
        let given_up = timeout(patience, shop.refresh(stack, &token)).await;
        let next = match given_up {
            Ok(answer) => answer.unwrap(),
            // Perhaps it was done, perhaps not, perhaps it will be.
            Err(_) => shop.refresh(stack, &token).await.unwrap(),
        };
        let again = shop.refresh(stack, &token).await.unwrap();
        assert_eq!(again.refresh_token, next.refresh_token);
        assert_eq!(again.binding, token.binding, "another device's answer");
        assert_ne!(next.refresh_token, token.refresh_token);
        last = Some(again);
    }
    last.unwrap()
}
