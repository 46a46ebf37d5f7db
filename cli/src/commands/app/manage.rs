//! `tokenbind app create|get|list|update|delete|revoke-tokens`.

use clap::Args;
use serde_json::json;
use tokenbind_proto::v1::application_service_client::ApplicationServiceClient;
use tokenbind_proto::v1::binding_service_client::BindingServiceClient;
use tokenbind_proto::v1::{
    Application, CreateApplicationRequest, DeleteApplicationRequest, GetApplicationRequest, ListApplicationsRequest,
    RevokeApplicationRequest, UpdateApplicationRequest,
};

use super::settings::{CLEARABLE, Settings};
use crate::client::{Authorization, Session};
use crate::commands::{PAGE_SIZE, present};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::ApplicationView;

/// Which application.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The id of the application; the option --client-id names the one that calls
    #[arg(id = "application", value_name = "CLIENT_ID")]
    application: String,
}

/// A new application.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    name: NameArgs,

    #[command(flatten)]
    settings: Settings,
}

/// Changes of an application.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    name: NameArgs,

    #[command(flatten)]
    settings: Settings,

    /// A setting to make empty; repeat it for more
    #[arg(long, value_name = "FIELD", value_parser = CLEARABLE)]
    clear: Vec<String>,
}

pub(super) async fn create(arguments: CreateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut application = named(arguments.name);
    // All of a new application is sent, so nobody needs the mask.
    let _ = arguments.settings.apply(&mut application)?;
    let request = CreateApplicationRequest {
        application: Some(application),
    };
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    let created = service.create_application(request).await?.into_inner();
    let application = present(created.application, "application")?;
    let view = ApplicationView::from(application).with_secret(created.client_secret);
    output.print(&view, || view.text())?;
    Ok(Exit::Fine)
}

pub(super) async fn get(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = GetApplicationRequest {
        client_id: arguments.application,
    };
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    show(service.get_application(request).await?.into_inner().application, output)
}

pub(super) async fn list(mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    let mut applications = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListApplicationsRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = service.list_applications(request).await?.into_inner();
        applications.extend(page.applications.into_iter().map(ApplicationView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    output.print(&json!({"applications": applications}), || {
        ApplicationView::table(&applications)
    })?;
    Ok(Exit::Fine)
}

pub(super) async fn update(arguments: UpdateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut application = named(arguments.name);
    let mut changes = arguments.settings.apply(&mut application)?;
    changes.clear(arguments.clear)?;
    let request = UpdateApplicationRequest {
        application: Some(application),
        update_mask: Some(changes.into_mask()?),
    };
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    show(
        service.update_application(request).await?.into_inner().application,
        output,
    )
}

pub(super) async fn delete(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = DeleteApplicationRequest {
        client_id: arguments.application.clone(),
    };
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    service.delete_application(request).await?;
    output.print(&json!({"deleted": arguments.application}), || {
        format!(
            "the application {} is gone, and every token of it",
            arguments.application
        )
    })?;
    Ok(Exit::Fine)
}

/// An administrator may do that to every application, another one to itself.
pub(super) async fn revoke_tokens(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let credentials = session.credentials()?;
    let authorization = match session.admin_token(&credentials).await? {
        Some(token) => Authorization::Bearer(token),
        None => credentials.basic(),
    };
    let mut service = BindingServiceClient::new(session.issuer(&authorization).await?);
    let request = RevokeApplicationRequest {
        client_id: arguments.application.clone(),
    };
    let revoked = service.revoke_application(request).await?.into_inner();
    output.print(&json!({"revision": revoked.revision}), || {
        format!(
            "every token that was issued to {} is dead (revision {})",
            arguments.application, revoked.revision
        )
    })?;
    Ok(Exit::Fine)
}

fn named(arguments: NameArgs) -> Application {
    Application {
        client_id: arguments.application,
        ..Application::default()
    }
}

fn show(application: Option<Application>, output: Output) -> Result<Exit, CliError> {
    let view = ApplicationView::from(present(application, "application")?);
    output.print(&view, || view.text())?;
    Ok(Exit::Fine)
}
