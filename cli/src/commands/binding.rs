//! `tokenbind binding`.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;
use tokenbind_proto::v1::binding_service_client::BindingServiceClient;
use tokenbind_proto::v1::{ListBindingsRequest, RevokeBindingRequest, RevokeSubjectRequest};

use super::PAGE_SIZE;
use crate::client::{Authorization, Link, Session};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::LiveBindingView;

/// What to do with the bindings of a subject. An administrator's credentials see every application, others their own.
#[derive(Debug, Subcommand)]
pub(crate) enum BindingCommand {
    /// Lists the live bindings of a subject, never the tokens
    List(ListArgs),
    /// Revokes every token of one device of a subject, or with `--all` of all of them
    Revoke(RevokeArgs),
}

/// Whose bindings.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// What a token says in `sub`: `user:USERNAME`, or the client id of an application
    subject: String,

    /// Only those of this application
    #[arg(long, value_name = "CLIENT_ID", default_value = "", hide_default_value = true)]
    application: String,
}

/// Which device of whom.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("devices").required(true).args(["token_binding_id", "all"]))]
pub(crate) struct RevokeArgs {
    /// What a token says in `sub`: `user:USERNAME`, or the client id of an application
    subject: String,

    /// The id that the device sends, byte for byte
    #[arg(long, value_name = "ID")]
    token_binding_id: Option<String>,

    /// Every token of the subject: log out everywhere
    #[arg(long)]
    all: bool,

    /// Only within this application
    #[arg(long, value_name = "CLIENT_ID", default_value = "", hide_default_value = true)]
    application: String,
}

pub(crate) async fn run(command: BindingCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        BindingCommand::List(arguments) => list(arguments, session, output).await,
        BindingCommand::Revoke(arguments) => revoke(arguments, session, output).await,
    }
}

/// As an administrator where the credentials allow it, otherwise as the application.
async fn service(mut session: Session) -> Result<BindingServiceClient<Link>, CliError> {
    let credentials = session.credentials()?;
    let authorization = match session.admin_token(&credentials).await? {
        Some(token) => Authorization::Bearer(token),
        None => credentials.basic(),
    };
    Ok(BindingServiceClient::new(session.issuer(&authorization).await?))
}

async fn list(arguments: ListArgs, session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = service(session).await?;
    let mut request = ListBindingsRequest {
        subject: arguments.subject,
        client_id: arguments.application,
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let mut bindings = Vec::new();
    loop {
        let page = service.list_bindings(request.clone()).await?.into_inner();
        bindings.extend(page.bindings.into_iter().map(LiveBindingView::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output.print(&json!({"bindings": bindings}), || match bindings.as_slice() {
        [] => format!(
            "{} has no live binding here{}",
            request.subject,
            other_subject(&request.subject)
        ),
        some => LiveBindingView::table(some),
    })?;
    Ok(Exit::Fine)
}

async fn revoke(arguments: RevokeArgs, session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = service(session).await?;
    let (subject, client_id) = (arguments.subject, arguments.application);
    let other = other_subject(&subject);
    let (revoked, revision) = if let Some(token_binding_id) = arguments.token_binding_id {
        let request = RevokeBindingRequest {
            subject,
            client_id,
            token_binding_id,
        };
        let answer = service.revoke_binding(request).await?.into_inner();
        (answer.revoked, answer.revision)
    } else {
        let request = RevokeSubjectRequest { subject, client_id };
        let answer = service.revoke_subject(request).await?.into_inner();
        (answer.revoked, answer.revision)
    };
    output.print(&json!({"revoked": revoked, "revision": revision}), || {
        let (tokens, other) = match revoked {
            0 => ("tokens", other.as_str()),
            1 => ("token", ""),
            _ => ("tokens", ""),
        };
        format!("{revoked} {tokens} revoked (revision {revision}){other}")
    })?;
    Ok(Exit::Fine)
}

/// Where nothing was found: whoever gave a bare username must not believe that the user has nothing.
fn other_subject(subject: &str) -> String {
    if subject.starts_with("user:") {
        String::new()
    } else {
        format!("\nthis was looked up as an application; the user of that name is user:{subject}")
    }
}
