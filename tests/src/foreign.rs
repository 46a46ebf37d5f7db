//! Somebody else's issuer: signs whatever a test wants, and publishes its keys over HTTP, well or badly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a foreign issuer has a clock of its own")]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// A key pair of somebody else.
#[derive(Debug)]
pub struct ForeignKey {
    /// Its name.
    pub kid: String,
    pair: Ed25519KeyPair,
}

impl ForeignKey {
    /// A new one.
    pub fn new(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Ed25519KeyPair::generate().expect("a key pair"),
        }
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x})
    }

    /// A set of it alone.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    /// A JWT with these claims and the usual header.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    /// The usual header.
    pub fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid})
    }

    /// A JWT with this header, whatever it says; the signature is right.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A JWT of this very text.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        self.sign_bytes(header.as_bytes(), claims.as_bytes())
    }

    /// A JWT of these very bytes, which need be no text.
    pub fn sign_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The attack of RFC 8725, section 2.1: HMAC with the public key as the secret.
    pub fn sign_by_hmac(&self, claims: &Value) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.kid}).to_string();
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()))
        )
    }
}

/// What its server does.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers this key set.
    Serve(Value),
    /// Answers these bytes as the body.
    Body(Vec<u8>),
    /// Answers this status line and these headers, without a body.
    Head(String),
    /// Answers a body that does not end.
    Endless,
    /// Takes the connection and says nothing.
    Silent,
    /// Hangs up.
    HangUp,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    requests: Vec<String>,
}

/// An HTTP server with keys, gone with the test's runtime.
#[derive(Clone, Debug)]
pub struct ForeignIssuer {
    address: String,
    state: Arc<Mutex<State>>,
}

impl ForeignIssuer {
    /// Starts it on a free port.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let requests = Vec::new();
        let state = Arc::new(Mutex::new(State { behaviour, requests }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// Its `iss`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its keys are.
    pub fn jwks_uri(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// Behaves otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    let mut buffer = [0; 1_024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let behaviour = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(String::from_utf8_lossy(&head).into_owned());
        state.behaviour.clone()
    };
    // Whoever asked may hang up at any moment: that is what some of the tests are about.
    let _ = behave(&mut stream, behaviour).await;
}

async fn behave(stream: &mut TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    let ok = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    match behaviour {
        Behaviour::Serve(keys) => {
            let body = keys.to_string();
            stream.write_all((ok(body.len()) + &body).as_bytes()).await
        }
        Behaviour::Body(body) => {
            stream.write_all(ok(body.len()).as_bytes()).await?;
            stream.write_all(&body).await
        }
        Behaviour::Head(head) => {
            let head = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Behaviour::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[")
                .await?;
            loop {
                stream.write_all(&[b' '; 4_096]).await?;
            }
        }
        Behaviour::Silent => {
            // Until the other side hangs up.
            let _ = stream.read(&mut [0; 1]).await?;
            Ok(())
        }
        Behaviour::HangUp => Ok(()),
    }
}
