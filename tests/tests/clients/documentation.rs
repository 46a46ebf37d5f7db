//! The examples of `docs/oauth-libraries.md`, run as they stand there.

use std::path::Path;

use crate::keys::Algorithm;
use crate::scripts::{TIME_LIMIT, node, python, run};
use crate::setting::{SECRET, Scheme, Setting};

/// What the development stack has, and every example says.
const ISSUER: &str = "http://localhost:7001";
const VALIDATOR: &str = "http://localhost:7002";

/// A program in the documentation: its language, its text, and what the documentation says that it prints.
struct Example {
    language: String,
    program: String,
    output: String,
}

/// The programs that are followed by what they print.
fn examples(document: &str) -> Vec<Example> {
    // Outside and inside of fences in turn.
    let parts: Vec<_> = document.split("```").collect();
    let fenced: Vec<_> = parts
        .iter()
        .skip(1)
        .step_by(2)
        .map(|part| part.split_once('\n').unwrap())
        .collect();
    let pairs = fenced.windows(2).filter(|pair| pair[1].0 == "text");
    pairs
        .map(|pair| Example {
            language: pair[0].0.to_owned(),
            program: pair[0].1.to_owned(),
            output: pair[1].1.to_owned(),
        })
        .collect()
}

/// With the addresses and secrets of the setting.
fn here(setting: &Setting, text: &str) -> String {
    let text = text
        .replace(ISSUER, &setting.issuer_url)
        .replace(VALIDATOR, &setting.validator_url);
    let secret = |word: &str| word.starts_with("tbs_");
    let words = text.split('"').map(|word| if secret(word) { SECRET } else { word });
    words.collect::<Vec<_>>().join("\"")
}

#[tokio::test]
async fn the_examples_print_what_the_documentation_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/oauth-libraries.md");
    let document = std::fs::read_to_string(path).unwrap();
    let examples = examples(&document);
    let languages: Vec<_> = examples.iter().map(|example| example.language.as_str()).collect();
    assert_eq!(languages, ["js", "python", "js"]);
    let setting = Setting::start(Scheme::Http, Algorithm::EdDsa).await;
    for Example {
        language,
        program,
        output,
    } in examples
    {
        let (mut command, place) = node();
        let file = place
            .path()
            .join(if language == "js" { "example.mjs" } else { "example.py" });
        std::fs::write(&file, here(&setting, &program)).unwrap();
        if language == "python" {
            command = python();
        }
        command.arg(&file);
        let printed = run(&setting, command, &language, TIME_LIMIT).unwrap_or_else(|written| panic!("{written}"));
        assert_eq!(printed, output, "{program}");
    }
}
