//! Whether a running stack answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::http::Client;

/// How long an answer may take: longer than a burst of 500 posts.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two checks of a stack in the foreground.
const INTERVAL: Duration = Duration::from_secs(3);

/// Failed checks in a row after which the Runtime API starts again.
const MAX_FAILURES: u32 = 3;

/// Requests with the only status of a healthy stack. They reach both functions behind the API, and change nothing.
const PROBES: [(&str, &str, u16); 2] = [("GET", "/health", 200), ("POST", "/api/events", 401)];

/// Returns why the stack with the base URL `url` is not healthy. Returns `None` if it is healthy.
pub(crate) fn find_problem(url: &str) -> Option<String> {
    let client = Client::new(PATIENCE);
    PROBES.iter().find_map(|(method, path, expected)| {
        match client.call(method, &format!("{url}{path}"), &[], "") {
            Ok(response) if response.status == *expected => None,
            Ok(response) => Some(format!("{method} {path} returns {}, not {expected}", response.status)),
            Err(error) => Some(error.to_string()),
        }
    })
}

/// Checks a stack in a thread.
#[derive(Debug)]
pub(crate) struct Watch {
    needs_restart: Arc<AtomicBool>,
}

impl Watch {
    /// Starts the checks. `progress` gets a line when the stack becomes unhealthy, and when it is healthy again.
    pub(crate) fn start(url: String, progress: fn(&str)) -> Self {
        let needs_restart = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&needs_restart);
        thread::spawn(move || {
            let mut failures = 0;
            loop {
                thread::sleep(INTERVAL);
                match find_problem(&url) {
                    Some(problem) => {
                        failures += 1;
                        if failures == 1 {
                            progress(&describe(&problem));
                        }
                        flag.store(failures % MAX_FAILURES == 0, Ordering::SeqCst);
                    }
                    None if failures > 0 => {
                        failures = 0;
                        progress("the stack is healthy again");
                    }
                    None => {}
                }
            }
        });
        Self { needs_restart }
    }

    /// Returns once whether the stack has failed so often that the Runtime API must start again.
    pub(crate) fn take_restart(&self) -> bool {
        self.needs_restart.swap(false, Ordering::SeqCst)
    }
}

/// Returns what is wrong and what to do.
pub(crate) fn describe(problem: &str) -> String {
    format!(
        "the stack is not healthy: {problem}. If it does not recover within a minute, stop it and start it again"
    )
}
