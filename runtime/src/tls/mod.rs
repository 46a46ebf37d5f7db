//! TLS of a server, from PEM files that may be replaced while it serves.
//!
//! | metric | kind | labels | meaning |
//! |---|---|---|---|
//! | [`CERTIFICATE_END`] | gauge | | seconds since 1970 at which the server's certificate ends |
//! | [`RELOADS`] | counter | outcome (`ok`, `failed`) | times that changed files were read |

mod files;
mod peer;

pub use peer::{PeerCertificate, SubjectName};

use crate::{
    config::Violations,
    shutdown::Shutdown,
    watched::{LOOK_INTERVAL, Watched},
};
use arc_swap::ArcSwap;
use clap::ValueEnum;
use files::{Files, Loaded};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use rustls::ServerConfig;
use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicI64, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task, time,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// When the server's certificate ends.
pub const CERTIFICATE_END: &str = "tokenbind_tls_certificate_not_after_timestamp_seconds";
/// How often changed files were read.
pub const RELOADS: &str = "tokenbind_tls_reloads_total";

/// A handshake takes two round trips; whoever needs longer than this is not a client.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether clients present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// They are not asked for one.
    None,
    /// They may; one that does not verify is refused.
    Optional,
    /// They must.
    Required,
}

/// The TLS of a server: certificate, key and what is asked of clients. Formats without its content; clones share one state.
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    files: Files,
    /// What new connections get. Those that are open keep what they began with.
    config: ArcSwap<ServerConfig>,
    not_after: AtomicI64,
    seen: Mutex<Seen>,
}

struct Seen {
    watched: Watched,
    /// Why the files could not be used the last time.
    failed: Option<String>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.0.files).finish()
    }
}

/// Makes sure that rustls has a cryptography provider, whatever else is linked into the process.
pub fn install_crypto_provider() {
    // An error says that there is one already, which is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Reads and proves the files, or records which of them is wrong and why.
pub(crate) fn load(
    cert: &Path,
    key: &Path,
    client_ca: Option<(ClientAuth, &Path)>,
    violations: &mut Violations,
) -> Option<ServerTls> {
    let files = Files {
        cert: cert.to_owned(),
        key: key.to_owned(),
        client_ca: client_ca.map(|(mode, path)| (mode, path.to_owned())),
    };
    let watched = Watched::new(files.paths());
    let Loaded { config, not_after, .. } = files.load(violations)?;
    Some(ServerTls(Arc::new(Shared {
        files,
        config: ArcSwap::new(config),
        not_after: AtomicI64::new(not_after),
        seen: Mutex::new(Seen { watched, failed: None }),
    })))
}

impl ServerTls {
    /// Shakes hands as the server, with the certificate of this moment.
    ///
    /// # Errors
    /// The client did not agree, or took too long.
    pub async fn accept<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(self.0.config.load_full()).accept(io);
        time::timeout(HANDSHAKE_TIMEOUT, handshake).await?
    }

    /// Whether clients are asked for certificates.
    pub fn asks_for_certificates(&self) -> bool {
        self.0.files.client_ca.is_some()
    }

    /// Reads the files again whenever they have changed, until `shutdown`. Files that do not fit together, as a pair of which one half
    /// is written, or that hold a certificate of another time, change nothing: that is told once, and tried again.
    pub(crate) fn keep_current(&self, shutdown: &Shutdown) {
        describe_gauge!(
            CERTIFICATE_END,
            "Seconds since 1970 at which the server's certificate ends."
        );
        describe_counter!(RELOADS, "Times that changed TLS files were read, by outcome.");
        for outcome in ["ok", "failed"] {
            counter!(RELOADS, "outcome" => outcome).increment(0);
        }
        self.show_end();
        let tls = self.clone();
        shutdown.spawn(async move {
            loop {
                time::sleep(LOOK_INTERVAL).await;
                let tls = tls.clone();
                // A file system can be slow.
                let looked = task::spawn_blocking(move || tls.look()).await;
                if looked.is_err() {
                    tracing::error!("looking at the TLS files panicked");
                }
            }
        });
    }

    fn look(&self) {
        let shared = &self.0;
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Also while they look the same: what failed may have been the reading.
        if !seen.watched.changed() && seen.failed.is_none() {
            return;
        }
        let mut violations = Violations::new();
        let loaded = shared.files.load(&mut violations).filter(|loaded| {
            let is_of_now = loaded.is_of_now();
            if !is_of_now {
                violations.push("--tls-cert", "has ended, or does not begin yet");
            }
            is_of_now
        });
        match violations.finish(loaded) {
            Ok(Loaded { config, not_after, .. }) => {
                seen.failed = None;
                shared.config.store(config);
                shared.not_after.store(not_after, Ordering::Relaxed);
                counter!(RELOADS, "outcome" => "ok").increment(1);
                self.show_end();
                tracing::info!(not_after, "new connections get the TLS certificate that was put there");
            }
            Err(problem) => {
                let problem = problem.to_string();
                if seen.failed.as_ref() == Some(&problem) {
                    return;
                }
                seen.failed = Some(problem.clone());
                counter!(RELOADS, "outcome" => "failed").increment(1);
                tracing::error!(
                    problem,
                    "the TLS files have changed and cannot be used: the old ones stay"
                );
            }
        }
    }

    fn show_end(&self) {
        #[expect(clippy::cast_precision_loss, reason = "seconds fit until the sun is gone")]
        gauge!(CERTIFICATE_END).set(self.0.not_after.load(Ordering::Relaxed) as f64);
    }
}
