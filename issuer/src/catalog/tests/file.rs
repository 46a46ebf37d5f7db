//! What is read and what is refused.

use tokenbind_proto::index::v1::ApplicationRecord;
use tokenbind_proto::v1::{BindingLimitPolicy, BindingType, GrantType, TokenFormat};

use super::super::{CatalogErrors, MAX_FILE_BYTES};
use super::{Catalog, DIGEST, HASH, application, catalog, file, user};

fn refusal(text: &str) -> CatalogErrors {
    Catalog::parse(text).expect_err("it is wrong")
}

#[track_caller]
fn refused_at(text: &str, paths: &[&str]) {
    let errors = refusal(text);
    let found: Vec<_> = errors.0.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(found, paths, "{errors}");
}

#[test]
fn the_example_of_the_documentation_is_read_as_it_says() {
    let documentation = include_str!("../../../../docs/catalog.md");
    let (_, example) = documentation.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let catalog = Catalog::parse(example).unwrap_or_else(|errors| panic!("{errors}"));

    let record = &catalog.applications["shop-mobile"];
    let application = record.application.as_ref().unwrap();
    assert_eq!(application.token_format(), TokenFormat::Jwt);
    assert_eq!(application.binding_type(), BindingType::ClientRequest);
    let grants = [GrantType::Password as i32, GrantType::RefreshToken as i32];
    assert_eq!(application.grants, grants);
    let refresh = application.refresh_tokens.unwrap();
    assert_eq!(
        (refresh.lifetime_seconds, refresh.idle_lifetime_seconds),
        (2_592_000, 604_800)
    );
    assert_eq!((refresh.grace_seconds, refresh.grace_uses), (Some(10), Some(3)));
    assert_eq!(application.binding_limit_policy(), BindingLimitPolicy::EvictOldest);
    assert_eq!(
        (
            application.access_token_lifetime_seconds,
            application.max_bindings_per_subject
        ),
        (900, 5)
    );
    assert!(application.require_binding && application.enforce_binding && !application.disabled);
    assert_eq!(application.claims.len(), 2);
    let ends: Vec<_> = record
        .secrets
        .iter()
        .map(|secret| (secret.sha256.len(), secret.expires_at))
        .collect();
    assert_eq!(ends, [(32, 0), (32, 1_801_353_600)]);
    let operations = catalog.applications["operations"].application.as_ref().unwrap();
    assert_eq!(operations.binding_type(), BindingType::None);

    let user = catalog.users["alice"].user.as_ref().unwrap();
    assert_eq!(
        (user.attributes["tier"].as_str(), user.scopes.as_slice()),
        ("gold", &["orders.read".to_owned()][..])
    );
    let resource = catalog.resources["orders"].resource.as_ref().unwrap();
    assert_eq!(resource.accepted_client_ids, ["shop-mobile"]);
    assert_eq!(resource.accepted_binding_types, [BindingType::ClientRequest as i32]);
    assert_eq!(resource.allow_stale_seconds, 0);
    assert_eq!(catalog.resources["orders"].secrets.len(), 1);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = format!(
        "version: 2
colour: blue
applications:
  - client_id: shop
    token_format: jwtt
    grants: [password, implicit]
    audiences: orders
    scopes: [a, 7]
    disabled: maybe
    access_token_lifetime_seconds: -1
    flavour: sour
    secret_sha256: [{DIGEST}]
  - just text
  - client_id: shop
    token_format: opaque
    token_format: jwt
    grants: [password]
    audiences: [orders]
    binding_type: dpop
    secret_sha256: []
users:
  - username: alice
    password_hash: hunter2hunter2
resources:
  - resource_id: orders
    accepted_client_ids: [\"user:alice\"]
"
    );
    let told = refusal(&text).to_string();
    let expected = [
        "version: must be set to 1, the version of the format (line 1)",
        "colour: is not a known field (line 2)",
        "applications[0].token_format: must be one of jwt, opaque (line 5)",
        "applications[0].grants[1]: must be one of password, client_credentials, refresh_token, token_exchange, jwt_bearer (line 6)",
        "applications[0].scopes[1]: must be text: put it in quotes (line 8)",
        "applications[0].audiences: must be a list; `[]` is an empty one (line 7)",
        "applications[0].access_token_lifetime_seconds: must be a whole number, not negative (line 10)",
        "applications[0].disabled: must be true or false (line 9)",
        "applications[0].flavour: is not a known field (line 11)",
        "applications[1]: must be a mapping of fields (line 13)",
        "applications[2].token_format: is there twice (line 16)",
        "applications[2].binding_type: dpop is not available in this version (line 19)",
        "applications[2].client_id: is declared already, at applications[0] (line 14)",
        "applications[2].secret_sha256: must have at least one digest: without a secret the application could not prove \
         who it is (line 20)",
        "users[0].password_hash: must be a PHC string of argon2id; `tokenbind user hash-password` makes one (line 23)",
        "resources[0].accepted_client_ids[0]: must not begin with `user:`, which marks the subject of a user (line 26)",
    ];
    for line in expected {
        assert!(told.lines().any(|one| one == line), "not told: {line}\n\n{told}");
    }
    assert_eq!(told.lines().count(), expected.len(), "{told}");
}

#[test]
fn a_field_that_cannot_be_read_is_not_told_to_be_missing_too() {
    refused_at(
        &file(&[application("a", "scopes: 7")], &[], &[]),
        &["applications[0].scopes"],
    );
    let text = file(
        &["{client_id: 7, token_format: 1, grants: 2, audiences: 3, secret_sha256: 4}".into()],
        &[],
        &[],
    );
    let fields = ["client_id", "token_format", "grants", "audiences", "secret_sha256"];
    refused_at(
        &text,
        &fields
            .map(|field| format!("applications[0].{field}"))
            .each_ref()
            .map(String::as_str),
    );
}

#[test]
fn a_plain_secret_is_refused_with_the_command_that_makes_a_digest_and_is_not_repeated() {
    for (key, command) in [
        ("client_secret", "tokenbind app secret"),
        ("secret", "tokenbind app secret"),
    ] {
        let told = refusal(&file(&[application("a", &format!("{key}: tbs_canary"))], &[], &[])).to_string();
        assert!(told.contains(command) && !told.contains("canary"), "{told}");
    }
    let told = refusal(&file(&[], &[user("a", HASH, "password: canary")], &[])).to_string();
    assert!(
        told.contains("tokenbind user hash-password") && !told.contains("canary"),
        "{told}"
    );
    let told = refusal(&file(&[application("a", "").replace(DIGEST, "tbs_canary")], &[], &[])).to_string();
    assert!(told.contains("secret_sha256[0]") && !told.contains("canary"), "{told}");
    let told = refusal(&file(&[], &[user("a", "canary", "")], &[])).to_string();
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn text_that_is_no_yaml_is_told_with_its_line_and_without_the_text() {
    let errors = refusal("version: 1\nusers:\n  - {username: alice, password: canary\n  - [\n");
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(errors.0[0].line.is_some(), "{errors}");
    assert!(!errors.to_string().contains("canary"), "{errors}");
    assert_eq!(refusal("version: 1\n---\nversion: 1\n").0.len(), 1);
}

#[test]
fn nothing_and_anything_but_a_mapping_are_refused() {
    for text in ["", "[]", "7", "# only a comment\n"] {
        assert_eq!(refusal(text).0.len(), 1, "{text:?}");
    }
    refused_at("applications: []", &["version"]);
    refused_at("version: \"1\"", &["version"]);
    refused_at("version: 1\napplications:\nusers: {}\n", &["applications", "users"]);
    assert_eq!(Catalog::parse("version: 1").unwrap(), Catalog::default());
}

#[test]
fn merge_keys_are_unknown_and_aliases_are_fine() {
    let aliased = file(
        &[application("a", "scopes: &all [x, y], default_scopes: *all")],
        &[],
        &[],
    );
    assert!(Catalog::parse(&aliased).is_ok());
    let merged = file(&[application("a", "<<: {scopes: [x]}")], &[], &[]);
    refused_at(&merged, &["applications[0].\"<<\""]);
}

#[test]
fn words_that_yaml_could_take_for_something_else_are_not_guessed() {
    refused_at(
        &file(&[application("a", "disabled: yes")], &[], &[]),
        &["applications[0].disabled"],
    );
    refused_at(
        &file(&[application("a", "display_name: 007")], &[], &[]),
        &["applications[0].display_name"],
    );
    refused_at(
        &file(&[application("a", "display_name: ~")], &[], &[]),
        &["applications[0].display_name"],
    );
    refused_at(
        &file(&[application("a", "require_binding: \"true\"")], &[], &[]),
        &["applications[0].require_binding"],
    );
}

#[test]
fn claims_are_checked_one_by_one() {
    let claims = |claims: &str| file(&[application("a", &format!("claims: [{claims}]"))], &[], &[]);
    assert!(Catalog::parse(&claims("{name: a, static_value: b}, {name: c, user_attribute: d}")).is_ok());
    refused_at(
        &claims("{name: a}, {name: b, static_value: c, user_attribute: d}, 7, {name: e, static_value: 1, extra: 2}"),
        &[
            "applications[0].claims[0]",
            "applications[0].claims[1]",
            "applications[0].claims[2]",
            "applications[0].claims[3].static_value",
            "applications[0].claims[3].extra",
        ],
    );
    refused_at(
        &claims("{name: sub, static_value: b}"),
        &["applications[0].claims[0].name"],
    );
}

#[test]
fn secrets_are_checked_one_by_one() {
    let secrets = |secrets: &str| {
        file(
            &[application("a", "").replace(&format!("[{DIGEST}]"), &format!("[{secrets}]"))],
            &[],
            &[],
        )
    };
    let path = |index: usize, rest: &str| format!("applications[0].secret_sha256[{index}]{rest}");
    refused_at(&secrets(&format!("{DIGEST}, {DIGEST}")), &[&path(1, "")]);
    let bad = format!("short, [], {{sha256: {DIGEST}, expires_at: tomorrow}}, {{sha256: {DIGEST}, until: 1}}");
    refused_at(
        &secrets(&bad),
        &[&path(0, ""), &path(1, ""), &path(2, ".expires_at"), &path(3, ".until")],
    );
    let six: Vec<_> = (0..6).map(|n| DIGEST.replace("9f86", &format!("000{n}"))).collect();
    refused_at(&secrets(&six.join(", ")), &["applications[0].secret_sha256"]);
}

#[test]
fn a_file_has_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.yaml");
    std::fs::write(&path, file(&[], &[], &["{resource_id: a}"])).unwrap();
    assert_eq!(Catalog::load(&path).unwrap().resources.len(), 1);
    let large = usize::try_from(MAX_FILE_BYTES).unwrap() + 1;
    std::fs::write(&path, "#".repeat(large)).unwrap();
    assert!(Catalog::load(&path).unwrap_err().to_string().contains("larger than"));
    let missing = folder.path().join("missing.yaml");
    assert!(
        Catalog::load(&missing)
            .unwrap_err()
            .to_string()
            .contains("missing.yaml")
    );

    let resources: Vec<_> = (0..10_001).map(|n| format!("{{resource_id: r{n}}}")).collect();
    let mut members: Vec<_> = resources.iter().map(String::as_str).collect();
    assert!(
        refusal(&file(&[], &[], &members))
            .to_string()
            .contains("at most 10000 entries")
    );
    members.pop();
    assert_eq!(catalog(&[], &[], &members).resources.len(), 10_000);
}

#[test]
fn records_that_a_program_puts_together_are_checked_too() {
    let errors = Catalog::from_records(vec![ApplicationRecord::default()], Vec::new(), Vec::new()).unwrap_err();
    let paths: Vec<_> = errors.0.iter().map(|error| error.path.as_str()).collect();
    let fields = ["client_id", "token_format", "grants", "audiences", "secret_sha256"];
    assert_eq!(paths, fields.map(|field| format!("applications[0].{field}")));
}
