//! How an application may prove who it is.

use std::collections::HashSet;

use tokenbind_jose::{Algorithm, PublicKeySet};
use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{
    Application, CertificateName, ClientAuthentication, ClientAuthenticationMethod as Method, GrantType,
};

use crate::error::FieldViolations;
use crate::trust::keys_uri_problem;

const FIELD: &str = "client_authentication";
const METHODS: &str =
    "must be at least one of secret, private_key_jwt, workload_token, tls_client_auth and none, each once";
const MAX_JWKS_BYTES: usize = 16_384;
const MAX_URI_BYTES: usize = 2_048;
const MAX_DNS_BYTES: usize = 253;

/// Whether an application proves itself by a secret, among other ways or alone.
pub fn uses_secret(application: &Application) -> bool {
    let declared = application.client_authentication.as_ref();
    declared.is_none_or(|declared| declared.methods().any(|method| method == Method::Secret))
}

/// Checks the field `client_authentication`, and what it means for the grants.
pub(super) fn check(application: &Application, violations: &mut FieldViolations) {
    let Some(declared) = &application.client_authentication else {
        return;
    };
    let distinct: HashSet<_> = declared.methods.iter().collect();
    let known = |method: &i32| Method::try_from(*method).is_ok_and(|method| method != Method::Unspecified);
    let good =
        !declared.methods.is_empty() && distinct.len() == declared.methods.len() && declared.methods.iter().all(known);
    violations.require(good, &format!("{FIELD}.methods"), METHODS);
    let has = |method: Method| declared.methods.contains(&(method as i32));
    if has(Method::None) {
        check_public(application, declared, violations);
    }
    check_keys(declared.keys.as_ref(), has(Method::PrivateKeyJwt), violations);
    check_workload(declared, has(Method::WorkloadToken), violations);
    let certificate = declared.certificate.as_ref();
    let field = format!("{FIELD}.certificate");
    match certificate {
        None => violations.require(
            !has(Method::TlsClientAuth),
            &field,
            "must be set: tls_client_auth needs to know the name",
        ),
        Some(_) if !has(Method::TlsClientAuth) => violations.push(
            format!("{FIELD}.methods"),
            "must have tls_client_auth: without it the certificate would do nothing",
        ),
        Some(certificate) => check_certificate_name(&field, certificate, violations),
    }
}

/// Checks a name that a certificate must have.
pub(super) fn check_certificate_name(field: &str, certificate: &CertificateName, violations: &mut FieldViolations) {
    match &certificate.name {
        None => violations.push(field, "must have either `san_uri` or `san_dns`"),
        Some(Name::SanUri(uri)) => {
            let scheme = uri.split_once("://").is_some_and(|(scheme, rest)| {
                !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !rest.is_empty()
            });
            let fits = uri.len() <= MAX_URI_BYTES && uri.bytes().all(|byte| byte.is_ascii_graphic());
            violations.require(
                scheme && fits,
                &format!("{field}.san_uri"),
                "must be a URI of at most 2048 printable ASCII characters",
            );
        }
        Some(Name::SanDns(name)) => {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(known);
            violations.require(
                name.len() <= MAX_DNS_BYTES && name.split('.').all(label),
                &format!("{field}.san_dns"),
                "must be a DNS name of at most 253 bytes without `*`",
            );
        }
    }
}

/// Anybody can say that they are a public client, so whatever rests on the client alone is not for one.
fn check_public(application: &Application, declared: &ClientAuthentication, violations: &mut FieldViolations) {
    violations.require(
        declared.methods.len() == 1,
        &format!("{FIELD}.methods"),
        "must be none alone: a client that needs no proof in one way needs none in any",
    );
    for (index, grant) in application.grants.iter().enumerate() {
        let rests_on_client = matches!(
            GrantType::try_from(*grant),
            Ok(GrantType::ClientCredentials | GrantType::TokenExchange | GrantType::JwtBearer)
        );
        violations.require(
            !rests_on_client,
            &format!("grants[{index}]"),
            "is not for a public client, which proves nothing of itself",
        );
    }
}

fn check_keys(keys: Option<&Keys>, wanted: bool, violations: &mut FieldViolations) {
    match keys {
        None => violations.require(
            !wanted,
            &format!("{FIELD}.jwks_json"),
            "must be set, or `jwks_uri`: private_key_jwt needs public keys",
        ),
        Some(_) if !wanted => violations.push(
            format!("{FIELD}.methods"),
            "must have private_key_jwt: without it the keys would do nothing",
        ),
        Some(Keys::JwksJson(json)) => {
            let small = json.len() <= MAX_JWKS_BYTES;
            let good = small && PublicKeySet::from_json(json.as_bytes(), &Algorithm::ALL).is_ok();
            violations.require(
                good,
                &format!("{FIELD}.jwks_json"),
                "must be a JWK Set of at most 16384 bytes with a public signature key, and no private one",
            );
        }
        Some(Keys::JwksUri(uri)) => violations.problem(&format!("{FIELD}.jwks_uri"), keys_uri_problem(uri)),
    }
}

