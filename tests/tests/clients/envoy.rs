//! A real Envoy with `jwt_authn`, which fetches the issuer's keys itself.

use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;
use tokenbind_tests::{DEADLINE, Process, free_port, wait_until};

use crate::scripts::{folder, from_setup};
use crate::setting::Setting;

/// A running Envoy. It ends when the thread that started it does.
#[derive(Debug)]
pub(crate) struct Envoy {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Envoy {
    /// Starts one that trusts the issuer, and waits until it listens.
    pub(crate) async fn start(setting: &Setting) -> Self {
        let place = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = place.path().join("envoy.yaml");
        std::fs::write(&config, configuration(setting, port)).unwrap();
        let mut command = Command::new(from_setup("TOKENBIND_TEST_ENVOY"));
        command.arg("--config-path").arg(&config);
        // Without hot restart several of them need no numbers.
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        let mut process = Process::start("envoy", command);
        wait_until("Envoy listens", DEADLINE, async || {
            assert!(process.ended().is_none(), "Envoy ended: {}", process.log());
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self {
            port,
            _process: process,
            _folder: place,
        }
    }

    /// Where the API behind it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/orders", self.port)
    }
}

fn configuration(setting: &Setting, port: u16) -> String {
    let template = std::fs::read_to_string(folder("envoy.yaml")).unwrap();
    let issuer_port = setting.issuer_url.rsplit(':').next().unwrap();
    let tls = setting.authority().map_or_else(String::new, |authority| {
        format!(
            r#"      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: localhost
          common_tls_context:
            validation_context:
              trusted_ca: {{filename: "{}"}}
              match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: localhost}}}}]
"#,
            authority.display()
        )
    });
    template
        .replace("${PORT}", &port.to_string())
        .replace("${ISSUER}", &setting.issuer_url)
        .replace("${JWKS_URI}", &format!("{}/oauth2/jwks", setting.issuer_url))
        .replace("${ISSUER_PORT}", issuer_port)
        .replace("${TLS}", &tls)
}
