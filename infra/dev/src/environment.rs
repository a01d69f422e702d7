//! The process environment: the one place that reads it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// A `cargo` command in the project's root, as it would be typed in a shell there: without what
/// the outer `cargo run` or `cargo test` set for this process, since build scripts that watch
/// those variables would otherwise run again at each change between the two.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    without_outer_cargo(&mut command);
    command
}

/// Removes the variables that belong to the outer `cargo run` or `cargo test`.
pub(crate) fn without_outer_cargo(command: &mut Command) {
    let of_cargo = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(of_cargo) {
            command.env_remove(name);
        }
    }
}

/// `PATH` with the folder of the running `cargo` in front.
pub(crate) fn path_with_cargo() -> OsString {
    let cargo = env::var_os("CARGO").map(PathBuf::from);
    let first = cargo.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(first.into_iter().chain(env::split_paths(&rest))).unwrap_or(rest)
}

/// Leaves a command nothing of this process's environment but what any program needs, so that a
/// developer's own settings cannot change what the stack does.
pub(crate) fn bare(command: &mut Command) {
    command.env_clear();
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = env::var_os(OsStr::new(name)) {
            command.env(name, value);
        }
    }
}
