//! Formats the log lines of the functions for the screen.
//!
//! A function writes one JSON object per line. With `LOG_LEVEL=debug` it also writes one line for
//! each step of an event. The member `step` names the step.

use serde_json::{Map, Value};

/// Returns the text for the screen of a line that `function` wrote. Returns `None` for a line that
/// belongs only in the log.
pub(crate) fn format_line(function: &str, line: &str) -> Option<String> {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        return (!line.trim().is_empty()).then(|| format!("{:12}  {function:9}  {line}", ""));
    };
    let fields = Fields(fields);
    let time = fields.text("timestamp").get(11..23).map(str::to_owned).unwrap_or_default();
    let (label, text) = match (fields.text("step").as_str(), fields.text("level").as_str()) {
        ("", "WARN") => (function, format!("warning: {}", fields.format_message())),
        ("", "ERROR") => (function, format!("ERROR: {}", fields.format_message())),
        ("accepted", _) => ("accepted", fields.format_accepted()),
        ("stored", _) => ("stored", fields.format_stored()),
        ("attempt", _) => ("attempt", fields.format_attempt()),
        ("moved", _) => {
            ("moved", fields.format_waiting("the endpoint is slow, so it goes by the slow queue"))
        }
        ("parked", _) => {
            ("parked", fields.format_waiting("the endpoint is paused, or its circuit breaker is open"))
        }
        ("delivered", _) => ("delivered", fields.format_delivered()),
        _ => return None,
    };
    Some(format!("{time:12}  {label:9}  {text}"))
}

struct Fields(Map<String, Value>);

impl Fields {
    /// Returns a member as text without quotes. Returns an empty text if the member is absent.
    fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    fn format_accepted(&self) -> String {
        let duplicate = if self.is_true("duplicate") { ", duplicate, sent again" } else { "" };
        format!("{}  {}, {} bytes{duplicate}", self.text("event"), self.text("type"), self.text("bytes"))
    }

    fn format_stored(&self) -> String {
        let result = if self.is_true("new") { "new" } else { "already stored" };
        let deliveries = match self.text("deliveries").as_str() {
            "0" => "pending in the inbox".to_owned(),
            "1" => "1 delivery".to_owned(),
            n => format!("{n} deliveries"),
        };
        format!("{}  {result}, {deliveries}", self.text("event"))
    }

    fn format_attempt(&self) -> String {
        let next = match self.text("next_at").as_str() {
            "" => String::new(),
            at => format!(", next attempt at {}", at.get(11..19).unwrap_or(at)),
        };
        format!(
            "{}  #{} to {}: {} ({}) in {} ms{next}",
            self.text("event"),
            self.text("n"),
            self.text("endpoint"),
            self.text("verdict"),
            self.text("answer"),
            self.text("duration_ms"),
        )
    }

    fn format_waiting(&self, reason: &str) -> String {
        format!("{}  #{} to {}: {reason}", self.text("event"), self.text("n"), self.text("endpoint"))
    }

    fn format_delivered(&self) -> String {
        format!(
            "{}  to {}, {} ms after it was accepted",
            self.text("event"),
            self.text("endpoint"),
            self.text("ms"),
        )
    }

    /// Returns the message and every member that is not common to all lines.
    fn format_message(&self) -> String {
        let common = ["timestamp", "level", "message", "target"];
        let is_own = |name: &&String| !common.contains(&name.as_str());
        let mut parts = vec![self.text("message")];
        parts.extend(self.0.keys().filter(is_own).map(|name| format!("{name}={}", self.text(name))));
        parts.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(format_line("delivery", line).as_deref(), expected, "{line}");
    }

    #[test]
    fn each_step_is_one_aligned_line() {
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"DEBUG","step":"accepted","event":"evt_1","type":"order.created","tenant":"org_1","duplicate":false,"bytes":123}"#,
            Some("03:04:05.678  accepted   evt_1  order.created, 123 bytes"),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"stored","event":"evt_1","new":true,"deliveries":0}"#,
            Some("03:04:05.678  stored     evt_1  new, pending in the inbox"),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"attempt","event":"evt_1","endpoint":"ep_1","n":1,"verdict":"retry","answer":"503","duration_ms":12,"next_at":"2026-01-02T03:04:10.000Z"}"#,
            Some(
                "03:04:05.678  attempt    evt_1  #1 to ep_1: retry (503) in 12 ms, next attempt at 03:04:10",
            ),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"parked","event":"evt_1","endpoint":"ep_1","n":2}"#,
            Some(
                "03:04:05.678  parked     evt_1  #2 to ep_1: the endpoint is paused, or its circuit breaker is open",
            ),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"moved","event":"evt_1","endpoint":"ep_1","n":1}"#,
            Some(
                "03:04:05.678  moved      evt_1  #1 to ep_1: the endpoint is slow, so it goes by the slow queue",
            ),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"delivered","event":"evt_1","endpoint":"ep_1","n":2,"ms":43}"#,
            Some("03:04:05.678  delivered  evt_1  to ep_1, 43 ms after it was accepted"),
        );
    }

    #[test]
    fn warnings_and_errors_are_shown_and_the_rest_is_not() {
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","level":"ERROR","message":"no table","table":"Events"}"#,
            Some("03:04:05.678  delivery   ERROR: no table  table=Events"),
        );
        check(r#"{"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","message":"batch"}"#, None);
    }

    #[test]
    fn a_line_that_is_not_json_is_a_crash_and_is_shown() {
        check("thread 'main' panicked", Some("              delivery   thread 'main' panicked"));
        check("", None);
    }
}
