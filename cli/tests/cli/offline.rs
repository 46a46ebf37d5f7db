//! The commands that ask no server.

use tokenbind_index::SecretHash;

use super::support::Tokenbind;

#[test]
fn a_secret_comes_with_its_digest() {
    let made = Tokenbind::new().run(&["app", "secret", "--json"]).fine().json();
    let secret = made["client_secret"].as_str().unwrap();
    let hex = made["secret_sha256"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let digest: Vec<_> = (0..hex.len()).step_by(2).map(byte).collect();
    assert_eq!(digest, SecretHash::of(secret).as_bytes());
    assert!(secret.starts_with("tbs_"));
    let other = Tokenbind::new().run(&["app", "secret", "--json"]).fine().json();
    assert_ne!(made, other);
}

#[test]
fn a_password_is_hashed_but_never_taken_from_the_arguments() {
    let tokenbind = Tokenbind::new();
    let hash = tokenbind.run_with_input(&["user", "hash-password", "--password-stdin"], "correct horse\n");
    assert!(hash.fine().stdout.starts_with("$argon2id$v=19$"));
    let short = tokenbind.run_with_input(&["user", "hash-password", "--password-stdin"], "short");
    assert!(short.ended(2).stderr.contains("8 to"));
    let missing = tokenbind.run(&["user", "hash-password"]).ended(2);
    assert!(missing.stderr.contains("--password-stdin"), "{}", missing.stderr);
}

#[test]
fn a_key_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("2026-01.pem");
    let path = file.to_str().unwrap();
    Tokenbind::new().run(&["keys", "generate", path]).fine();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let again = Tokenbind::new()
        .run(&["keys", "generate", path, "--kind", "opaque"])
        .ended(2);
    assert!(again.stderr.contains("not overwritten"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
}
