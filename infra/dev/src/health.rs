//! Whether a running stack answers.

use std::thread;
use std::time::Duration;

use crate::http::Client;

/// How long an answer may take: longer than a burst of 500 posts.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two checks of a stack in the foreground.
const INTERVAL: Duration = Duration::from_secs(5);

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

/// Reports in a thread when the stack becomes unhealthy, and when it is healthy again.
pub(crate) fn watch(url: String, progress: fn(&str)) {
    thread::spawn(move || {
        let mut was_healthy = true;
        loop {
            thread::sleep(INTERVAL);
            let problem = find_problem(&url);
            match &problem {
                Some(problem) if was_healthy => progress(&describe(problem)),
                None if !was_healthy => progress("the stack is healthy again"),
                _ => {}
            }
            was_healthy = problem.is_none();
        }
    });
}

/// Returns what is wrong and what to do.
pub(crate) fn describe(problem: &str) -> String {
    format!("the stack is not healthy: {problem}. If this lasts, stop it and start it again")
}
