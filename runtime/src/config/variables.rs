//! Environment variables that nobody reads.

use clap::Command;
use std::ffi::OsString;

/// What every variable of tokenbind begins with.
const PREFIX: &str = "TOKENBIND_";
/// Kubernetes sets variables for each Service of a namespace; one of a Service `tokenbind-…` begins with the prefix.
const OF_SERVICES: [&str; 2] = ["_SERVICE_HOST", "_PORT"];

/// The variables that look like settings of this command and are none, sorted: a misspelt one would be no error, and the
/// default would count.
pub fn unknown_variables(command: &Command, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let known = |name: &str| {
        command
            .get_arguments()
            .any(|arg| arg.get_env().is_some_and(|env| env == name))
    };
    let of_service = |name: &str| OF_SERVICES.iter().any(|part| name.contains(part));
    let names = variables.into_iter().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<_> = names
        .filter(|name| name.starts_with(PREFIX) && !known(name) && !of_service(name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TelemetryArgs;
    use clap::Args as _;

    #[test]
    fn only_what_looks_like_a_setting_and_is_none_is_told() {
        let command = TelemetryArgs::augment_args(Command::new("x"));
        let names = [
            "PATH",
            "TOKENBIND_LOG_FORMAT",
            "TOKENBIND_LOGFORMAT",
            "TOKENBIND_ISSUER_SERVICE_HOST",
            "TOKENBIND_ISSUER_PORT_7001_TCP_ADDR",
            "TOKENBIND_ISUER",
        ];
        let unknown = unknown_variables(&command, names.map(|name| (name.into(), OsString::new())));
        assert_eq!(unknown, ["TOKENBIND_ISUER", "TOKENBIND_LOGFORMAT"]);
    }
}
