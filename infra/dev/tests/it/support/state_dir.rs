//! A state directory for one test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::text;

/// A state directory. Dropping it stops its stack and removes it.
pub(crate) struct StateDir(pub(crate) PathBuf);

impl StateDir {
    pub(crate) fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        Self(root.join(".dev/stacks").join(format!("{name}-{}", std::process::id())))
    }

    /// Runs a command of `cargo dev` on this directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dev")).args(args).arg("--dir").arg(&self.0).output().unwrap()
    }

    /// Starts a stack in the background. Returns the JSON of the last line that it prints.
    pub(crate) fn up(&self) -> Value {
        let up = self.run(&["up", "--json", "--port", "0"]);
        assert!(up.status.success(), "{}", text(&up.stderr));
        serde_json::from_str(text(&up.stdout).lines().last().unwrap()).unwrap()
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        self.run(&["down"]);
        let _already_absent = std::fs::remove_dir_all(&self.0);
    }
}
