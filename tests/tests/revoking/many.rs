//! Case 12, as far as a caller can bring it about in a few seconds: 2,000 slots of one subject. The index's own suite has
//! more.

use futures::{StreamExt as _, stream};
use tokenbind_proto::v1::{Reason, TokenFormat};
use tokenbind_tests::{Ask as _, Backend, Stack, client_credentials};

use crate::fixture::{Caller, list, own, revoke_subject};

const SLOTS: usize = 2_000;

#[tokio::test]
async fn case_12_a_subject_with_many_slots_is_logged_out() {
    let stack = Stack::start(Backend::Redis).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let mut issued = stream::iter(0..SLOTS)
        .map(|number| {
            let (client, app) = (stack.client(), app.clone());
            async move {
                let request = client_credentials().bound_to(&format!("phone-{number}"));
                client.issue(&app, request).await.unwrap().access_token
            }
        })
        .buffer_unordered(64);
    let mut tokens = Vec::with_capacity(SLOTS);
    while let Some(token) = issued.next().await {
        tokens.push(token);
    }
    assert_eq!(
        list(&stack, Caller::Admin, "shop", "", 1_000).await.unwrap().len(),
        SLOTS
    );
    assert_eq!(
        revoke_subject(&stack, Caller::Admin, "shop", "").await.unwrap(),
        SLOTS as u64
    );
    for verdict in stack.validate_all(&api, &tokens).await {
        assert_eq!(verdict.reason(), Reason::TokenNotLive);
    }
    // Nothing is left behind but what one live token needs.
    let token = own(&stack, &app, "phone-1").await;
    stack.assert_live(&api, &token).await;
    assert_eq!(list(&stack, Caller::Admin, "shop", "", 0).await.unwrap().len(), 1);
    let mut redis = stack.redis.as_ref().unwrap().connection();
    let bytes: usize = tokenbind_tests::dump(&mut redis).iter().map(Vec::len).sum();
    assert!(bytes < 16_384, "{bytes} bytes are left in Redis");
}
