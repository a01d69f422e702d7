//! The commands that start, show and stop a stack, each test with its own state directory and port.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{state_dir::StateDir, text, wait_for};

/// Whether the emulator of a stack accepts connections.
fn is_listening(stack: &Value) -> bool {
    let url = stack["emulator"].as_str().unwrap();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    assert!(address.ip().is_loopback());
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Posts an event. Returns the status of the answer, or the error.
fn post(url: &str, key: &str, body: &str) -> Result<u16, String> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::from(config.timeout_global(Some(Duration::from_secs(60))).build());
    let request = agent.post(format!("{url}/api/events")).header("x-api-key", key);
    let answer = request.header("content-type", "application/json").send(body);
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

/// The number of events that are stored for the tenant of the key.
fn count_stored(url: &str, key: &str) -> u64 {
    let request = ureq::get(format!("{url}/api/stats")).header("x-api-key", key);
    let text = request.call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["stored"].as_u64().unwrap()
}

#[test]
fn up_status_demo_and_down_work_together() {
    let dir = StateDir::new("verbs");
    assert!(!dir.run(&["status"]).status.success(), "no stack runs yet");
    let stack = dir.up();
    for member in ["url", "api_key", "admin_token", "emulator", "tables", "queues"] {
        assert!(!stack[member].is_null(), "{member}: {stack}");
    }
    assert_eq!((&stack["running"], &stack["healthy"]), (&true.into(), &true.into()));
    let status = dir.run(&["status", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&status.stdout).unwrap(), stack);
    assert!(!dir.run(&["up", "--strict-endpoints"]).status.success(), "the running stack is not strict");

    let shown = text(&dir.run(&["status"]).stdout);
    for end in ["/openapi.json", "/console", "/docs"] {
        let document = shown.split_whitespace().find(|word| word.ends_with(end)).unwrap();
        assert_eq!(ureq::get(document).call().unwrap().status(), 200, "{shown}");
    }

    let demo = dir.run(&["demo"]);
    let output = text(&demo.stdout);
    assert!(demo.status.success(), "{output}{}", text(&demo.stderr));
    assert!(output.lines().count() < 30, "{output}");
    assert!(output.contains("The signature is right"), "{output}");

    assert!(dir.run(&["down"]).status.success());
    assert!(!is_listening(&stack), "the port is free again");
    assert!(!dir.run(&["status"]).status.success());
}

/// Reads URL and key as a shell does.
fn eval_env(dir: &StateDir) -> (String, String) {
    let env = dir.run(&["env"]);
    assert!(env.status.success(), "{}", text(&env.stderr));
    let script = format!("eval \"{}\"\nprintf '%s %s' \"$URL\" \"$KEY\"", text(&env.stdout));
    let output = text(&Command::new("sh").args(["-c", &script]).output().unwrap().stdout);
    output.split_once(' ').map(|(url, key)| (url.to_owned(), key.to_owned())).unwrap()
}

#[test]
fn five_hundred_posts_at_once_are_accepted_and_kept_and_so_are_url_and_key() {
    let dir = StateDir::new("kept");
    let env = dir.run(&["env"]);
    assert!(!env.status.success() && env.stdout.is_empty(), "no stack runs yet");
    dir.up();
    let (url, key) = eval_env(&dir);
    std::thread::scope(|scope| {
        let post = |n: usize| post(&url, &key, &format!(r#"{{"type":"a","dedup_id":"{n}","payload":{n}}}"#));
        let posts: Vec<_> = (0..500).map(|n| scope.spawn(move || post(n))).collect();
        for post in posts {
            assert_eq!(post.join().unwrap(), Ok(202));
        }
    });
    assert!(dir.run(&["status"]).status.success(), "it is healthy");
    wait_for("all are stored", || count_stored(&url, &key) == 500);

    assert!(dir.run(&["down"]).status.success());
    dir.up();
    assert_eq!(eval_env(&dir), (url.clone(), key.clone()));
    assert_eq!(count_stored(&url, &key), 500);

    assert!(dir.run(&["down"]).status.success());
    assert!(dir.run(&["up", "--fresh", "--port", "0"]).status.success());
    let (fresh_url, fresh_key) = eval_env(&dir);
    assert_ne!((&fresh_url, &fresh_key), (&url, &key));
    assert_eq!(count_stored(&fresh_url, &fresh_key), 0);
    assert!(!dir.run(&["up", "--fresh"]).status.success(), "a running stack is not forgotten");
}

#[test]
fn a_stack_that_does_not_answer_says_so_and_repairs_itself() {
    let dir = StateDir::new("unhealthy");
    dir.up();
    let state: Value = serde_json::from_slice(&std::fs::read(dir.0.join("state.json")).unwrap()).unwrap();
    let runs = |process: &Value, name: &str| {
        let line = std::fs::read(format!("/proc/{}/cmdline", process["pid"])).unwrap_or_default();
        text(&line).contains(name)
    };
    let server = state["processes"].as_array().unwrap().iter().find(|process| runs(process, "cargo-lambda"));
    let pid = server.expect("the Runtime API")["pid"].to_string();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let status = dir.run(&["status", "--json"]);
    assert!(!status.status.success());
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["running"], &status["healthy"]), (&true.into(), &false.into()), "{status}");
    assert!(status["problem"].as_str().unwrap().contains("/health"), "{status}");
    let log = || std::fs::read_to_string(dir.0.join("dev.log")).unwrap();
    wait_for("the output of the stack says so", || log().contains("the stack is not healthy: "));
    wait_for("the Runtime API starts again", || log().contains("starting the Runtime API again"));
    wait_for("the output says that it is over", || log().contains("the stack is healthy again"));
    assert!(dir.run(&["status"]).status.success());
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let dir = StateDir::new("closed-pipe");
    let state_dir = dir.0.display();
    for command in ["help", "status --dir DIR", "--port 0 --dir DIR", "demo --port 0 --dir DIR"] {
        let command = command.replace("DIR", &format!("'{state_dir}'"));
        let script =
            format!("exec 3>&1; {{ '{}' {command}; echo $? >&3; }} | true", env!("CARGO_BIN_EXE_dev"));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let errors = text(&output.stderr);
        assert!(!errors.contains("panicked") && !errors.contains("error:"), "{command}: {errors}");
        let code = if command.starts_with("status") { "1" } else { "0" };
        assert_eq!(text(&output.stdout).trim(), code, "{command}: {errors}");
    }
    assert!(!dir.run(&["status"]).status.success(), "nothing runs on");
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
