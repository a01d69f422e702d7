//! The process environment. Only this file reads it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the root directory of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Returns a `cargo` command in the project's root, with the environment of a plain shell.
///
/// The variables of the outer `cargo run` or `cargo test` are removed. Some build scripts watch
/// them, and would run again each time the outer command changes.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    remove_outer_cargo(&mut command);
    command
}

/// Removes the variables that the outer `cargo run` or `cargo test` set for this process.
pub(crate) fn remove_outer_cargo(command: &mut Command) {
    let is_set_by_cargo = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo) {
            command.env_remove(name);
        }
    }
}

/// Returns `PATH` with the directory of the running `cargo` in front.
pub(crate) fn path_with_cargo() -> OsString {
    let cargo = env::var_os("CARGO").map(PathBuf::from);
    let first = cargo.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(first.into_iter().chain(env::split_paths(&rest))).unwrap_or(rest)
}

/// Whether standard output may have colours: it is a terminal, and `NO_COLOR` is unset or empty.
pub(crate) fn allows_colours() -> bool {
    let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !forbidden
}

/// Removes every variable from a command's environment except `PATH`, `HOME` and `LANG`.
///
/// So a developer's own settings cannot change the behaviour of the stack.
pub(crate) fn clear_environment(command: &mut Command) {
    command.env_clear();
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = env::var_os(OsStr::new(name)) {
            command.env(name, value);
        }
    }
}
