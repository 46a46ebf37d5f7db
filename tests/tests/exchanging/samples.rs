//! The development stack's samples exchange each other's tokens as they are.

use tokenbind_tests::{Client, DevStack, exchange, exchange_with, password};

#[tokio::test]
async fn the_samples_exchange_each_others_tokens() {
    let dev = DevStack::start(&["--caller-auth"]);
    let client = Client::new(dev.issuer(), dev.validator());
    let (username, secret) = dev.user();
    let (shop, opaque, api) = (dev.app("shop-jwt"), dev.app("shop-opaque"), dev.resource());
    let alice = client
        .issue(&shop, password(username, secret))
        .await
        .unwrap()
        .access_token;
    let exchanged = client.issue(&opaque, exchange(&alice)).await.unwrap().access_token;
    client.assert_live(&api, &exchanged).await;
    let own = client
        .issue(&opaque, tokenbind_tests::client_credentials())
        .await
        .unwrap();
    let acting = client
        .issue(&opaque, exchange_with(&alice, &own.access_token))
        .await
        .unwrap();
    let facts = client.validate(&api, &acting.access_token).await.token.unwrap();
    assert_eq!(facts.act.unwrap().subject, "shop-opaque");
}
