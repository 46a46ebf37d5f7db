//! `tokenbind token issue`.

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret as _;
use tokenbind_issuer::client::JWT_BEARER_ASSERTION;
use tokenbind_proto::v1::IssueTokenRequest;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;

use super::grant::GrantArgs;
use crate::client::{Authorization, Session};
use crate::error::{CliError, Exit};
use crate::output::{Output, print_line};
use crate::view::IssuedView;

/// What to issue.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    #[command(flatten)]
    grant: GrantArgs,

    /// The application proves itself by the JWT in this file instead of a secret: one that it signed, or its workload's token
    #[arg(long, value_name = "FILE")]
    client_assertion_file: Option<PathBuf>,

    /// A scope to ask for; repeat it for more [default: the application's default scopes]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// Who shall accept the token; repeat it for more [default: the application's default audiences]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,

    /// Names the device or instance that the token is bound to
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    token_binding_id: String,

    /// Prints the token and nothing else
    #[arg(long, short)]
    quiet: bool,
}

pub(super) async fn run(arguments: IssueArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut request = IssueTokenRequest {
        grant: Some(arguments.grant.read(&mut session.stdin)?),
        scopes: arguments.scopes,
        audiences: arguments.audiences,
        token_binding_id: arguments.token_binding_id,
        ..IssueTokenRequest::default()
    };
    if let Some(path) = arguments.client_assertion_file {
        request.client_assertion = session.stdin.read_path(&path, "the application's assertion")?;
        JWT_BEARER_ASSERTION.clone_into(&mut request.client_assertion_type);
        request.client_id = session.client_id().unwrap_or_default();
    } else {
        let credentials = session.credentials()?;
        request.client_id = credentials.id;
        credentials
            .secret
            .expose_secret()
            .clone_into(&mut request.client_secret);
    }
    let link = session.issuer(&Authorization::None).await?;
    let issued = TokenServiceClient::new(link).issue_token(request).await?.into_inner();
    let view = IssuedView::from(issued);
    if arguments.quiet {
        print_line(view.token())?;
    } else {
        output.print(&view, || view.text())?;
    }
    Ok(Exit::Fine)
}
