//! `cargo dev` as its users meet it: the verbs, on a state directory and a port of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A state directory that is ended and removed with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        Self(root.join(".dev/stacks").join(format!("{name}-{}", std::process::id())))
    }

    fn dev(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dev")).args(words).arg("--dir").arg(&self.0).output().unwrap()
    }

    /// Starts a stack in the background; what its last line says.
    fn up(&self) -> Value {
        let up = self.dev(&["up", "--json", "--port", "0"]);
        assert!(up.status.success(), "{}", text(&up.stderr));
        serde_json::from_str(text(&up.stdout).lines().last().unwrap()).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        self.dev(&["down"]);
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn listens(stack: &Value) -> bool {
    let address = stack["emulator"].as_str().unwrap().trim_start_matches("http://");
    let address: SocketAddr = address.parse().unwrap();
    assert!(address.ip().is_loopback());
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn up_status_demo_and_down_tell_one_story() {
    let dir = Dir::new("verbs");
    assert!(!dir.dev(&["status"]).status.success(), "nothing runs yet");
    let stack = dir.up();
    for member in ["url", "admin_token", "console", "emulator", "tables", "queues"] {
        assert!(!stack[member].is_null(), "{member}: {stack}");
    }
    let status = dir.dev(&["status", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&status.stdout).unwrap(), stack);
    assert!(!dir.dev(&["up", "--strict-endpoints"]).status.success(), "the one that runs is not strict");

    let demo = dir.dev(&["demo"]);
    let told = text(&demo.stdout);
    assert!(demo.status.success(), "{told}{}", text(&demo.stderr));
    assert!(told.lines().count() < 30, "{told}");
    assert!(told.contains("The signature is right"), "{told}");

    assert!(dir.dev(&["down"]).status.success());
    assert!(!listens(&stack), "no port is left behind");
    assert!(!dir.dev(&["status"]).status.success());
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    let dir = Dir::new("killed");
    let stack = dir.up();
    assert!(listens(&stack));
    let state: Value = serde_json::from_slice(&std::fs::read(dir.0.join("state.json")).unwrap()).unwrap();
    let owner = state["owner"]["pid"].to_string();
    assert!(Command::new("kill").args(["-9", &owner]).status().unwrap().success());
    eventually("its emulator is gone", || !listens(&stack));
    assert!(listens(&dir.up()), "and another can start there");
}
