//! A process under test: its log in a file, gone with the test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::deadline::{DEADLINE, poll, wait_until};

/// What a failed test shows of a log.
const SHOWN_LINES: usize = 60;

/// A running program. Killed when dropped; the end of its log is shown when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts a program. No variable of this project's that is set around the test reaches it.
    pub fn start(name: &str, mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name| File::create(folder.path().join(name)).expect("a log file");
        let variables = std::env::vars().filter(|(key, _)| key.starts_with("TOKENBIND_") || key.starts_with("OTEL_"));
        for (key, _) in variables {
            // One that the test sets itself stays.
            if !command.get_envs().any(|(own, _)| own == key.as_str()) {
                command.env_remove(key);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{name} starts: {error}"));
        Self {
            name: name.to_owned(),
            child,
            folder,
        }
    }

    /// All that it wrote to standard error.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).expect("the log of a process");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All that it wrote to standard output.
    pub fn printed(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("stdout")).expect("the output of a process");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("stderr")
    }

    /// The first line that it writes to standard output.
    pub fn first_line(&mut self) -> String {
        let path = self.folder.path().join("stdout");
        poll(&format!("{} prints a line", self.name), DEADLINE, || {
            let printed = std::fs::read_to_string(&path).ok()?;
            if let Some((line, _)) = printed.split_once('\n') {
                return Some(line.to_owned());
            }
            if let Some(status) = self.ended() {
                panic!("{} ended before it was ready: {status}", self.name);
            }
            None
        })
    }

    /// The address that it has logged with `message` (in the JSON form of the logs), if it has.
    pub fn logged(&self, message: &str) -> Option<String> {
        let log = std::fs::read_to_string(self.log_path()).ok()?;
        log.lines().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let fields = line.get("fields").unwrap_or(&line);
            (fields.get("message")? == message).then(|| fields.get("address")?.as_str().map(str::to_owned))?
        })
    }

    /// The address that it logs with `message`.
    pub fn logged_address(&mut self, message: &str) -> String {
        poll(&format!("{} logs {message:?}", self.name), DEADLINE, || {
            let found = self.logged(message);
            if found.is_none()
                && let Ok(Some(status)) = self.child.try_wait()
            {
                panic!("{} ended before it was ready: {status}", self.name);
            }
            found
        })
    }

    /// Its number among the processes of the machine.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {}", self.name);
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().expect("kill a process");
        self.child.wait().expect("a killed process ends");
    }

    /// How it ended, if it ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a process")
    }

    /// Waits for its end. The clients of the test must go on meanwhile: a server that stops waits for them.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_until(&what, deadline, async || self.ended()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for file in ["stdout", "stderr"] {
                let written = std::fs::read(self.folder.path().join(file)).unwrap_or_default();
                let written = String::from_utf8_lossy(&written);
                let lines: Vec<_> = written.lines().collect();
                let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
                eprintln!(
                    "--- {file} of {} ({} lines)\n{}",
                    self.name,
                    lines.len(),
                    shown.join("\n")
                );
            }
        }
    }
}
