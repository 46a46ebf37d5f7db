//! A5 for exchanges: from the acknowledgement of a revocation on, nothing lives that came of what was revoked.

use tokenbind_proto::v1::{Decision, ListBindingsRequest, RevokeSubjectRequest};
use tokenbind_tests::{App, exchange, reason};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(a5_nothing_that_was_exchanged_outlives_a_revocation);

const ROUNDS: usize = 25;

/// Exchanges each result for the next, in the slot of the one before, until that is refused.
async fn exchange_until_refused(setting: &Setting, cart: &App, first: &str) -> Vec<String> {
    let mut got = vec![first.to_owned()];
    loop {
        match setting.issue(cart, exchange(&got[got.len() - 1])).await {
            Ok(next) => got.push(next.access_token),
            Err(error) => {
                assert_eq!(reason(&error), "invalid_request");
                return got;
            }
        }
    }
}

async fn a5_nothing_that_was_exchanged_outlives_a_revocation(setting: Setting) {
    let subject = || "user:carol".to_owned();
    for cart in &setting.carts {
        for round in 0..ROUNDS {
            let login = setting.login(&setting.shops[round % 2], "").await;
            let revoke = async {
                let everywhere = setting.stack.as_admin(RevokeSubjectRequest {
                    subject: subject(),
                    ..Default::default()
                });
                setting.stack.bindings().revoke_subject(everywhere).await.unwrap();
            };
            let (got, ()) = tokio::join!(exchange_until_refused(&setting, cart, &login), revoke);
            for verdict in setting.stack.validate_all(&setting.api, &got).await {
                assert_ne!(verdict.decision(), Decision::Allow, "{}, round {round}", cart.id);
            }
            let list = setting.stack.as_admin(ListBindingsRequest {
                subject: subject(),
                ..Default::default()
            });
            let left = setting.stack.bindings().list_bindings(list).await.unwrap().into_inner();
            assert_eq!(left.bindings, Vec::new(), "{}, round {round}", cart.id);
        }
    }
    let login = setting.login(&setting.shops[0], "").await;
    setting.issue(&setting.carts[0], exchange(&login)).await.unwrap();
}
