//! Runs the program and looks at what it says.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tokenbind_tests::DevStack;

/// The program, with the variables that say where the services are and who calls.
pub(crate) struct Tokenbind {
    variables: Vec<(&'static str, String)>,
}

/// What it said, and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Tokenbind {
    /// Nowhere, and nobody.
    pub(crate) fn new() -> Self {
        Self { variables: Vec::new() }
    }

    /// Calls this stack as nobody.
    pub(crate) fn at(stack: &DevStack) -> Self {
        Self::new()
            .with("TOKENBIND_ISSUER_URL", &format!("http://{}", stack.issuer()))
            .with("TOKENBIND_VALIDATOR_URL", &format!("http://{}", stack.validator()))
    }

    /// Calls it as this sample application.
    pub(crate) fn as_app(stack: &DevStack, client_id: &str) -> Self {
        let app = stack.app(client_id);
        Self::at(stack)
            .with("TOKENBIND_CLIENT_ID", &app.id)
            .with("TOKENBIND_CLIENT_SECRET", &app.secret)
    }

    /// Calls it as the administrator.
    pub(crate) fn as_admin(stack: &DevStack) -> Self {
        let admin = stack.admin();
        Self::at(stack)
            .with("TOKENBIND_CLIENT_ID", &admin.id)
            .with("TOKENBIND_CLIENT_SECRET", &admin.secret)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Answer {
        let mut child = command(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    /// The answer is yes.
    #[track_caller]
    pub(crate) fn fine(self) -> Self {
        self.ended(0)
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        // Whatever happens, a person gets text: no `Debug` of an inner type, no panic.
        for leak in ["Status {", "CliError", "panicked", "Kind::"] {
            assert!(!self.stderr.contains(leak), "{}", self.stderr);
        }
        self
    }

    /// The one JSON document that it printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line: {}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The line that it printed.
    pub(crate) fn line(&self) -> &str {
        self.stdout.trim_end()
    }
}

/// The program without any variable of the shell around the test.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenbind"));
    command.args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOKENBIND_")) {
        command.env_remove(name);
    }
    command
}
