//! The two services as an operator starts them: processes of their own over a Redis, with a catalog and keys in files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rcgen::{KeyPair, PKCS_ED25519};
use tempfile::TempDir;

use crate::binaries::binary;
use crate::process::Process;

/// The application that the catalog declares for administration.
pub const ADMIN_ID: &str = "operator";
/// Its secret.
pub const ADMIN_SECRET: &str = "tbs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Where nobody needs to know beforehand.
const ANY_PORT: &str = "127.0.0.1:0";
/// SHA-256 of [`ADMIN_SECRET`].
pub const ADMIN_SECRET_SHA256: &str = "b1fd0d2a410ffcfd2a2c3f0375ad6fb03d87871abf52c4583e4e3dd65a8bc358";

/// The files of one installation, and the arguments that every issuer of it shares.
#[derive(Debug)]
pub struct Installation {
    folder: TempDir,
    redis_url: String,
    /// Whoever puts new keys there counts first.
    rotating: Mutex<()>,
}

impl Installation {
    /// New keys, and a catalog with an application for administration alone.
    pub fn new(redis_url: String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let signing = KeyPair::generate_for(&PKCS_ED25519).expect("a signing key");
        let opaque = KeyPair::generate_for(&PKCS_ED25519).expect("32 random bytes");
        for kind in ["signing", "opaque"] {
            std::fs::create_dir(folder.path().join(kind)).expect("a folder for keys");
        }
        write(
            &folder.path().join("signing/0001.pem"),
            signing.serialize_pem().as_bytes(),
        );
        // Any 32 unpredictable bytes will do; the public half of a fresh key is just that.
        write(&folder.path().join("opaque/0001.key"), opaque.public_key_raw());
        let catalog = format!(
            "version: 1\napplications:\n  - client_id: {ADMIN_ID}\n    token_format: jwt\n    grants: [client_credentials]\n    \
             scopes: [tokenbind.admin]\n    audiences: [tokenbind]\n    secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
        );
        write(&folder.path().join("catalog.yaml"), catalog.as_bytes());
        Self {
            folder,
            redis_url,
            rotating: Mutex::default(),
        }
    }

    /// Where its Redis is.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// The private key that signs JWTs, as PEM.
    pub fn signing_key(&self) -> PathBuf {
        self.folder.path().join("signing/0001.pem")
    }

    /// Puts a new key of each kind beside those that are there, the last by name, as a whole and at once.
    pub fn put_new_keys(&self) {
        let signing = KeyPair::generate_for(&PKCS_ED25519).expect("a signing key");
        let opaque = KeyPair::generate_for(&PKCS_ED25519).expect("32 random bytes");
        let pem = signing.serialize_pem();
        let _one = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, end, content) in [
            ("signing", "pem", pem.as_bytes()),
            ("opaque", "key", opaque.public_key_raw()),
        ] {
            let folder = self.folder.path().join(kind);
            let count = std::fs::read_dir(&folder).expect("the folder of keys").count();
            let hidden = folder.join(".new");
            write(&hidden, content);
            std::fs::rename(hidden, folder.join(format!("{:04}.{end}", count + 1))).expect("a new key");
        }
    }

    /// The catalog file.
    pub fn catalog(&self) -> PathBuf {
        self.folder.path().join("catalog.yaml")
    }

    /// Declares more in the catalog: further entries of `applications`, and whatever may follow them. Everything that is
    /// declared here has [`ADMIN_SECRET_SHA256`] for its secret.
    pub fn declare(&self, yaml: &str) {
        let catalog = std::fs::read_to_string(self.catalog()).expect("the catalog");
        write(&self.catalog(), (catalog + yaml).as_bytes());
    }

    /// How an issuer of this installation is started; not started yet.
    pub fn issuer_command(&self) -> Command {
        self.issuer_command_over(&self.redis_url)
    }

    /// The same over the Redis at another address, such as that of a proxy.
    pub fn issuer_command_over(&self, redis_url: &str) -> Command {
        self.issuer_command_at(ANY_PORT, redis_url)
    }

    fn issuer_command_at(&self, listen: &str, redis_url: &str) -> Command {
        let mut command = service("issuer", listen, redis_url);
        command.arg("--catalog").arg(self.catalog());
        command.arg("--signing-key").arg(self.folder.path().join("signing"));
        command.arg("--opaque-key").arg(self.folder.path().join("opaque"));
        command
    }

    /// Starts an issuer with further arguments; answers where it listens.
    pub fn start_issuer(&self, arguments: &[&str]) -> (Process, String) {
        self.start_issuer_at(ANY_PORT, arguments)
    }

    /// The same at an address that others know beforehand.
    pub fn start_issuer_at(&self, listen: &str, arguments: &[&str]) -> (Process, String) {
        let mut command = self.issuer_command_at(listen, &self.redis_url);
        command.args(arguments);
        start_service("issuer", command)
    }
}

/// Starts a validator with further arguments; answers where it listens.
pub fn start_validator(redis_url: &str, arguments: &[&str]) -> (Process, String) {
    start_validator_at(ANY_PORT, redis_url, arguments)
}

/// The same at an address that others know beforehand.
pub fn start_validator_at(listen: &str, redis_url: &str, arguments: &[&str]) -> (Process, String) {
    let mut command = service("validator", listen, redis_url);
    command.args(arguments);
    start_service("validator", command)
}

/// How a validator is started; not started yet.
pub fn validator_command(redis_url: &str) -> Command {
    service("validator", ANY_PORT, redis_url)
}

fn service(name: &str, listen: &str, redis_url: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.args(["--listen", listen, "--log-format", "json"]);
    command.args(["--redis-url", redis_url]);
    // No test waits for load balancers, unless it says so by the flag, which wins.
    command.env("TOKENBIND_DRAIN_SECONDS", "0");
    command
}

/// Starts a service; answers where it listens.
pub fn start_service(name: &str, command: Command) -> (Process, String) {
    let mut process = Process::start(name, command);
    let address = process.logged_address("serving");
    (process, address)
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("a file in a temporary folder");
}
