//! What is told when the stack is ready: a line for scripts, a banner and a story for people.

use std::net::SocketAddr;

use serde::Serialize;

use super::samples::{self, ADMIN, APPLICATIONS, PASSWORD, RESOURCE, USERNAME};
use super::{banner, story};
use crate::words;

/// Where the stack is, and how it was started.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) issuer: SocketAddr,
    pub(super) validator: SocketAddr,
    pub(super) in_memory: bool,
    pub(super) caller_auth: bool,
}

/// The line of `--json`: a public format.
#[derive(Debug, Serialize)]
pub(super) struct ReadyLine {
    issuer: String,
    validator: String,
    admin: Credentials,
    applications: Vec<ApplicationLine>,
    users: Vec<UserLine>,
    resource: ResourceLine,
}

#[derive(Debug, Serialize)]
struct Credentials {
    client_id: String,
    client_secret: String,
}

#[derive(Debug, Serialize)]
struct ApplicationLine {
    client_id: String,
    client_secret: String,
    token_format: String,
    binding_type: String,
}

#[derive(Debug, Serialize)]
struct UserLine {
    username: String,
    password: String,
}

#[derive(Debug, Serialize)]
struct ResourceLine {
    id: String,
    secret: String,
}

impl Ready {
    /// For scripts.
    pub(super) fn line(&self) -> ReadyLine {
        let application = |sample: &samples::Sample| ApplicationLine {
            client_id: sample.client_id.to_owned(),
            client_secret: samples::secret(sample.client_id),
            token_format: words::token_format(sample.token_format as i32),
            binding_type: words::binding_type(sample.binding_type as i32),
        };
        ReadyLine {
            issuer: self.issuer.to_string(),
            validator: self.validator.to_string(),
            admin: Credentials {
                client_id: ADMIN.to_owned(),
                client_secret: samples::secret(ADMIN),
            },
            applications: APPLICATIONS.iter().map(application).collect(),
            users: vec![UserLine {
                username: USERNAME.to_owned(),
                password: PASSWORD.to_owned(),
            }],
            resource: ResourceLine {
                id: RESOURCE.to_owned(),
                secret: samples::secret(RESOURCE),
            },
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        format!("{}\n{}", banner::text(self), story::text(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_scripts_know() {
        let ready = Ready {
            issuer: "127.0.0.1:7001".parse().unwrap(),
            validator: "127.0.0.1:7002".parse().unwrap(),
            in_memory: true,
            caller_auth: false,
        };
        let line = serde_json::to_value(ready.line()).unwrap();
        assert_eq!(line["issuer"], "127.0.0.1:7001");
        assert_eq!(line["admin"]["client_id"], "admin");
        let ids: Vec<_> = line["applications"].as_array().unwrap().iter().collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids[0]["client_id"], "shop-jwt");
        assert_eq!(ids[1]["token_format"], "opaque");
        assert_eq!(ids[2]["binding_type"], "none");
        assert_eq!(line["users"][0]["username"], "alice");
        assert_eq!(line["resource"]["id"], "orders-api");
    }
}
