//! `client_authentication` of an application.

use tokenbind_proto::v1::certificate_name::Name;
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{CertificateName, ClientAuthentication, WorkloadIdentity};

use super::fields::Fields;
use super::words::AUTHENTICATION_METHODS;

const FIELD: &str = "client_authentication";

/// What is declared, if anything is.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<ClientAuthentication> {
    let node = fields.take(FIELD)?;
    fields.nested(FIELD, |path, errors| {
        let mut fields = Fields::open(path, node, errors)?;
        let methods = fields.words("methods", &AUTHENTICATION_METHODS);
        let (json, uri) = (fields.text("jwks"), fields.text("jwks_uri"));
        if !json.is_empty() && !uri.is_empty() {
            fields.wrong("jwks_uri", "", None, "must not be there beside `jwks`");
        }
        let workload = workload(&mut fields);
        let certificate = certificate_name(&mut fields, "certificate");
        fields.finish();
        let keys = match (json.is_empty(), uri.is_empty()) {
            (false, _) => Some(Keys::JwksJson(json)),
            (true, false) => Some(Keys::JwksUri(uri)),
            (true, true) => None,
        };
        Some(ClientAuthentication {
            methods,
            keys,
            workload,
            certificate,
        })
    })
}

/// The name of a certificate, if one is declared.
pub(super) fn certificate_name(fields: &mut Fields<'_>, name: &str) -> Option<CertificateName> {
    let node = fields.take(name)?;
    fields.nested(name, |path, errors| {
        let mut fields = Fields::open(path, node, errors)?;
        let (uri, dns) = (fields.text("san_uri"), fields.text("san_dns"));
        if !uri.is_empty() && !dns.is_empty() {
            fields.wrong("san_dns", "", None, "must not be there beside `san_uri`");
        }
        fields.finish();
        let name = match (uri.is_empty(), dns.is_empty()) {
            (false, _) => Some(Name::SanUri(uri)),
            (true, false) => Some(Name::SanDns(dns)),
            (true, true) => None,
        };
        Some(CertificateName { name })
    })
}

fn workload(fields: &mut Fields<'_>) -> Option<WorkloadIdentity> {
    let node = fields.take("workload")?;
    fields.nested("workload", |path, errors| {
        let mut fields = Fields::open(path, node, errors)?;
        let workload = WorkloadIdentity {
            trusted_issuer: fields.text("trusted_issuer"),
            subject: fields.text("subject"),
        };
        fields.finish();
        Some(workload)
    })
}
