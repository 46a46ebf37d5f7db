//! `tokenbind user`.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokenbind_index::SystemEntropy;
use tokenbind_issuer::declared::check_password;
use tokenbind_issuer::password::hash_password;
use tokenbind_proto::v1::user_service_client::UserServiceClient;
use tokenbind_proto::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest, User,
};

use super::{Changes, PAGE_SIZE, present};
use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::input::PasswordArgs;
use crate::output::Output;
use crate::view::UserView;
use crate::words;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Creates a user
    Create(CreateArgs),
    /// Shows a user
    Get(NameArgs),
    /// Lists all users
    List,
    /// Changes what is given and leaves the rest; a changed password and `--disabled` also revoke the user's tokens
    Update(UpdateArgs),
    /// Deletes a user and revokes the user's tokens
    Delete(NameArgs),
    /// Prints the hash of a password for a catalog file; asks no server
    HashPassword(HashArgs),
}

/// Which user.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The username
    username: String,
}

/// What a user is like.
#[derive(Debug, Args)]
struct Settings {
    /// An attribute, for claims; repeat it for more
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = words::pair)]
    attributes: Vec<(String, String)>,

    /// If there are any, tokens for the user carry no other scopes; repeat it for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// Whether the user gets no token
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disabled: Option<bool>,
}

/// A new user.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The username
    username: String,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    password: PasswordArgs,
}

/// Changes of a user.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The username
    username: String,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    password: PasswordArgs,

    /// A list to make empty; repeat it for more
    #[arg(long, value_name = "FIELD", value_parser = ["attributes", "scopes"])]
    clear: Vec<String>,
}

/// A password to hash.
#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    #[command(flatten)]
    password: PasswordArgs,
}

impl Settings {
    fn apply(self, user: &mut User) -> Changes {
        let mut changes = Changes::default();
        let attributes = Some(self.attributes).filter(|given| !given.is_empty());
        let attributes = attributes.map(|given| given.into_iter().collect());
        changes.set("attributes", &mut user.attributes, attributes);
        changes.set_list("scopes", &mut user.scopes, self.scopes);
        changes.set("disabled", &mut user.disabled, self.disabled);
        changes
    }
}

pub(crate) async fn run(command: UserCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        UserCommand::Create(arguments) => create(arguments, session, output).await,
        UserCommand::Get(arguments) => get(arguments, session, output).await,
        UserCommand::List => list(session, output).await,
        UserCommand::Update(arguments) => update(arguments, session, output).await,
        UserCommand::Delete(arguments) => delete(arguments, session, output).await,
        UserCommand::HashPassword(arguments) => hash(&arguments, session, output),
    }
}

async fn create(arguments: CreateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let password = arguments.password.required(&mut session.stdin)?;
    let mut user = User {
        username: arguments.username,
        ..User::default()
    };
    // All of a new user is sent, so nobody needs the mask.
    let _ = arguments.settings.apply(&mut user);
    let request = CreateUserRequest {
        user: Some(user),
        password: password.expose_secret().to_owned(),
    };
    let created = UserServiceClient::new(session.admin().await?)
        .create_user(request)
        .await?;
    show(created.into_inner().user, output)
}

async fn get(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = GetUserRequest {
        username: arguments.username,
    };
    let found = UserServiceClient::new(session.admin().await?).get_user(request).await?;
    show(found.into_inner().user, output)
}

async fn list(mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = UserServiceClient::new(session.admin().await?);
    let mut users = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListUsersRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = service.list_users(request).await?.into_inner();
        users.extend(page.users.into_iter().map(UserView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    output.print(&json!({"users": users}), || UserView::table(&users))?;
    Ok(Exit::Fine)
}

async fn update(arguments: UpdateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let password = arguments.password.given(&mut session.stdin)?;
    let mut user = User {
        username: arguments.username,
        ..User::default()
    };
    let mut changes = arguments.settings.apply(&mut user);
    let mut request = UpdateUserRequest::default();
    let given = password.map(|password| password.expose_secret().to_owned());
    changes.set("password", &mut request.password, given);
    changes.clear(arguments.clear)?;
    request.update_mask = Some(changes.into_mask()?);
    request.user = Some(user);
    let updated = UserServiceClient::new(session.admin().await?)
        .update_user(request)
        .await?;
    show(updated.into_inner().user, output)
}

async fn delete(arguments: NameArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = DeleteUserRequest {
        username: arguments.username.clone(),
    };
    UserServiceClient::new(session.admin().await?)
        .delete_user(request)
        .await?;
    output.print(&json!({"deleted": arguments.username}), || {
        format!("the user {} is gone, and every token for it", arguments.username)
    })?;
    Ok(Exit::Fine)
}

fn hash(arguments: &HashArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let password = arguments.password.required(&mut session.stdin)?;
    if let Some(problem) = check_password(password.expose_secret()) {
        return Err(CliError::usage(format!("the password {problem}")));
    }
    let hash = hash_password(password.expose_secret(), &SystemEntropy)
        .map_err(|error| CliError::Internal(error.to_string()))?;
    output.print(&json!({"password_hash": hash}), || hash.clone())?;
    Ok(Exit::Fine)
}

fn show(user: Option<User>, output: Output) -> Result<Exit, CliError> {
    let view = UserView::from(present(user, "user")?);
    output.print(&view, || view.text())?;
    Ok(Exit::Fine)
}
