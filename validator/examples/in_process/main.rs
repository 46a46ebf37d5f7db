//! A service that judges the tokens of its callers itself, without a network between: `docs/in-process.md`.
//!
//! ```sh
//! cargo run -p tokenbind-validator --example in_process                            # over an index of its own
//! TOKENBIND_REDIS_URL=redis://127.0.0.1 cargo run -p tokenbind-validator --example in_process -- TOKEN DEVICE
//! ```

mod embedded;
mod guard;

use std::error::Error;
use std::io::Write as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (validator, token) = match std::env::var("TOKENBIND_REDIS_URL") {
        Ok(url) => (guard::connect(url).await?, arguments.next().unwrap_or_default()),
        Err(_) => embedded::validator().await?,
    };
    let device = arguments.next().unwrap_or_else(|| "phone-1".to_owned());
    let authorization = format!("Bearer {token}");
    let mut stdout = std::io::stdout().lock();
    for device in [device.as_str(), "another-phone"] {
        match guard::guard(&validator, &authorization, device).await {
            Ok(token) => writeln!(stdout, "from {device}: 200, {} may go on", token.subject.claim())?,
            Err(refusal) => writeln!(stdout, "from {device}: {} {}", refusal.status, refusal.www_authenticate)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_goes_on_with_its_own_token_from_its_own_device() {
        let (validator, token) = embedded::validator().await.unwrap();
        validator.ready().await.unwrap();
        let authorization = format!("Bearer {token}");
        let status = async |authorization: &str, device: &str| {
            let judged = guard::guard(&validator, authorization, device).await;
            judged.map_or_else(|refusal| refusal.status, |_| 200)
        };
        assert_eq!(status(&authorization, "another-phone").await, 403);
        assert_eq!(status(&authorization, "").await, 403);
        assert_eq!(status(&authorization, &"x".repeat(256)).await, 400);
        assert_eq!(status(&format!("{authorization}x"), "phone-1").await, 401);
        assert_eq!(status("", "phone-1").await, 401);
        let token = guard::guard(&validator, &authorization, "phone-1").await.unwrap();
        assert_eq!(token.subject.claim(), "user:alice");
    }

    /// V10: what cannot be judged is refused.
    #[tokio::test]
    async fn without_an_index_nothing_goes_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        drop(listener);
        let validator = guard::connect(url).await.unwrap();
        assert!(validator.ready().await.is_err());
        let refused = guard::guard(&validator, "Bearer tbo_x", "phone-1").await.unwrap_err();
        assert_eq!(refused.status, 503);
    }

    #[test]
    fn the_documentation_shows_this_guard() {
        let shown = include_str!("../../../docs/in-process.md");
        let guard = format!("```rust\n{}```\n", include_str!("guard.rs"));
        assert!(
            shown.contains(&guard),
            "docs/in-process.md holds another version of guard.rs"
        );
    }
}
