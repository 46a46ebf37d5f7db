//! Generates the code of the contract, without protoc, and the descriptors that reflection serves.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use protox::prost_reflect::prost_types::FileDescriptorSet;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};

const WIRE: &str = "tokenbind/v1";
const STORED: &str = "tokenbind/index/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=tokenbind");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let wire = protos_in(WIRE)?;
    let all: Vec<_> = wire.iter().cloned().chain(protos_in(STORED)?).collect();

    // Readers of the index are not clients: reflection shows the wire contract alone.
    let public = protox::compile(&wire, ["."])?;
    fs::write(out.join("tokenbind.v1.descriptors"), public.encode_to_vec())?;

    let descriptors = protox::compile(&all, ["."])?;
    let secret = messages_with_secrets(&descriptors)?;
    fs::write(out.join("redacted.rs"), redacted_debug(&secret))?;
    tonic_prost_build::configure()
        .skip_debug(secret.iter().map(|name| format!(".{name}")).collect::<Vec<_>>())
        .compile_fds(descriptors)?;
    Ok(())
}

fn protos_in(folder: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(folder))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Every message that holds a `debug_redact` field, itself or in a message within it.
fn messages_with_secrets(descriptors: &FileDescriptorSet) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let pool = DescriptorPool::from_file_descriptor_set(descriptors.clone())?;
    let mut found: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = found.len();
        for message in pool
            .all_messages()
            .filter(|message| message.full_name().starts_with("tokenbind."))
        {
            if message.fields().any(|field| is_secret(&field) || holds(&field, &found)) {
                found.insert(message.full_name().to_owned());
            }
        }
        if found.len() == before {
            return Ok(found);
        }
    }
}

fn is_secret(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options
        .get_field_by_name("debug_redact")
        .is_some_and(|value| *value == Value::Bool(true))
}

fn holds(field: &FieldDescriptor, found: &BTreeSet<String>) -> bool {
    let kind = field.kind();
    let message: Option<&MessageDescriptor> = kind.as_message();
    message.is_some_and(|message| found.contains(message.full_name()))
}

/// A message with a secret says no more than its name when it is formatted, so no log can hold the secret.
fn redacted_debug(messages: &BTreeSet<String>) -> String {
    use std::fmt::Write as _;
    let mut code = String::new();
    for message in messages {
        let (package, name) = message.rsplit_once('.').unwrap_or(("", message));
        let module = package.trim_start_matches("tokenbind.").replace('.', "::");
        let _ = write!(
            code,
            "impl std::fmt::Debug for crate::{module}::{name} {{\n\
             fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n\
             f.debug_struct(\"{name}\").finish_non_exhaustive() }} }}\n"
        );
        if name == "IssueTokenRequest" {
            let _ = write!(
                code,
                "impl std::fmt::Debug for crate::{module}::issue_token_request::Grant {{\n\
                 fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n\
                 f.write_str(\"Grant\") }} }}\n"
            );
        }
    }
    code
}
