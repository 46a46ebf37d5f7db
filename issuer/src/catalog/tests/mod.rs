//! The file and what it does to a store.

mod file;
mod publish;

use super::Catalog;

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$dG9rZW5iaW5kZG9jcw$I7sIPTrWRq3+yQVpcQQ1VLgZ0ZTUjy5wTvQbqyfHz2c";

/// An application with one setting more.
fn application(client_id: &str, setting: &str) -> String {
    format!(
        "{{client_id: {client_id}, token_format: jwt, grants: [client_credentials], audiences: [orders], \
         secret_sha256: [{DIGEST}], {setting}}}"
    )
}

fn user(username: &str, hash: &str, setting: &str) -> String {
    format!("{{username: {username}, password_hash: \"{hash}\", {setting}}}")
}

fn file(applications: &[String], users: &[String], resources: &[&str]) -> String {
    let [applications, users, resources] = [applications.join(", "), users.join(", "), resources.join(", ")];
    format!("version: 1\napplications: [{applications}]\nusers: [{users}]\nresources: [{resources}]\n")
}

fn catalog(applications: &[String], users: &[String], resources: &[&str]) -> Catalog {
    Catalog::parse(&file(applications, users, resources)).unwrap_or_else(|errors| panic!("{errors}"))
}
