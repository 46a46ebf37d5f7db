//! What operators see, and what nobody may see.

use std::cell::RefCell;
use std::io;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokenbind_index::Namespace;

use super::fixture::{Fixture, SHOP, Spec, binding, resource};
use crate::{Resource, Validator};

const PHONE: &str = "canary-of-a-phone";

thread_local! {
    /// What this thread logged. Each test runs on a thread of its own.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_but_no_token_and_no_raw_id_a18() {
    // For all threads: what the others find out about a call site would otherwise hold for this one, too.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| ThreadLog)
        .init();
    let fixture = Fixture::new().await;
    let own = Resource::from(resource());
    let spec = Spec::bound_to(PHONE);
    let tokens = [fixture.jwt(&spec).await, fixture.opaque(&spec).await];
    for token in &tokens {
        for id in [PHONE, "canary-of-another"] {
            let verdict = fixture
                .verdict_for(token, &own, |question| question.presenter.binding = Some(binding(id)))
                .await;
            assert!(verdict.token.is_some());
        }
        fixture
            .validator
            .introspect(crate::Presented(token), &own)
            .await
            .unwrap();
        fixture.reason(&format!("{token}x")).await;
    }
    let text = LOG.with_borrow(|log| String::from_utf8(log.clone()).unwrap());
    let reference = binding(PHONE).reference(&Namespace::default(), SHOP).encode();
    for told in [
        "token allowed",
        "token refused",
        "token introspected",
        "REASON_BINDING_MISMATCH",
        SHOP,
        &reference,
    ] {
        assert!(text.contains(told), "{told} is missing:\n{text}");
    }
    let signature = tokens[0].rsplit('.').next().unwrap();
    for secret in [&tokens[0], &tokens[1], signature, "canary"] {
        assert!(!text.contains(secret), "{secret} is logged:\n{text}");
    }
}

#[tokio::test]
async fn verdicts_are_counted_by_decision_and_reason() {
    let fixture = Fixture::new().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let validator = metrics::with_local_recorder(&recorder, || {
        Validator::new(fixture.inputs.clone(), Namespace::default())
    });
    let token = fixture.jwt(&Spec::default()).await;
    let own = Resource::from(resource());
    for text in [token.as_str(), token.as_str(), "", "x"] {
        validator.validate(&super::fixture::question(text, &own)).await.unwrap();
        validator.introspect(crate::Presented(text), &own).await.unwrap();
    }
    let counted = recorder.handle().render();
    for line in [
        r#"tokenbind_validations_total{decision="allow",reason="valid"} 2"#,
        r#"tokenbind_validations_total{decision="unauthenticated",reason="token_missing"} 1"#,
        r#"tokenbind_validations_total{decision="unauthenticated",reason="token_malformed"} 1"#,
        r#"tokenbind_validations_total{decision="permission_denied",reason="binding_mismatch"} 0"#,
        r#"tokenbind_introspections_total{active="true"} 2"#,
        r#"tokenbind_introspections_total{active="false"} 2"#,
    ] {
        assert!(counted.contains(line), "{line} is missing:\n{counted}");
    }
    assert!(!counted.contains(SHOP));
}
