//! `trusted_issuers` and `exchange_policies`.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tokenbind_jose::{Algorithm, PublicKeySet};
use tokenbind_proto::v1::GrantType;

use super::errors::CatalogErrors;
use super::fields::Fields;
use super::file::entries;
use super::words::EXCHANGE_GRANTS;
use super::yaml::Node;
use crate::admin_access::{ADMIN_AUDIENCE, ADMIN_SCOPE};
use crate::declared::{audience_problem, client_id_problem, scope_problem};
use crate::trust::{
    ExchangePolicy, IssuerKeys, Party, TrustDeclaration, TrustedIssuer, keys_uri_problem, read_certificates,
};

const DEFAULT_LIFETIME_SECONDS: u32 = 3_600;
const MAX_LIFETIME_SECONDS: u32 = 86_400;
const MAX_MEMBERS: usize = 1_000;
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads both lists; files that they name are read from `folder`.
pub(super) fn read(
    issuers: Vec<Node>,
    policies: Vec<Node>,
    folder: &Path,
    errors: &mut CatalogErrors,
) -> TrustDeclaration {
    let issuers: Vec<_> = entries("trusted_issuers", issuers, errors, |fields| issuer(fields, folder));
    let issuers: Vec<_> = issuers.into_iter().filter_map(|entry| entry.record).collect();
    let mut distinct = HashSet::new();
    for name in issuers.iter().flat_map(|issuer| [&issuer.name, &issuer.issuer]) {
        if !distinct.insert(name) {
            errors.push("trusted_issuers", None, "two have the same `name` or `issuer`");
        }
    }
    let names: HashSet<_> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    let policies = entries("exchange_policies", policies, errors, |fields| policy(fields, &names));
    let policies = policies.into_iter().filter_map(|entry| entry.record).collect();
    TrustDeclaration { issuers, policies }
}

fn issuer(fields: &mut Fields<'_>, folder: &Path) -> Option<TrustedIssuer> {
    let name = fields.text("name");
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let named = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
    require(fields, named, "name", "must be 1 to 32 of a-z, 0-9 and `-`");
    let issuer = required(fields, "issuer");
    let audiences = texts(fields, "audiences", audience_problem);
    let algorithms = algorithms(fields);
    let keys = keys(fields, &algorithms, folder);
    let types = texts(fields, "types", |typ| {
        (typ.is_empty() || typ.len() > 64).then_some("must be 1 to 64 bytes")
    });
    let subject_claim = match fields.text("subject_claim") {
        claim if claim.is_empty() => "sub".to_owned(),
        claim => claim,
    };
    let max_lifetime_seconds = match fields.number("max_lifetime_seconds") {
        0 => DEFAULT_LIFETIME_SECONDS,
        stated => stated,
    };
    let in_range = max_lifetime_seconds <= MAX_LIFETIME_SECONDS;
    require(
        fields,
        in_range,
        "max_lifetime_seconds",
        "must be 1 to 86400; default 3600",
    );
    Some(TrustedIssuer {
        name,
        issuer,
        audiences,
        algorithms,
        keys: keys?,
        types,
        subject_claim,
        max_lifetime_seconds,
        max_age_seconds: fields.number("max_age_seconds"),
    })
}

fn algorithms(fields: &mut Fields<'_>) -> Vec<Algorithm> {
    let names = fields.texts("algorithms");
    let found: Vec<_> = names.iter().filter_map(|name| Algorithm::parse(name)).collect();
    let known: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
    let good = !names.is_empty() && found.len() == names.len();
    let problem = format!("must be at least one of {}", known.join(", "));
    require(fields, good, "algorithms", &problem);
    found
}

fn keys(fields: &mut Fields<'_>, algorithms: &[Algorithm], folder: &Path) -> Option<IssuerKeys> {
    let (inline, file, uri) = (fields.text("jwks"), fields.text("jwks_file"), fields.text("jwks_uri"));
    let (ca, token) = (fields.text("jwks_ca_file"), fields.text("jwks_bearer_token_file"));
    let given = [&inline, &file, &uri].iter().filter(|text| !text.is_empty()).count();
    if given != 1 {
        fields.wrong(
            "jwks_uri",
            "",
            None,
            "must be there, or `jwks_file`, or `jwks`: exactly one of them",
        );
        return None;
    }
    if uri.is_empty() {
        for (name, text) in [("jwks_ca_file", &ca), ("jwks_bearer_token_file", &token)] {
            require(
                fields,
                text.is_empty(),
                name,
                "needs `jwks_uri`: without it it would do nothing",
            );
        }
        let json = if file.is_empty() {
            inline
        } else {
            content(fields, "jwks_file", &file, folder)?
        };
        if let Err(bad) = PublicKeySet::from_json(json.as_bytes(), algorithms) {
            let name = if file.is_empty() { "jwks" } else { "jwks_file" };
            fields.wrong(
                name,
                "",
                None,
                format!("must be a JWK Set with a key that can be used: {bad}"),
            );
        }
        return Some(IssuerKeys::Set(json));
    }
    if let Some(problem) = keys_uri_problem(&uri) {
        fields.wrong("jwks_uri", "", None, problem);
    }
    let plain = uri.starts_with("http:");
    require(
        fields,
        !plain || token.is_empty(),
        "jwks_bearer_token_file",
        "needs an https `jwks_uri`",
    );
    let roots = match ca.as_str() {
        "" => Vec::new(),
        path => {
            let pem = content(fields, "jwks_ca_file", path, folder)?;
            let roots = read_certificates(pem.as_bytes());
            require(fields, roots.is_some(), "jwks_ca_file", "must hold certificates in PEM");
            roots.unwrap_or_default()
        }
    };
    let bearer_token_file = (!token.is_empty()).then(|| folder.join(PathBuf::from(token)));
    Some(IssuerKeys::Uri {
        uri,
        roots,
        bearer_token_file,
    })
}

