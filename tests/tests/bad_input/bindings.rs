//! `BindingService`

use tokenbind_proto::v1::{ListBindingsRequest, RevokeApplicationRequest, RevokeBindingRequest, RevokeSubjectRequest};
use tokenbind_tests::{Stack, on_every_backend};

use crate::{Spoiled, assert_violations};

on_every_backend!(each_field_of_the_binding_service_has_a_limit);

const LIST: &[Spoiled<ListBindingsRequest>] = &[
    (&["subject"], |it| it.subject.clear()),
    (&["subject"], |it| it.subject = "x".repeat(293)),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
    (&["page_size"], |it| it.page_size = 1_001),
    (&["page_token"], |it| it.page_token = "x".repeat(100_000)),
    (&["subject", "client_id", "page_size", "page_token"], |it| {
        it.subject.clear();
        it.client_id = "caf\u{e9}".into();
        it.page_size = u32::MAX;
        it.page_token = "=".into();
    }),
];

const BINDING: &[Spoiled<RevokeBindingRequest>] = &[
    (&["subject"], |it| it.subject.clear()),
    (&["subject"], |it| it.subject = "x".repeat(293)),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
    (&["token_binding_id"], |it| it.token_binding_id.clear()),
    (&["token_binding_id"], |it| it.token_binding_id = " ".into()),
    (&["token_binding_id"], |it| it.token_binding_id = "x".repeat(256)),
];

const SUBJECT: &[Spoiled<RevokeSubjectRequest>] = &[
    (&["subject"], |it| it.subject.clear()),
    (&["subject"], |it| it.subject = "x".repeat(293)),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
];

const APPLICATION: &[Spoiled<RevokeApplicationRequest>] = &[
    (&["client_id"], |it| it.client_id.clear()),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
];

async fn each_field_of_the_binding_service_has_a_limit(stack: Stack) {
    macro_rules! assert_each {
        ($table:expr, $rpc:ident, $good:expr) => {
            for (paths, spoil) in $table {
                let mut message = $good;
                spoil(&mut message);
                let error = stack.bindings().$rpc(stack.as_admin(message)).await.unwrap_err();
                assert_violations(&error, paths);
            }
        };
    }
    let subject = || "user:ada".to_owned();
    let list = || ListBindingsRequest {
        subject: subject(),
        ..Default::default()
    };
    assert_each!(LIST, list_bindings, list());
    let binding = || RevokeBindingRequest {
        subject: subject(),
        token_binding_id: "phone-1".to_owned(),
        ..Default::default()
    };
    assert_each!(BINDING, revoke_binding, binding());
    let all = || RevokeSubjectRequest {
        subject: subject(),
        ..Default::default()
    };
    assert_each!(SUBJECT, revoke_subject, all());
    let application = || RevokeApplicationRequest {
        client_id: "shop".to_owned(),
    };
    assert_each!(APPLICATION, revoke_application, application());
    stack.bindings().list_bindings(stack.as_admin(list())).await.unwrap();
    stack
        .bindings()
        .revoke_binding(stack.as_admin(binding()))
        .await
        .unwrap();
    stack.bindings().revoke_subject(stack.as_admin(all())).await.unwrap();
}
