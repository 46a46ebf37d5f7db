//! A5 for exchanges: from the acknowledgement of a revocation on, nothing lives that came of what was revoked.

use futures::future::join_all;
use tokenbind_proto::v1::{Decision, ListBindingsRequest, RevokeSubjectRequest};
use tokenbind_tests::{App, exchange, reason};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(a5_nothing_that_was_exchanged_outlives_a_revocation);

const ROUNDS: usize = 25;
const AT_ONCE: usize = 16;

/// Exchanges a token many times at once, each time into the slot where it is itself; answers what came of it.
async fn exchange_at_once(setting: &Setting, cart: &App, token: &str) -> Vec<String> {
    let answers = join_all((0..AT_ONCE).map(|_| setting.issue(cart, exchange(token)))).await;
    let mut got = vec![token.to_owned()];
    for answer in answers {
        match answer {
            Ok(next) => got.push(next.access_token),
            Err(error) => assert_eq!(reason(&error), "invalid_request"),
        }
    }
    got
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
            let token = setting.issue(cart, exchange(&login)).await.unwrap().access_token;
            let exchanging = || exchange_at_once(&setting, cart, &token);
            let (before, (), after) = tokio::join!(exchanging(), revoke, exchanging());
            let got = [before, after].concat();
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
