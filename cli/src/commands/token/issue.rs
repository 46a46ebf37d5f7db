//! `tokenbind token issue`.

use clap::Args;
use secrecy::ExposeSecret as _;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;
use tokenbind_proto::v1::{ClientCredentialsGrant, IssueTokenRequest, PasswordGrant};

use crate::client::{Authorization, Session};
use crate::error::{CliError, Exit};
use crate::input::PasswordArgs;
use crate::output::{Output, print_line};
use crate::view::IssuedView;

/// What to issue.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The user that the token speaks for; the password comes from standard input, a file or `TOKENBIND_PASSWORD`
    #[arg(long, value_name = "USERNAME")]
    username: Option<String>,

    #[command(flatten)]
    password: PasswordArgs,

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
    let credentials = session.credentials()?;
    let grant = match arguments.username {
        Some(username) => {
            let password = arguments.password.required(&mut session.stdin)?;
            Grant::Password(PasswordGrant {
                username,
                password: password.expose_secret().to_owned(),
            })
        }
        None => Grant::ClientCredentials(ClientCredentialsGrant {}),
    };
    let request = IssueTokenRequest {
        grant: Some(grant),
        client_id: credentials.id,
        client_secret: credentials.secret.expose_secret().to_owned(),
        scopes: arguments.scopes,
        audiences: arguments.audiences,
        token_binding_id: arguments.token_binding_id,
    };
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
