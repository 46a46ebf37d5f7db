//! The secrets that were used, and the forms in which they could lie around.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Every secret that was used, with what it is.
#[derive(Default)]
pub(crate) struct Canaries(Vec<(&'static str, Vec<u8>)>);

impl Canaries {
    /// Notes a secret, and gives it back.
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) -> String {
        // Whatever is cut off at a length would still show its beginning.
        let shown = &secret.as_bytes()[..secret.len().min(24)];
        self.0.push((what, shown.to_vec()));
        secret.to_owned()
    }

    /// Notes a token: whole, and the part that makes it more than its name. The locator is no secret.
    pub(crate) fn add_token(&mut self, token: &str) -> String {
        self.0.push(("a token", token.as_bytes().to_vec()));
        // 48 bytes of an opaque token's locator are 64 characters, 51 of a refresh token's family 68; the secret part and a
        // checksum follow.
        let opaque = token.strip_prefix("tbo_").map(|token| &token[64..]);
        let refresh = token.strip_prefix("tbr_").map(|token| &token[68..]);
        let secret = opaque.or(refresh).unwrap_or_else(|| token.rsplit('.').next().unwrap());
        self.0.push(("the secret part of a token", secret.as_bytes().to_vec()));
        let raw = URL_SAFE_NO_PAD.decode(secret).unwrap();
        self.0.push(("the bytes of the secret part", raw[..32].to_vec()));
        token.to_owned()
    }

    /// Each secret as it is, in hexadecimal, and in base64 at each of the three places in which it can stand there.
    pub(crate) fn forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut forms = Vec::new();
        for (what, secret) in &self.0 {
            let digits: Vec<_> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let hex = digits.concat();
            forms.push((*what, hex.to_uppercase().into_bytes()));
            forms.push((*what, hex.into_bytes()));
            for shift in 0..3 {
                let shifted = [&vec![0; shift], secret.as_slice()].concat();
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(&shifted);
                    // The characters at both ends depend on what stands beside the secret.
                    let inner = &encoded[shift + usize::from(shift > 0)..encoded.len() - 2];
                    forms.push((*what, inner.as_bytes().to_vec()));
                }
            }
            forms.push((*what, secret.clone()));
        }
        forms
    }
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    let mut canaries = Canaries::default();
    canaries.add("a secret", "canary?~>secret");
    let forms = canaries.forms();
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}canary?~>secret and more");
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text), text] {
            assert!(
                forms
                    .iter()
                    .any(|(_, form)| encoded.as_bytes().windows(form.len()).any(|part| part == form))
            );
        }
    }
}
