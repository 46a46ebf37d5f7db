//! The words of the domain: what is equal, what is not, and what is refused.

#![expect(clippy::expect_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tokenbind_index::{
    BindingId, BindingRef, BindingValue, Entropy, GeneratedSecret, Home, Locator, Namespace, Nonce, OpaqueToken,
    SecretHash, Slot, SlotDefinition, Subject, SystemEntropy, TokenReference,
};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

fn client_request(id: &str) -> BindingValue {
    BindingValue::ClientRequest(BindingId::parse(id).expect("short enough").expect("not blank"))
}

fn reference(tenant: &str, client_id: &str, id: &str) -> BindingRef {
    client_request(id).reference(&Namespace::parse(tenant).expect("a namespace"), client_id)
}

/// Everything that defines a slot, with text that likes to look like a delimiter.
#[derive(Clone, Debug, PartialEq)]
struct Definition {
    client_id: String,
    subject: Subject,
    scopes: BTreeSet<String>,
    audiences: BTreeSet<String>,
    opaque: bool,
    actor: Option<String>,
    device: Option<String>,
}

impl Definition {
    fn slot(&self) -> Slot {
        SlotDefinition {
            client_id: &self.client_id,
            subject: &self.subject,
            scopes: &self.scopes,
            audiences: &self.audiences,
            format: if self.opaque {
                TokenFormat::Opaque
            } else {
                TokenFormat::Jwt
            },
            actor: self.actor.as_deref(),
            binding: self
                .device
                .as_ref()
                .map(|device| reference("t", &self.client_id, device)),
        }
        .slot()
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ab:{} ,/|]{0,3}"
}

