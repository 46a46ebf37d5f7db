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
const PACKAGE: &str = "tokenbind.v1.";
/// What the validator writes by itself.
const FACTS: &str = "tokenbind.v1.TokenFacts";

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
    answering(&public, &out.join("answering"))
}

/// Generates the validator's service once more, with answers whose facts are written by whoever knows them.
fn answering(descriptors: &FileDescriptorSet, out: &Path) -> Result<(), Box<dyn Error>> {
    let pool = DescriptorPool::from_file_descriptor_set(descriptors.clone())?;
    let mut answers = BTreeSet::from([FACTS.to_owned()]);
    close(&pool, &mut answers, |_| false);
    let messages = pool.all_messages().map(|message| message.full_name().to_owned());
    let enums = pool.all_enums().map(|known| known.full_name().to_owned());
    let others = messages.chain(enums).filter(|name| !answers.contains(name));

    let mut descriptors = descriptors.clone();
    for file in &mut descriptors.file {
        file.service.retain(|service| service.name() == "ValidationService");
    }
    let mut generator = tonic_prost_build::configure().build_client(false).out_dir(out);
    for name in others.filter(|name| name.starts_with(PACKAGE)) {
        let path = format!("crate::v1::{}", name.trim_start_matches(PACKAGE));
        generator = generator.extern_path(format!(".{name}"), path);
    }
    fs::create_dir_all(out)?;
    generator
        .extern_path(format!(".{FACTS}"), "crate::answering::Facts")
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
    close(&pool, &mut found, is_secret);
    Ok(found)
}

/// Adds every message with a field that is meant, or that holds a message which was found.
fn close(pool: &DescriptorPool, found: &mut BTreeSet<String>, meant: fn(&FieldDescriptor) -> bool) {
    loop {
        let before = found.len();
        for message in pool
            .all_messages()
            .filter(|message| message.full_name().starts_with("tokenbind."))
        {
            if message.fields().any(|field| meant(&field) || holds(&field, found)) {
                found.insert(message.full_name().to_owned());
            }
        }
        if found.len() == before {
            return;
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
