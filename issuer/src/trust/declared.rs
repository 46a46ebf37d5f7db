//! What an operator declares.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokenbind_jose::Algorithm;
use tokenbind_proto::v1::GrantType;

/// Everything that is declared. Known to be good when it comes from a catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustDeclaration {
    /// Whose tokens are accepted.
    pub issuers: Vec<TrustedIssuer>,
    /// Who may exchange them, and our own, for what. The first that fits decides.
    pub policies: Vec<ExchangePolicy>,
}

/// An issuer that vouches for subjects of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedIssuer {
    /// Its name here, a part of `sub`: 1 to 32 of a-z, 0-9 and `-`.
    pub name: String,
    /// Its `iss`, compared as it is.
    pub issuer: String,
    /// One of these must be in `aud`; empty means this issuer's own id.
    pub audiences: Vec<String>,
    /// At least one.
    pub algorithms: Vec<Algorithm>,
    /// What verifies its tokens.
    pub keys: IssuerKeys,
    /// What `typ` may be beside `JWT` and nothing.
    pub types: Vec<String>,
    /// The claim that names its subjects.
    pub subject_claim: String,
    /// The longest time from `iat` to `exp`, in seconds.
    pub max_lifetime_seconds: u32,
    /// The oldest `iat`, in seconds; 0 is no limit.
    pub max_age_seconds: u32,
}

/// Where keys are.
#[derive(Clone, PartialEq)]
pub enum IssuerKeys {
    /// A JWK Set, as JSON.
    Set(String),
    /// A URL.
    Uri {
        /// Of a JWK Set.
        uri: String,
        /// What the server's certificate must descend from; empty: what the system trusts.
        roots: Vec<CertificateDer<'static>>,
        /// A file with a token that the server wants, read at each request: Kubernetes renews it.
        bearer_token_file: Option<PathBuf>,
    },
}

impl std::fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(_) => f.write_str("Set(..)"),
            Self::Uri { uri, .. } => f.debug_tuple("Uri").field(uri).finish(),
        }
    }
}

/// Who may exchange whose tokens for what.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangePolicy {
    /// For people and logs.
    pub name: String,
    /// `token_exchange`, `jwt_bearer` or both.
    pub grants: Vec<GrantType>,
    /// The applications that may ask.
    pub client_ids: Vec<String>,
    /// Whose tokens.
    pub subject: Party,
    /// Who may act for the subject. `None` is impersonation: nobody else may be named. With somebody, an actor must be.
    pub actor: Option<Party>,
    /// What the result may be granted at most.
    pub scopes: Vec<String>,
    /// Who the result may be for.
    pub audiences: Vec<String>,
}

/// Whom a token may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// Tokens of ours, issued to one of these applications.
    Issued {
        /// At least one.
        client_ids: Vec<String>,
    },
    /// Tokens of a trusted issuer.
    External {
        /// Its name.
        trusted_issuer: String,
        /// Each a subject, or the beginning of subjects and a `*`. At least one.
        subjects: Vec<String>,
    },
}

/// What is wrong with the URL of a JWK Set, if anything: whoever stands between could put a key of its own in, so it is https, or
/// does not leave the machine.
pub(crate) fn keys_uri_problem(text: &str) -> Option<&'static str> {
    let problem =
        Some("must be an https URL, or http on a loopback address, of at most 1024 bytes without user or fragment");
    let Ok(uri) = text.parse::<http::Uri>() else {
        return problem;
    };
    let host = uri.host().unwrap_or_default();
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let scheme = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => loopback,
        _ => false,
    };
    let plain = !text.contains(['@', '#']) && text.len() <= 1_024;
    if scheme && plain && !host.is_empty() {
        None
    } else {
        problem
    }
}

/// The certificates of a PEM file.
pub(crate) fn read_certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    let mut roots = rustls::RootCertStore::empty();
    let good = certificates
        .iter()
        .all(|certificate| roots.add(certificate.clone()).is_ok());
    (good && !certificates.is_empty()).then_some(certificates)
}