fn definition() -> impl Strategy<Value = Definition> {
    let subject = prop_oneof![text().prop_map(Subject::User), text().prop_map(Subject::Application)];
    let device = proptest::option::of("[ab:{}]{1,3}");
    let sets = (btree_set(text(), 0..3), btree_set(text(), 0..3));
    (
        text(),
        subject,
        sets,
        any::<bool>(),
        proptest::option::of(text()),
        device,
    )
        .prop_map(
            |(client_id, subject, (scopes, audiences), opaque, actor, device)| Definition {
                client_id,
                subject,
                scopes,
                audiences,
                opaque,
                actor,
                device,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cases 4 and 10: no delimiter, permutation or kind of subject makes two slots one, or one slot two.
    #[test]
    fn slots_are_equal_exactly_when_their_definitions_are(one in definition(), other in definition()) {
        prop_assert_eq!(one.slot() == other.slot(), one == other);
    }

    #[test]
    fn a_user_and_an_application_never_share_a_subject(user in text(), application in "[ab:]{0,3}") {
        let user = Subject::User(user);
        let application = Subject::Application(application);
        prop_assert_ne!(user.claim(), application.claim());
        prop_assert_ne!(user.home(), application.home());
        prop_assert_eq!(Subject::from_claim(&user.claim()), user);
        prop_assert_eq!(Subject::from_claim(&application.claim()), application);
    }

    /// The hash tag of Redis Cluster ends at the first brace.
    #[test]
    fn a_home_has_no_closing_brace(name in ".*") {
        let has_brace = Subject::User(name).home().as_bytes().contains(&b'}');
        prop_assert!(!has_brace);
    }

    #[test]
    fn an_opaque_token_reads_back(slot in any::<[u8; 16]>(), nonce in any::<[u8; 16]>(), secret in any::<[u8; 32]>()) {
        let locator = Locator { home: home(), slot: Slot(slot), nonce: Nonce(nonce) };
        let text = OpaqueToken { locator, secret }.encode();
        let read = OpaqueToken::decode(&text).expect("its own text");
        prop_assert_eq!((read.locator, read.secret), (locator, secret));
        prop_assert_eq!(Locator::decode(&locator.encode()), Some(locator));
        prop_assert_eq!(TokenReference::parse(&text).expect("ours").locator, locator);
    }

    /// One wrong character, one too few, one too many: refused without a look at the index.
    #[test]
    fn a_mistyped_opaque_token_is_refused(at in 0..116_usize, wrong in "[A-Za-z0-9_.=+/ -]", secret in any::<[u8; 32]>()) {
        let locator = Locator { home: home(), slot: Slot([1; 16]), nonce: Nonce([2; 16]) };
        let text = OpaqueToken { locator, secret }.encode();
        let mut changed = text.clone();
        changed.replace_range(at..=at, &wrong);
        prop_assert_eq!(OpaqueToken::decode(&changed).is_some(), changed == text);
        prop_assert!(OpaqueToken::decode(&text[..text.len() - 1]).is_none());
        let longer = text + "A";
        prop_assert!(OpaqueToken::decode(&longer).is_none());
    }

    #[test]
    fn garbage_is_no_token(garbage in ".*", bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(TokenReference::parse(&garbage).is_none());
        prop_assert!(TokenReference::parse(&String::from_utf8_lossy(&bytes)).is_none());
    }
}

fn home() -> Home {
    Subject::User("alice".to_owned()).home()
}

/// S11.
#[test]
fn a_blank_id_is_no_binding_and_a_long_one_is_refused() {
    for blank in ["", " ", "\t\r\n", "\u{2003}\u{a0}"] {
        assert!(BindingId::parse(blank).expect("short enough").is_none(), "{blank:?}");
    }
    for id in [
        "a",
        " a",
        "a ",
        "NONE",
        ":",
        "{",
        "\r\n.",
        "\0",
        &"é".repeat(127),
        &"a".repeat(255),
    ] {
        assert!(BindingId::parse(id).expect("short enough").is_some(), "{id:?}");
    }
    assert!(BindingId::parse(&"a".repeat(256)).is_err());
    assert!(BindingId::parse(&" ".repeat(256)).is_err(), "a limit is a limit");
}

/// S11: compared byte for byte.
#[test]
fn ids_are_not_trimmed_or_folded() {
    let ids = ["a", " a", "a ", "A", "\u{e9}", "e\u{301}"];
    let references: BTreeSet<_> = ids.iter().map(|id| reference("t", "app", id).0).collect();
    assert_eq!(references.len(), ids.len());
}

/// A ref says nothing in another application or tenant, and neither does one id look like another's digest.
#[test]
fn a_ref_belongs_to_its_tenant_and_application() {
    let original = reference("t", "app", "phone");
    assert_ne!(original, reference("u", "app", "phone"));
    assert_ne!(original, reference("t", "other", "phone"));
    assert_ne!(original, reference("t", "app", &original.encode()));
    assert_eq!(original.encode().len(), 43);
    assert_ne!(
        original,
        BindingValue::Certificate(original.0).reference(&Namespace::parse("t").expect("valid"), "app")
    );
    assert_ne!(
        client_request("phone").tag(&home()),
        client_request("phone").tag(&Subject::User("bob".into()).home())
    );
}

#[test]
fn a_namespace_cannot_break_a_key() {
    for wrong in ["", "a:b", "a{b", "A", "a b", &"a".repeat(33)] {
        assert!(Namespace::parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(Namespace::parse("shop-1_eu").is_ok());
}

#[test]
fn a_generated_secret_has_256_bits_and_compares_by_digest() {
    let (one, other) = (
        GeneratedSecret::generate(&SystemEntropy),
        GeneratedSecret::generate(&SystemEntropy),
    );
    assert_ne!(one.expose(), other.expose());
    assert_eq!(one.expose().len(), "tbs_".len() + 43);
    assert!(SecretHash::of(one.expose()).matches(one.hash().as_bytes()));
    assert!(!SecretHash::of(other.expose()).matches(one.hash().as_bytes()));
    assert!(!SecretHash::of(one.expose()).matches(&[]));
    assert!(!format!("{one:?} {:?}", one.hash()).contains(one.expose()));
}

#[test]
fn entropy_differs_from_call_to_call() {
    let (mut one, mut other) = ([0; 32], [0; 32]);
    SystemEntropy.fill(&mut one);
    SystemEntropy.fill(&mut other);
    assert_ne!(one, other);
}

#[test]
fn what_a_jwt_says_is_put_back_into_its_own_record_alone() {
    let locator = Locator {
        home: home(),
        slot: Slot([1; 16]),
        nonce: Nonce([2; 16]),
    };
    let segment = |text: String| URL_SAFE_NO_PAD.encode(text);
    for (said, audiences) in [(r#""a""#, vec!["a"]), (r#"["a","b"]"#, vec!["a", "b"])] {
        let claims = format!(r#"{{"jti":"{}","sub":"user:alice","aud":{said}}}"#, locator.encode());
        let token = format!("{}.{}.c2ln", segment("{}".to_owned()), segment(claims));
        let reference = TokenReference::parse(&token).expect("a token");
        let record = TokenRecord {
            digest: reference.digest.0.to_vec(),
            client_id: "shop".to_owned(),
            ..TokenRecord::default()
        };
        let own = reference.own_record(&token, Some(record.clone())).expect("its own");
        assert_eq!((own.subject.as_str(), own.client_id.as_str()), ("user:alice", "shop"));
        assert_eq!(own.audiences, audiences);
        let other = TokenRecord {
            digest: vec![0; 32],
            ..record
        };
        assert!(reference.own_record(&token, Some(other)).is_none());
        assert!(reference.own_record(&token, None).is_none());
    }
}
