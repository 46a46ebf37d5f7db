//! A mass of tokens that nobody issued: they cost neither Redis nor the validator what grows with their number.

use std::collections::HashMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenbind_proto::v1::{Reason, TokenFormat};
use tokenbind_tests::{DEADLINE, Resource};
use tonic::Code;

use crate::rig::Rig;
use crate::seen::{about, ask, ask_until, from_cache};

/// Of each kind.
const MASS: usize = 20_000;
/// Live tokens meanwhile.
const LIVE: usize = 200;
/// Keys that Redis may come to remember for the validator meanwhile: what is read again of the live ones.
const MORE_KEYS: u64 = 50;
/// What the validator may come to need in all, in bytes: what it remembers is bounded, and buffers of calls come and go.
const MORE_MEMORY: u64 = 96 << 20;

/// What Redis and the validator have done and hold.
#[derive(Debug)]
struct Load {
    gets: u64,
    commands: u64,
    tracked_keys: u64,
    redis_memory: u64,
    validator_memory: u64,
}

impl Load {
    fn now(rig: &Rig) -> Self {
        let mut redis = rig.redis.connection();
        let info: String = redis::cmd("INFO").arg("everything").query(&mut redis).unwrap();
        let fields: HashMap<_, _> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let number = |name: &str| fields[name].parse().unwrap();
        let gets = fields.get("cmdstat_get").copied().unwrap_or("calls=0,");
        let gets = gets.strip_prefix("calls=").unwrap().split(',').next().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", rig.validators[0].process.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
        Self {
            gets: gets.parse().unwrap(),
            commands: number("total_commands_processed"),
            tracked_keys: number("tracking_total_keys"),
            redis_memory: number("used_memory"),
            validator_memory: kilobytes << 10,
        }
    }
}

/// Numbers that look like chance, and are the same in every run.
struct Made(u64);

impl Made {
    fn number(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.number() % 300).unwrap() + 1;
        URL_SAFE_NO_PAD.encode(self.bytes(length))
    }

    /// A live one with another signature.
    fn jwt(&mut self, live: &str) -> String {
        let (signed, _) = live.rsplit_once('.').unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.bytes(64)))
    }

    /// One that says that a key has signed it of which nobody has heard.
    fn jwt_of_nobody(&mut self, live: &str) -> String {
        let (_, rest) = live.split_once('.').unwrap();
        let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{:x}"}}"#, self.number());
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    }

    /// Well-formed to its checksum.
    fn opaque(&mut self) -> String {
        let mut bytes = self.bytes(80);
        // A brace is refused.
        for byte in &mut bytes {
            *byte &= 0x7c;
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        format!("tbo_{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Sends all of them; answers what it cost.
async fn send(rig: &Rig, what: &str, tokens: &[String], reasons: &[Reason]) -> (Load, Load) {
    let before = Load::now(rig);
    let verdicts = rig.validators[0].client.validate_all(&rig.api, tokens).await;
    let after = Load::now(rig);
    let changed = |of: fn(&Load) -> u64| i128::from(of(&after)) - i128::from(of(&before));
    eprintln!(
        "{} {what}: {} GET, {} commands, {} tracked keys, {} KiB of Redis, {} KiB of the validator",
        tokens.len(),
        changed(|load| load.gets),
        changed(|load| load.commands),
        changed(|load| load.tracked_keys),
        changed(|load| load.redis_memory) / 1_024,
        changed(|load| load.validator_memory) / 1_024,
    );
    for verdict in verdicts {
        assert!(reasons.contains(&verdict.reason()), "{what}: {:?}", verdict.reason());
    }
    assert!(after.tracked_keys <= before.tracked_keys + MORE_KEYS, "{what}");
    (before, after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_refused_at_little_cost() {
    let rig = Rig::start(1, &[false]).await;
    let client = &rig.validators[0].client;
    let live: Vec<_> = rig
        .tokens("live", LIVE)
        .await
        .into_iter()
        .map(|(_, token)| token)
        .collect();
    for token in &live {
        ask_until(client, &rig.api, token, DEADLINE, crate::seen::Seen::is_kept).await;
    }
    let jwt = rig.issue(&Rig::app(TokenFormat::Jwt, 0), "forged").await.access_token;
    let start = Load::now(&rig);
    let mut made = Made(1);

    let texts: Vec<_> = (0..MASS).map(|_| made.text()).collect();
    let (before, after) = send(&rig, "texts", &texts, &[Reason::TokenMalformed]).await;
    assert!(after.gets - before.gets <= MORE_KEYS);

    let forged: Vec<_> = (0..MASS).map(|_| made.jwt(&jwt)).collect();
    let (before, after) = send(&rig, "forged JWTs", &forged, &[Reason::SignatureInvalid]).await;
    assert!(after.gets - before.gets <= MORE_KEYS);

    let of_nobody: Vec<_> = (0..MASS).map(|_| made.jwt_of_nobody(&jwt)).collect();
    let (before, after) = send(&rig, "JWTs of unknown keys", &of_nobody, &[Reason::SignatureInvalid]).await;
    // A new key is looked for now and then, whoever asks.
    assert!(after.commands - before.commands <= 1_000);

    let opaque: Vec<_> = (0..MASS).map(|_| made.opaque()).collect();
    let (before, after) = send(&rig, "opaque tokens", &opaque, &[Reason::TokenNotLive]).await;
    // Nothing but a look can tell; it is one at most.
    assert!(after.gets - before.gets <= opaque.len() as u64 + MORE_KEYS);

    let again = vec![made.opaque(); MASS];
    let begun = Instant::now();
    let (before, after) = send(&rig, "times the same", &again, &[Reason::TokenNotLive]).await;
    // It is remembered for a second, and what is not is read once for all who ask.
    assert!(after.gets - before.gets <= begun.elapsed().as_secs() + 2);

    strangers(&rig).await;

    let end = Load::now(&rig);
    assert!(end.tracked_keys <= start.tracked_keys + MORE_KEYS, "{start:?} {end:?}");
    assert!(
        end.validator_memory <= start.validator_memory + MORE_MEMORY,
        "{start:?} {end:?}"
    );
    assert!(end.redis_memory <= start.redis_memory + (4 << 20), "{start:?} {end:?}");
    // What is known of the live ones has not been pushed out.
    let verdicts = client.validate_all(&rig.api, &live).await;
    let kept = verdicts.iter().filter(|verdict| from_cache(verdict)).count();
    assert!(verdicts.iter().all(crate::seen::allowed));
    assert!(kept >= LIVE * 9 / 10, "{kept} of {LIVE} are still kept");
}

/// Callers of made-up names.
async fn strangers(rig: &Rig) {
    let before = Load::now(rig);
    for number in 0..2_000 {
        let stranger = Resource {
            id: format!("stranger-{number}"),
            secret: rig.api.secret.clone(),
        };
        let seen = ask(&rig.validators[0].client, &stranger, about("any")).await;
        assert_eq!(seen.answer.unwrap_err().code(), Code::Unauthenticated);
    }
    let after = Load::now(rig);
    eprintln!(
        "2000 strangers: {} tracked keys",
        after.tracked_keys - before.tracked_keys
    );
    assert!(after.tracked_keys <= before.tracked_keys + MORE_KEYS);
    assert!(after.gets - before.gets <= 2_000 + MORE_KEYS);
}
