//! `tokenbind token inspect`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tokenbind_index::{Locator, TokenReference};
use tokenbind_proto::v1::validation_service_client::ValidationServiceClient;
use tokenbind_proto::v1::{IntrospectTokenRequest, TokenFormat};

use crate::client::Session;
use crate::commands::caller::CallerArgs;
use crate::error::{CliError, Exit};
use crate::output::{Output, facts};
use crate::view::IntrospectionView;
use crate::words;

const NOT_VERIFIED: &str = "not verified: this is only what the token says of itself";

/// Which token.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The token, or `-` to read it from standard input
    token: String,

    /// Also asks the validator whether it lives, with the credentials of a resource
    #[arg(long)]
    introspect: bool,

    #[command(flatten)]
    caller: CallerArgs,
}

/// What a token says of itself.
#[derive(Serialize)]
struct Inspection {
    format: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Value>,
    locator: LocatorView,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection: Option<IntrospectionView>,
}

/// Where the token stands in the index: no secret, and no proof.
#[derive(Serialize)]
struct LocatorView {
    home: String,
    slot: String,
    nonce: String,
}

impl From<Locator> for LocatorView {
    fn from(locator: Locator) -> Self {
        Self {
            home: URL_SAFE_NO_PAD.encode(locator.home.as_bytes()),
            slot: URL_SAFE_NO_PAD.encode(locator.slot.0),
            nonce: URL_SAFE_NO_PAD.encode(locator.nonce.0),
        }
    }
}

pub(super) async fn run(arguments: InspectArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let token = session.stdin.read_argument(arguments.token, "the token")?;
    let mut inspection = inspect(&token)?;
    let mut exit = Exit::Fine;
    if arguments.introspect {
        let authorization = arguments.caller.authorization(&mut session.stdin)?;
        let link = session.validator(&authorization).await?;
        let request = IntrospectTokenRequest {
            token,
            ..IntrospectTokenRequest::default()
        };
        let answer = ValidationServiceClient::new(link).introspect_token(request).await?;
        let view = IntrospectionView::from(answer.into_inner());
        if !view.is_active() {
            exit = Exit::No;
        }
        inspection.introspection = Some(view);
    }
    output.print(&inspection, || inspection.text())?;
    Ok(exit)
}

fn inspect(token: &str) -> Result<Inspection, CliError> {
    let reference = TokenReference::parse(token).ok_or_else(|| {
        CliError::usage_with_hint(
            "this is no access token of tokenbind",
            "one is a JWT whose jti is a locator, or begins with tbo_; was all of it copied?",
        )
    })?;
    let mut segments = token.split('.').map(decoded);
    let (header, claims) = match reference.format {
        TokenFormat::Jwt => (segments.next().flatten(), segments.next().flatten()),
        _ => (None, None),
    };
    Ok(Inspection {
        format: words::token_format(reference.format as i32),
        verified: false,
        header,
        claims,
        locator: reference.locator.into(),
        introspection: None,
    })
}

fn decoded(segment: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).ok()?).ok()
}

impl Inspection {
    fn text(&self) -> String {
        let pretty = |value: &Option<Value>| {
            let text = value.as_ref().map(serde_json::to_string_pretty);
            text.and_then(Result::ok).unwrap_or_default()
        };
        let mut text = facts([
            ("format", self.format.clone()),
            ("verified", NOT_VERIFIED.to_owned()),
            ("header", pretty(&self.header)),
            ("claims", pretty(&self.claims)),
            ("home", self.locator.home.clone()),
            ("slot", self.locator.slot.clone()),
            ("nonce", self.locator.nonce.clone()),
        ]);
        if let Some(introspection) = &self.introspection {
            text.push_str("\n\nthe validator says\n");
            text.push_str(&introspection.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tokenbind_index::{Nonce, OpaqueToken, Slot, Subject};

    use super::*;

    fn locator() -> Locator {
        Locator {
            home: Subject::User("alice".to_owned()).home(),
            slot: Slot([1; 16]),
            nonce: Nonce([2; 16]),
        }
    }

    #[test]
    fn a_jwt_is_decoded_and_said_to_be_unverified() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let claims = format!(r#"{{"jti":"{}","sub":"user:alice"}}"#, locator().encode());
        let token = format!(
            "{}.{}.c2ln",
            encode(r#"{"alg":"EdDSA","typ":"at+jwt"}"#),
            encode(&claims)
        );
        let inspection = inspect(&token).unwrap();
        assert_eq!(inspection.format, "jwt");
        assert_eq!(inspection.header.as_ref().unwrap()["alg"], "EdDSA");
        assert_eq!(inspection.claims.as_ref().unwrap()["sub"], "user:alice");
        assert_eq!(inspection.locator.slot, URL_SAFE_NO_PAD.encode([1; 16]));
        assert!(inspection.text().contains("not verified"));
        assert!(!inspection.verified);
    }

    #[test]
    fn of_an_opaque_token_only_the_locator_is_shown() {
        let token = OpaqueToken {
            locator: locator(),
            secret: [0xee; 32],
        };
        let inspection = inspect(&token.encode()).unwrap();
        assert_eq!(inspection.format, "opaque");
        assert!(inspection.claims.is_none());
        let json = serde_json::to_string(&inspection).unwrap();
        assert!(!json.contains(&URL_SAFE_NO_PAD.encode([0xee; 30])));
    }

    #[test]
    fn anything_else_is_bad_input() {
        for wrong in ["", "tbo_short", "a.b.c", "eyJ.eyJ.x"] {
            assert_eq!(inspect(wrong).err().unwrap().exit(), Exit::Usage, "{wrong:?}");
        }
    }
}
