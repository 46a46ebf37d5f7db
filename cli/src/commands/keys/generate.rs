//! `tokenbind keys generate`.

use std::path::PathBuf;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use serde_json::json;
use tokenbind_index::{Entropy, SystemEntropy};
use tokenbind_issuer::signing::generate_pem;
use zeroize::Zeroizing;

use crate::commands::secret_files;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Which key, and where to.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The file to write; it must not exist
    file: PathBuf,

    /// What the key is for
    #[arg(long, value_enum, default_value_t = KeyKind::Eddsa, value_name = "KIND")]
    kind: KeyKind,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KeyKind {
    /// Signs JWTs with `EdDSA` (Ed25519)
    Eddsa,
    /// Signs JWTs with ES256 (P-256)
    Es256,
    /// Derives opaque tokens
    Opaque,
}

impl KeyKind {
    fn name(self) -> &'static str {
        match self {
            Self::Eddsa => "eddsa",
            Self::Es256 => "es256",
            Self::Opaque => "opaque",
        }
    }
}

pub(super) fn run(arguments: &GenerateArgs, output: Output) -> Result<Exit, CliError> {
    write(arguments)?;
    let (file, kind) = (arguments.file.display().to_string(), arguments.kind.name());
    output.print(&json!({"file": file, "kind": kind}), || match arguments.kind {
        KeyKind::Opaque => format!("{file} derives opaque tokens: start the issuers with --opaque-key"),
        _ => format!("{file} signs JWTs: start the issuers with --signing-key"),
    })?;
    Ok(Exit::Fine)
}

fn write(arguments: &GenerateArgs) -> Result<(), CliError> {
    let content = generate(arguments.kind, &SystemEntropy)?;
    secret_files::write_new(&arguments.file, content.as_bytes())
}

fn generate(kind: KeyKind, entropy: &dyn Entropy) -> Result<Zeroizing<String>, CliError> {
    let failed = |_| CliError::Internal("the key cannot be generated".to_owned());
    let der = match kind {
        KeyKind::Eddsa => return generate_pem(entropy).map_err(CliError::Internal),
        KeyKind::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .map_err(failed)?,
        KeyKind::Opaque => {
            let mut bytes = Zeroizing::new([0; 32]);
            entropy.fill(bytes.as_mut_slice());
            return Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()) + "\n"));
        }
    };
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    Ok(Zeroizing::new(encode_config(
        &Pem::new("PRIVATE KEY", der.as_ref()),
        config,
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokenbind_issuer::opaque::OpaqueKeys;
    use tokenbind_issuer::signing::KeyRing;

    use super::*;

    fn written(kind: KeyKind) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let arguments = GenerateArgs {
            file: file.clone(),
            kind,
        };
        write(&arguments).unwrap();
        // A second time it would destroy the first key.
        assert_eq!(write(&arguments).unwrap_err().exit(), Exit::Usage);
        (folder, file)
    }

    #[test]
    fn an_issuer_takes_every_kind_and_only_the_owner_reads_it() {
        for (kind, algorithm) in [(KeyKind::Eddsa, "EdDSA"), (KeyKind::Es256, "ES256")] {
            let (_folder, file) = written(kind);
            let ring = KeyRing::load(&file).unwrap();
            assert_eq!(ring.active().public_jwk()["alg"], algorithm);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (_folder, file) = written(KeyKind::Opaque);
        OpaqueKeys::load(&file).unwrap();
    }
}
