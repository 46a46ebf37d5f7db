//! Secrets and tokens that come in: from a file, from standard input or from the environment, so that no process list shows
//! them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::SecretString;

use crate::error::CliError;

/// Nothing that is read here is longer: a token has at most 8,192 bytes. Bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Standard input, which only one thing can be read from.
#[derive(Debug, Default)]
pub(crate) struct Stdin {
    taken_for: Option<&'static str>,
}

impl Stdin {
    /// All of standard input, without the line break at its end.
    pub(crate) fn read(&mut self, what: &'static str) -> Result<String, CliError> {
        if let Some(other) = self.taken_for.replace(what) {
            return Err(CliError::usage(format!(
                "standard input cannot be both {other} and {what}"
            )));
        }
        read_all(io::stdin().lock(), what)
    }

    /// A file, or standard input for `-`.
    pub(crate) fn read_path(&mut self, path: &Path, what: &'static str) -> Result<String, CliError> {
        if path == Path::new("-") {
            return self.read(what);
        }
        let file = std::fs::File::open(path)
            .map_err(|error| CliError::usage(format!("cannot read {what} from {}: {error}", path.display())))?;
        read_all(file, what)
    }

    /// The argument itself, or standard input for `-`.
    pub(crate) fn read_argument(&mut self, argument: String, what: &'static str) -> Result<String, CliError> {
        if argument == "-" { self.read(what) } else { Ok(argument) }
    }
}

fn read_all(source: impl io::Read, what: &str) -> Result<String, CliError> {
    let mut text = String::new();
    let read = source.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| CliError::usage(format!("cannot read {what}: {error}")))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!("{what} must be at most {MAX_BYTES} bytes")));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// How a user's password comes in.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PasswordArgs {
    /// Reads the user's password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,

    /// Reads the user's password from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The password, if one was given.
    pub(crate) fn given(&self, stdin: &mut Stdin) -> Result<Option<SecretString>, CliError> {
        if self.password_stdin {
            return stdin.read("the password").map(|password| Some(password.into()));
        }
        let path = self.password_file.as_deref();
        path.map(|path| stdin.read_path(path, "the password").map(Into::into))
            .transpose()
    }

    /// The password, from the variable `TOKENBIND_PASSWORD` where nothing else was given.
    pub(crate) fn required(&self, stdin: &mut Stdin) -> Result<SecretString, CliError> {
        if let Some(password) = self.given(stdin)? {
            return Ok(password);
        }
        std::env::var("TOKENBIND_PASSWORD").map(Into::into).map_err(|_| {
            CliError::usage_with_hint(
                "the user's password is missing",
                "give it with --password-stdin, --password-file or TOKENBIND_PASSWORD",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_break_at_the_end_goes() {
        assert_eq!(read_all(&b" two words \r\n"[..], "it").unwrap(), " two words ");
        assert_eq!(read_all(&b""[..], "it").unwrap(), "");
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        assert!(read_all(io::repeat(b'a'), "it").is_err());
        assert!(read_all(&[0xff, 0xfe][..], "it").is_err());
    }

    #[test]
    fn standard_input_is_read_once() {
        let mut stdin = Stdin {
            taken_for: Some("the token"),
        };
        let error = stdin.read("the password").unwrap_err();
        assert_eq!(
            error.to_string(),
            "standard input cannot be both the token and the password"
        );
    }
}