fn check_workload(declared: &ClientAuthentication, wanted: bool, violations: &mut FieldViolations) {
    let field = format!("{FIELD}.workload");
    match &declared.workload {
        None => violations.require(!wanted, &field, "must be set: workload_token needs to know which"),
        Some(_) if !wanted => violations.push(
            format!("{FIELD}.methods"),
            "must have workload_token: without it the workload would do nothing",
        ),
        Some(workload) => {
            let name = &workload.trusted_issuer;
            violations.require(
                (1..=32).contains(&name.len()),
                &format!("{field}.trusted_issuer"),
                "must be the name of a trusted issuer",
            );
            let subject = &workload.subject;
            violations.require(
                (1..=255).contains(&subject.len()) && !subject.chars().any(char::is_control),
                &format!("{field}.subject"),
                "must be 1 to 255 bytes without control characters",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenbind_proto::v1::WorkloadIdentity;

    use super::*;

    const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const PRIVATE: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}]}"#;

    #[track_caller]
    fn violates(declared: ClientAuthentication, grants: &[GrantType], fields: &[&str]) {
        let application = Application {
            client_authentication: Some(declared),
            grants: grants.iter().map(|grant| *grant as i32).collect(),
            ..Application::default()
        };
        let mut violations = FieldViolations::new();
        check(&application, &mut violations);
        let found: Vec<_> = violations.as_slice().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    fn declared(methods: &[Method], keys: Option<Keys>) -> ClientAuthentication {
        ClientAuthentication {
            methods: methods.iter().map(|method| *method as i32).collect(),
            keys,
            workload: None,
            certificate: None,
        }
    }

    #[test]
    fn methods_are_known_and_distinct() {
        violates(declared(&[Method::Secret], None), &[], &[]);
        for bad in [&[][..], &[Method::Unspecified], &[Method::Secret, Method::Secret]] {
            violates(declared(bad, None), &[], &["client_authentication.methods"]);
        }
    }

    #[test]
    fn a_public_client_has_no_other_way_and_no_grant_of_its_own() {
        violates(declared(&[Method::None], None), &[GrantType::Password], &[]);
        violates(
            declared(&[Method::None, Method::Secret], None),
            &[
                GrantType::ClientCredentials,
                GrantType::TokenExchange,
                GrantType::JwtBearer,
            ],
            &["client_authentication.methods", "grants[0]", "grants[1]", "grants[2]"],
        );
    }

    #[test]
    fn keys_are_public_and_come_with_their_method() {
        let keys = |json: &str| Some(Keys::JwksJson(json.to_owned()));
        let uri = |uri: &str| Some(Keys::JwksUri(uri.to_owned()));
        let signs = [Method::PrivateKeyJwt];
        violates(declared(&signs, keys(JWKS)), &[], &[]);
        violates(declared(&signs, None), &[], &["client_authentication.jwks_json"]);
        violates(
            declared(&[Method::Secret], keys(JWKS)),
            &[],
            &["client_authentication.methods"],
        );
        for bad in ["", "{}", PRIVATE, &format!("{JWKS}{}", " ".repeat(MAX_JWKS_BYTES))] {
            violates(declared(&signs, keys(bad)), &[], &["client_authentication.jwks_json"]);
        }
        for good in [
            "https://app.example/jwks",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "http://localhost/jwks",
        ] {
            violates(declared(&signs, uri(good)), &[], &[]);
        }
        for bad in [
            "",
            "/jwks",
            "http://app.example/jwks",
            "http://127.0.0.1.example/",
            "http://localhost@app.example/",
            "ftp://app.example/",
            "file:///etc/passwd",
            "https://user@app.example/",
            "https://app.example/#a",
        ] {
            violates(declared(&signs, uri(bad)), &[], &["client_authentication.jwks_uri"]);
        }
    }

    #[test]
    fn a_certificate_is_named_exactly() {
        let certificate = |name: Option<Name>| ClientAuthentication {
            certificate: Some(CertificateName { name }),
            ..declared(&[Method::TlsClientAuth], None)
        };
        let uri = |uri: &str| certificate(Some(Name::SanUri(uri.to_owned())));
        let dns = |name: &str| certificate(Some(Name::SanDns(name.to_owned())));
        violates(uri("spiffe://example.org/ns/shop/sa/cart"), &[], &[]);
        violates(dns("cart.shop.svc.cluster.local"), &[], &[]);
        for bad in [
            "",
            "cart",
            "spiffe://",
            "://a",
            "spiffe://a b",
            "spiffe://a\n",
            &format!("a://{}", "x".repeat(2_045)),
        ] {
            violates(uri(bad), &[], &["client_authentication.certificate.san_uri"]);
        }
        for bad in ["", ".", "*.example", "a..b", "a.", "a b", &"x".repeat(64)] {
            violates(dns(bad), &[], &["client_authentication.certificate.san_dns"]);
        }
        violates(certificate(None), &[], &["client_authentication.certificate"]);
        violates(
            declared(&[Method::TlsClientAuth], None),
            &[],
            &["client_authentication.certificate"],
        );
        let useless = ClientAuthentication {
            methods: vec![Method::Secret as i32],
            ..dns("cart.example")
        };
        violates(useless, &[], &["client_authentication.methods"]);
    }

    #[test]
    fn a_workload_is_named() {
        let workload = |name: &str, subject: &str| ClientAuthentication {
            workload: Some(WorkloadIdentity {
                trusted_issuer: name.to_owned(),
                subject: subject.to_owned(),
            }),
            ..declared(&[Method::WorkloadToken], None)
        };
        violates(workload("cluster", "system:a"), &[], &[]);
        violates(
            workload("", "a\n"),
            &[],
            &[
                "client_authentication.workload.trusted_issuer",
                "client_authentication.workload.subject",
            ],
        );
        violates(
            declared(&[Method::WorkloadToken], None),
            &[],
            &["client_authentication.workload"],
        );
    }
}
