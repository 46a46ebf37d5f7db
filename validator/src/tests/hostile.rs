//! Arbitrary and mutated tokens: no panic, and nothing passes but what was issued.

use proptest::prelude::*;
use tokenbind_proto::v1::{Decision, TokenFormat};

use super::fixture::{Fixture, Spec};

/// One installation for all runs; the tokens of both formats stay live in it.
struct Installation {
    runtime: tokio::runtime::Runtime,
    fixture: Fixture,
    tokens: [String; 2],
}

impl Installation {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (fixture, tokens) = runtime.block_on(async {
            let fixture = Fixture::new().await;
            let tokens = [
                fixture.jwt(&Spec::default()).await,
                fixture.opaque(&Spec::default()).await,
            ];
            (fixture, tokens)
        });
        Self {
            runtime,
            fixture,
            tokens,
        }
    }

    fn decision(&self, token: &str) -> Decision {
        self.runtime.block_on(self.fixture.verdict(token)).decision()
    }
}

thread_local! {
    static INSTALLATION: Installation = Installation::new();
}

fn decision(token: &str) -> Decision {
    INSTALLATION.with(|installation| installation.decision(token))
}

fn live(format: TokenFormat) -> String {
    let number = usize::from(format == TokenFormat::Opaque);
    INSTALLATION.with(|installation| installation.tokens[number].clone())
}

#[derive(Clone, Debug)]
enum Change {
    Replace(char),
    Insert(char),
    Remove,
    Cut,
    Repeat,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        prop_oneof!["[A-Za-z0-9_.=-]".prop_map(|text| first(&text)), any::<char>()].prop_map(Change::Replace),
        any::<char>().prop_map(Change::Insert),
        Just(Change::Remove),
        Just(Change::Cut),
        Just(Change::Repeat),
    ]
}

fn first(text: &str) -> char {
    text.chars().next().unwrap_or_default()
}

/// Tokens are ASCII, so that every place is one of a character.
fn apply(token: &str, change: &Change, place: prop::sample::Index) -> String {
    let place = place.index(token.len());
    let (before, after) = token.split_at(place);
    let rest = &after[1..];
    match change {
        Change::Replace(with) => format!("{before}{with}{rest}"),
        Change::Insert(with) => format!("{before}{with}{after}"),
        Change::Remove => format!("{before}{rest}"),
        Change::Cut => before.to_owned(),
        Change::Repeat => format!("{token}{after}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_made_up_passes(token in ".{0,200}") {
        prop_assert_ne!(decision(&token), Decision::Allow);
    }

    #[test]
    fn nothing_of_our_shapes_passes(
        token in prop_oneof![
            "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}",
            "tbo_[A-Za-z0-9_-]{112}",
            "tbo_.{0,120}",
        ],
    ) {
        prop_assert_ne!(decision(&token), Decision::Allow);
    }

    #[test]
    fn no_changed_token_passes(
        format in prop_oneof![Just(TokenFormat::Jwt), Just(TokenFormat::Opaque)],
        change in any_change(),
        place in any::<prop::sample::Index>(),
    ) {
        let token = live(format);
        prop_assert_eq!(decision(&token), Decision::Allow);
        let changed = apply(&token, &change, place);
        prop_assume!(changed != token);
        prop_assert_ne!(decision(&changed), Decision::Allow);
    }
}
