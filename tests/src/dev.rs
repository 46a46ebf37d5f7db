//! The development stack: both services in one process, with sample data.

use std::process::Command;

use serde_json::Value;

use crate::binaries::binary;
use crate::client::{App, Resource};
use crate::process::Process;

/// A running `tokenbind dev`.
#[derive(Debug)]
pub struct DevStack {
    /// Its process.
    pub process: Process,
    /// The line that it printed when it was ready.
    pub ready: Value,
}

impl DevStack {
    /// Starts it on free ports, with further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(binary("tokenbind"));
        command.args([
            "dev",
            "--json",
            "--issuer-listen",
            "127.0.0.1:0",
            "--validator-listen",
            "127.0.0.1:0",
        ]);
        command.args(arguments);
        let mut process = Process::start("tokenbind dev", command);
        let line = process.first_line();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { process, ready }
    }

    /// Where the issuer is.
    pub fn issuer(&self) -> &str {
        text(&self.ready["issuer"])
    }

    /// Where the validator is.
    pub fn validator(&self) -> &str {
        text(&self.ready["validator"])
    }

    /// The application that may administer.
    pub fn admin(&self) -> App {
        app(&self.ready["admin"])
    }

    /// The sample application of this name.
    pub fn app(&self, client_id: &str) -> App {
        let applications = self.ready["applications"].as_array().expect("applications");
        let found = applications.iter().find(|one| one["client_id"] == client_id);
        app(found.unwrap_or_else(|| panic!("{client_id} is a sample application")))
    }

    /// The sample resource.
    pub fn resource(&self) -> Resource {
        Resource {
            id: text(&self.ready["resource"]["id"]).to_owned(),
            secret: text(&self.ready["resource"]["secret"]).to_owned(),
        }
    }

    /// The sample user's name and password.
    pub fn user(&self) -> (&str, &str) {
        let user = &self.ready["users"][0];
        (text(&user["username"]), text(&user["password"]))
    }
}

fn app(value: &Value) -> App {
    App {
        id: text(&value["client_id"]).to_owned(),
        secret: text(&value["client_secret"]).to_owned(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}