fn content(fields: &mut Fields<'_>, name: &str, path: &str, folder: &Path) -> Option<String> {
    let mut text = String::new();
    let read = fs::File::open(folder.join(path)).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Some(text),
        Err(error) => {
            fields.wrong(name, "", None, format!("cannot be read: {error}"));
            None
        }
    }
}

fn policy(fields: &mut Fields<'_>, issuers: &HashSet<&str>) -> Option<ExchangePolicy> {
    let name = required(fields, "name");
    let mut grants: Vec<_> = fields
        .words("grants", &EXCHANGE_GRANTS)
        .into_iter()
        .filter_map(|grant| GrantType::try_from(grant).ok())
        .collect();
    if grants.is_empty() {
        grants.push(GrantType::TokenExchange);
    }
    let client_ids = texts(fields, "client_ids", client_id_problem);
    require(fields, !client_ids.is_empty(), "client_ids", "must have at least one");
    let subject = party(fields, "subject", issuers);
    if subject.is_none() {
        fields.wrong(
            "subject_client_ids",
            "",
            None,
            "must be there, or `subject_issuer` and `subjects`: whose tokens may be exchanged",
        );
    }
    let actor = party(fields, "actor", issuers);
    let scopes = texts(fields, "scopes", |scope| {
        let admin = (scope == ADMIN_SCOPE).then_some("is the scope of administrators");
        admin.or(scope_problem(scope))
    });
    let audiences = texts(fields, "audiences", |audience| {
        let admin = (audience == ADMIN_AUDIENCE).then_some("is the audience of the issuer itself");
        admin.or(audience_problem(audience))
    });
    require(fields, !audiences.is_empty(), "audiences", "must have at least one");
    let subject = subject?;
    if grants.contains(&GrantType::JwtBearer) {
        let external = matches!(subject, Party::External { .. });
        require(
            fields,
            external && actor.is_none(),
            "grants",
            "has jwt_bearer, which is for `subject_issuer` without an actor",
        );
    }
    Some(ExchangePolicy {
        name,
        grants,
        client_ids,
        subject,
        actor,
        scopes,
        audiences,
    })
}

/// `subject_client_ids`, or `subject_issuer` with `subjects`; the same for `actor`. `None` where none is there.
fn party(fields: &mut Fields<'_>, role: &str, issuers: &HashSet<&str>) -> Option<Party> {
    let (ids, issuer, names) = (
        format!("{role}_client_ids"),
        format!("{role}_issuer"),
        format!("{role}s"),
    );
    let client_ids = texts(fields, &ids, client_id_problem);
    let trusted_issuer = fields.text(&issuer);
    let subjects = texts(fields, &names, |pattern| {
        let inner = pattern.strip_suffix('*').unwrap_or(pattern);
        let good = (1..=255).contains(&pattern.len()) && !inner.contains('*') && !inner.chars().any(char::is_control);
        (!good).then_some("must be 1 to 255 bytes, with a `*` only at the end")
    });
    match (client_ids.is_empty(), trusted_issuer.is_empty(), subjects.is_empty()) {
        (true, true, true) => None,
        (false, true, true) => Some(Party::Issued { client_ids }),
        (true, false, false) => {
            require(
                fields,
                issuers.contains(trusted_issuer.as_str()),
                &issuer,
                "is not the name of a trusted issuer",
            );
            Some(Party::External {
                trusted_issuer,
                subjects,
            })
        }
        _ => {
            let problem = format!("must be there alone, or `{issuer}` and `{names}` together");
            fields.wrong(&ids, "", None, problem);
            None
        }
    }
}

fn required(fields: &mut Fields<'_>, name: &str) -> String {
    let text = fields.text(name);
    let good = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    require(fields, good, name, "must be 1 to 255 bytes without control characters");
    text
}

fn texts(fields: &mut Fields<'_>, name: &str, problem: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let found = fields.texts(name);
    require(
        fields,
        found.len() <= MAX_MEMBERS,
        name,
        "must have at most 1000 members",
    );
    for (index, text) in found.iter().enumerate().take(MAX_MEMBERS) {
        if let Some(problem) = problem(text) {
            fields.wrong(name, &format!("[{index}]"), None, problem);
        }
    }
    found
}

fn require(fields: &mut Fields<'_>, is_so: bool, name: &str, problem: &str) {
    if !is_so {
        fields.wrong(name, "", None, problem);
    }
}
