//! Validators do not need issuers.

use tokenbind_tests::{Client, channel, client_credentials, start_validator};

use crate::fixture::Declared;

#[tokio::test]
async fn validators_go_on_and_start_while_every_issuer_is_down() {
    let mut declared = Declared::start().await;
    let mut tokens = Vec::new();
    for (app, _) in declared.both() {
        tokens.push(
            declared
                .stack
                .issue(app, client_credentials())
                .await
                .unwrap()
                .access_token,
        );
    }
    declared.stack.processes[0].kill();
    declared
        .stack
        .issue(&declared.jwt, client_credentials())
        .await
        .unwrap_err();
    let (_process, address) = start_validator(&declared.redis().url(), &[]);
    let newcomer = Client {
        validator: channel(&address),
        ..declared.stack.client()
    };
    for token in &tokens {
        declared.stack.assert_live(&declared.api, token).await;
        newcomer.assert_live(&declared.api, token).await;
    }
}
