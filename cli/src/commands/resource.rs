//! `tokenbind resource`.

use clap::{Args, Subcommand};
use serde_json::json;
use tokenbind_proto::v1::resource_service_client::ResourceServiceClient;
use tokenbind_proto::v1::{
    BindingType, CreateResourceRequest, DeleteResourceRequest, GetResourceRequest, ListResourcesRequest, Resource,
    UpdateResourceRequest,
};

use super::app::authentication::certificate_name;
use super::{Changes, PAGE_SIZE, present};
use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::ResourceView;
use crate::words;

/// What to do with resources.
#[derive(Debug, Subcommand)]
pub(crate) enum ResourceCommand {
    /// Creates a resource and shows its secret, this once
    Create(CreateArgs),
    /// Shows a resource
    Get(NameArgs),
    /// Lists all resources
    List,
    /// Changes what is given and leaves the rest; validators follow at once
    Update(UpdateArgs),
    /// Deletes a resource
    Delete(NameArgs),
}

/// Which resource.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The id of the resource
    resource_id: String,
}

/// What a resource accepts.
#[derive(Debug, Args)]
struct Settings {
    /// An audience that means this resource; repeat it for more [default: its id]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,

    /// An application whose tokens it accepts; repeat it for more [default: nobody]
    #[arg(long = "accept-client", value_name = "CLIENT_ID")]
    accepted_client_ids: Vec<String>,

    /// A scope of which a token must carry at least one; repeat it for more [default: any]
    #[arg(long = "accept-scope", value_name = "SCOPE")]
    accepted_scopes: Vec<String>,

    /// Whether a bound token is refused where its binding is not presented
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enforce_binding: Option<bool>,

    /// A way in which a token must be bound; repeat it for more [default: any]
    #[arg(long = "accept-binding-type", value_name = "TYPE", value_parser = words::binding_types())]
    accepted_binding_types: Vec<BindingType>,

    /// Seconds, 0 to 300, for which it accepts JWTs that a validator knows while that cannot reach the index; what is
    /// revoked meanwhile stays good that long; 0 is to deny
    #[arg(long, value_name = "SECONDS")]
    allow_stale_seconds: Option<u32>,

    /// The one URI of a certificate, such as a SPIFFE ID, with which it may call validators instead of with its secret
    #[arg(long, value_name = "URI")]
    caller_san_uri: Option<String>,

    /// A DNS name of such a certificate
    #[arg(long, value_name = "NAME", conflicts_with = "caller_san_uri")]
    caller_san_dns: Option<String>,
}

/// A new resource.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The id of the resource
    resource_id: String,

    #[command(flatten)]
    settings: Settings,
}

/// Changes of a resource.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The id of the resource
    resource_id: String,

    #[command(flatten)]
    settings: Settings,

    /// A list to make empty; repeat it for more
    #[arg(
        long,
        value_name = "FIELD",
        value_parser = ["audiences", "accepted_client_ids", "accepted_scopes", "accepted_binding_types", "caller_certificate"]
    )]
    clear: Vec<String>,
}

impl Settings {
    fn apply(self, resource: &mut Resource) -> Changes {
        let mut changes = Changes::default();
        let types = self.accepted_binding_types.into_iter().map(|kind| kind as i32);
        changes.set_list("audiences", &mut resource.audiences, self.audiences);
        changes.set_list(
            "accepted_client_ids",
            &mut resource.accepted_client_ids,
            self.accepted_client_ids,
        );
        changes.set_list("accepted_scopes", &mut resource.accepted_scopes, self.accepted_scopes);
        changes.set("enforce_binding", &mut resource.enforce_binding, self.enforce_binding);
        changes.set_list(
            "accepted_binding_types",
            &mut resource.accepted_binding_types,
            types.collect(),
        );
        let stale = &mut resource.allow_stale_seconds;
        changes.set("allow_stale_seconds", stale, self.allow_stale_seconds);
        let certificate = certificate_name(self.caller_san_uri, self.caller_san_dns).map(Some);
        changes.set("caller_certificate", &mut resource.caller_certificate, certificate);
        changes
    }
}

pub(crate) async fn run(command: ResourceCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        ResourceCommand::Create(arguments) => create(arguments, session, output).await,
        ResourceCommand::Get(arguments) => get(arguments, session, output).await,
        ResourceCommand::List => list(session, output).await,
        ResourceCommand::Update(arguments) => update(arguments, session, output).await,
        ResourceCommand::Delete(arguments) => delete(arguments, session, output).await,
    }
}

async fn create(arguments: CreateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut resource = Resource {
        resource_id: arguments.resource_id,
        ..Resource::default()
    };
    // All of a new resource is sent, so nobody needs the mask.
    let _ = arguments.settings.apply(&mut resource);
    let request = CreateResourceRequest {
        resource: Some(resource),
    };
    let mut service = ResourceServiceClient::new(session.admin().await?);
    let created = service.create_resource(request).await?.into_inner();
    let view = ResourceView::from(present(created.resource, "resource")?).with_secret(created.resource_secret);
    output.print(&view, || view.text())?;
    Ok(Exit::Fine)
}

async fn get(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = GetResourceRequest {
        resource_id: arguments.resource_id,
    };
    let mut service = ResourceServiceClient::new(session.admin().await?);
    show(service.get_resource(request).await?.into_inner().resource, output)
}

async fn list(mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = ResourceServiceClient::new(session.admin().await?);
    let mut resources = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListResourcesRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = service.list_resources(request).await?.into_inner();
        resources.extend(page.resources.into_iter().map(ResourceView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    output.print(&json!({"resources": resources}), || ResourceView::table(&resources))?;
    Ok(Exit::Fine)
}

async fn update(arguments: UpdateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut resource = Resource {
        resource_id: arguments.resource_id,
        ..Resource::default()
    };
    let mut changes = arguments.settings.apply(&mut resource);
    changes.clear(arguments.clear)?;
    let request = UpdateResourceRequest {
        resource: Some(resource),
        update_mask: Some(changes.into_mask()?),
    };
    let mut service = ResourceServiceClient::new(session.admin().await?);
    show(service.update_resource(request).await?.into_inner().resource, output)
}

async fn delete(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = DeleteResourceRequest {
        resource_id: arguments.resource_id.clone(),
    };
    let mut service = ResourceServiceClient::new(session.admin().await?);
    service.delete_resource(request).await?;
    output.print(&json!({"deleted": arguments.resource_id}), || {
        format!("the resource {} is gone", arguments.resource_id)
    })?;
    Ok(Exit::Fine)
}

fn show(resource: Option<Resource>, output: Output) -> Result<Exit, CliError> {
    let view = ResourceView::from(present(resource, "resource")?);
    output.print(&view, || view.text())?;
    Ok(Exit::Fine)
}
