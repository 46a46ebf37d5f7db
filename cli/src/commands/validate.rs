//! `tokenbind validate`.

use clap::Args;
use tokenbind_proto::v1::validation_service_client::ValidationServiceClient;
use tokenbind_proto::v1::{Presenter, ValidateTokenRequest};

use super::caller::CallerArgs;
use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::VerdictView;

/// A token and the request that carries it.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The token, or `-` to read it from standard input
    token: String,

    #[command(flatten)]
    caller: CallerArgs,

    /// The application that makes the request, where the resource knows it
    #[arg(long, value_name = "CLIENT_ID", default_value = "", hide_default_value = true)]
    presenter: String,

    /// The id that came with the request
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    token_binding_id: String,

    /// An application that the token may have been issued to; repeat it for more [default: any that the resource accepts]
    #[arg(long = "expect-client", value_name = "CLIENT_ID")]
    expected_client_ids: Vec<String>,

    /// A scope that must be granted; repeat it for more
    #[arg(long = "require-scope", value_name = "SCOPE")]
    required_scopes: Vec<String>,
}

pub(crate) async fn run(arguments: ValidateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let token = session.stdin.read_argument(arguments.token, "the token")?;
    let authorization = arguments.caller.authorization(&mut session.stdin)?;
    let request = ValidateTokenRequest {
        token,
        presenter: Some(Presenter {
            client_id: arguments.presenter,
            token_binding_id: arguments.token_binding_id,
            ..Presenter::default()
        }),
        resource: arguments.caller.resource.unwrap_or_default(),
        expected_client_ids: arguments.expected_client_ids,
        required_scopes: arguments.required_scopes,
        consistency: None,
    };
    let link = session.validator(&authorization).await?;
    let answer = ValidationServiceClient::new(link).validate_token(request).await?;
    let verdict = VerdictView::from(answer.into_inner());
    output.print(&verdict, || verdict.text())?;
    Ok(if verdict.is_allowed() { Exit::Fine } else { Exit::No })
}
