//! `state.json` in the state directory: who runs the stack, which processes belong to it, and,
//! once it is ready, how to reach it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Doing as _, Error};
use crate::process::ProcessId;

/// Everything a later command has to know about a running stack.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The process that started the others and will end them.
    pub(crate) owner: ProcessId,
    /// What it started; each leads its own process group.
    pub(crate) processes: Vec<ProcessId>,
    /// How to reach the stack, once it is ready.
    pub(crate) summary: Option<Summary>,
}

/// How to reach a running stack: the object `cargo dev up --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Base URL of the API: `{url}/api/events` takes an event.
    pub url: String,
    /// The value of the header `X-Admin-Token`.
    pub admin_token: String,
    /// The web console.
    pub console: String,
    /// The emulator: what `AWS_ENDPOINT_URL` has to be to look inside, as `test` with the secret `test`.
    pub emulator: String,
    /// Real table names by their names in the design: `Control` is `triggers-control`.
    pub tables: BTreeMap<String, String>,
    /// Queue URLs by queue: `events`, `events-dlq`, `deliveries`, `deliveries-dlq`.
    pub queues: BTreeMap<String, String>,
    /// Whether webhook URLs on this machine are refused, as in AWS.
    pub strict_endpoints: bool,
}

impl State {
    const FILE: &str = "state.json";

    /// Reads the state of a directory; `None` if there is none that can be read.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(Self::FILE)).ok()?).ok()
    }

    /// Replaces the state of a directory in one step, so that a reader never sees half of it.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        let fresh = dir.join("state.json.new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, dir.join(Self::FILE)))
            .doing(|| format!("write {}", dir.join(Self::FILE).display()))
    }

    /// Forgets the state of a directory.
    pub(crate) fn remove(dir: &Path) {
        let _absent_already = fs::remove_file(dir.join(Self::FILE));
    }
}
