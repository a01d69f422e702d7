//! The file `state.json` in the state directory: the owner of the stack, its processes, and, once
//! the stack is ready, how to reach it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext as _};
use crate::process::ProcessId;

/// The facts that a later command needs about a running stack.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The process that started the other processes and stops them.
    pub(crate) owner: ProcessId,
    /// The processes that the owner started. Each one leads its own process group.
    pub(crate) processes: Vec<ProcessId>,
    /// How to reach the stack. `None` until it is ready.
    pub(crate) summary: Option<Summary>,
}

/// How to reach a running stack. `cargo dev up --json` prints this object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The base URL of the API: post an event to `{url}/api/events`.
    pub url: String,
    /// The value of the header `X-Admin-Token`.
    pub admin_token: String,
    /// The API key of the developer's tenant. Empty on a stack that keeps nothing.
    pub api_key: String,
    /// The URL of the emulator: the value for `AWS_ENDPOINT_URL`. The access key and the secret are
    /// both `test`.
    pub emulator: String,
    /// The deployed table names by table: `Control` is `triggers-control`.
    pub tables: BTreeMap<String, String>,
    /// Queue URLs by queue: `events` and `deliveries`, each also with `-dlq`, `deliveries-slow`, and `drains`.
    pub queues: BTreeMap<String, String>,
    /// Whether webhook URLs on this machine are rejected, as in AWS.
    pub strict_endpoints: bool,
}

impl State {
    const FILE: &str = "state.json";

    /// Reads the state of a directory. Returns `None` if the file is absent or unreadable.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(Self::FILE)).ok()?).ok()
    }

    /// Replaces the state of a directory atomically, so that a reader never sees half a file.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        let temporary = dir.join("state.json.new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, dir.join(Self::FILE)))
            .context(|| format!("write {}", dir.join(Self::FILE).display()))
    }

    /// Removes the state of a directory.
    pub(crate) fn remove(dir: &Path) {
        let _already_absent = fs::remove_file(dir.join(Self::FILE));
    }
}
