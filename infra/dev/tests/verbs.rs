//! Runs the commands of `cargo dev` as a user does, each test with its own state directory and port.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A state directory. Dropping it stops its stack and removes it.
struct StateDir(PathBuf);

impl StateDir {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        Self(root.join(".dev/stacks").join(format!("{name}-{}", std::process::id())))
    }

    /// Runs a command of `cargo dev` on this directory.
    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dev")).args(args).arg("--dir").arg(&self.0).output().unwrap()
    }

    /// Starts a stack in the background. Returns the JSON of the last line that it prints.
    fn up(&self) -> Value {
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether the emulator of a stack accepts connections.
fn is_listening(stack: &Value) -> bool {
    let url = stack["emulator"].as_str().unwrap();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    assert!(address.ip().is_loopback());
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn up_status_demo_and_down_work_together() {
    let dir = StateDir::new("verbs");
    assert!(!dir.run(&["status"]).status.success(), "no stack runs yet");
    let stack = dir.up();
    for member in ["url", "admin_token", "console", "emulator", "tables", "queues"] {
        assert!(!stack[member].is_null(), "{member}: {stack}");
    }
    let status = dir.run(&["status", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&status.stdout).unwrap(), stack);
    assert!(!dir.run(&["up", "--strict-endpoints"]).status.success(), "the running stack is not strict");

    let demo = dir.run(&["demo"]);
    let output = text(&demo.stdout);
    assert!(demo.status.success(), "{output}{}", text(&demo.stderr));
    assert!(output.lines().count() < 30, "{output}");
    assert!(output.contains("The signature is right"), "{output}");

    assert!(dir.run(&["down"]).status.success());
    assert!(!is_listening(&stack), "the port is free again");
    assert!(!dir.run(&["status"]).status.success());
}

#[test]
fn no_process_survives_a_killed_owner() {
    let dir = StateDir::new("killed");
    let stack = dir.up();
    assert!(is_listening(&stack));
    let state: Value = serde_json::from_slice(&std::fs::read(dir.0.join("state.json")).unwrap()).unwrap();
    let owner = state["owner"]["pid"].to_string();
    assert!(Command::new("kill").args(["-9", &owner]).status().unwrap().success());
    wait_for("the emulator has stopped", || !is_listening(&stack));
    assert!(is_listening(&dir.up()), "another stack can start there");
}
