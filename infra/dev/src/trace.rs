//! A function's log line as a person reads it.
//!
//! Functions write one JSON object per line; with `LOG_LEVEL=debug` each step of an event is one,
//! told by its member `step`.

use serde_json::{Map, Value};

/// What the screen shows of a line that `function` wrote; `None` for what only the log keeps.
pub(crate) fn readable(function: &str, line: &str) -> Option<String> {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        return (!line.trim().is_empty()).then(|| format!("{:12}  {function:9}  {line}", ""));
    };
    let fields = Fields(fields);
    let time = fields.text("timestamp").get(11..23).map(str::to_owned).unwrap_or_default();
    let (first, rest) = match (fields.text("step").as_str(), fields.text("level").as_str()) {
        ("", "WARN") => (function, format!("warning: {}", fields.message())),
        ("", "ERROR") => (function, format!("ERROR: {}", fields.message())),
        ("accepted", _) => ("accepted", fields.accepted()),
        ("stored", _) => ("stored", fields.stored()),
        ("attempt", _) => ("attempt", fields.attempt()),
        ("parked", _) => ("parked", fields.parked()),
        ("delivered", _) => ("delivered", fields.delivered()),
        _ => return None,
    };
    Some(format!("{time:12}  {first:9}  {rest}"))
}

struct Fields(Map<String, Value>);

impl Fields {
    /// A member as text without quotes; empty if there is none.
    fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    fn is(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    fn accepted(&self) -> String {
        let again = if self.is("duplicate") { ", a duplicate: sent again" } else { "" };
        format!("{}  {}, {} bytes{again}", self.text("event"), self.text("type"), self.text("bytes"))
    }

    fn stored(&self) -> String {
        let new = if self.is("new") { "new" } else { "already there" };
        let deliveries = match self.text("deliveries").as_str() {
            "0" => "waits in the inbox".to_owned(),
            "1" => "1 delivery".to_owned(),
            n => format!("{n} deliveries"),
        };
        format!("{}  {new}, {deliveries}", self.text("event"))
    }

    fn attempt(&self) -> String {
        let next = match self.text("next_at").as_str() {
            "" => String::new(),
            at => format!(", again at {}", at.get(11..19).unwrap_or(at)),
        };
        format!(
            "{}  {} to {}: {} ({}) in {} ms{next}",
            self.text("event"),
            self.text("n"),
            self.text("endpoint"),
            self.text("verdict"),
            self.text("answer"),
            self.text("duration_ms"),
        )
    }

    fn parked(&self) -> String {
        let (event, n, endpoint) = (self.text("event"), self.text("n"), self.text("endpoint"));
        format!("{event}  {n} to {endpoint}: it is paused, or its breaker is open")
    }

    fn delivered(&self) -> String {
        let (event, endpoint, ms) = (self.text("event"), self.text("endpoint"), self.text("ms"));
        format!("{event}  to {endpoint}, {ms} ms after it was accepted")
    }

    /// The message and the fields that belong to this line alone.
    fn message(&self) -> String {
        let common = ["timestamp", "level", "message", "target"];
        let own = self.0.keys().filter(|name| !common.contains(&name.as_str()));
        let own = own.map(|name| format!("{name}={}", self.text(name)));
        let parts: Vec<String> = std::iter::once(self.text("message")).chain(own).collect();
        parts.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(readable("delivery", line).as_deref(), expected, "{line}");
    }

    #[test]
    fn each_step_is_one_aligned_line() {
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"DEBUG","step":"accepted","event":"evt_1","type":"order.created","tenant":"org_1","duplicate":false,"bytes":123}"#,
            Some("03:04:05.678  accepted   evt_1  order.created, 123 bytes"),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"stored","event":"evt_1","new":true,"deliveries":0}"#,
            Some("03:04:05.678  stored     evt_1  new, waits in the inbox"),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"attempt","event":"evt_1","endpoint":"ep_1","n":1,"verdict":"retry","answer":"503","duration_ms":12,"next_at":"2026-01-02T03:04:10.000Z"}"#,
            Some("03:04:05.678  attempt    evt_1  1 to ep_1: retry (503) in 12 ms, again at 03:04:10"),
        );
        check(
            r#"{"timestamp":"2026-01-02T03:04:05.678Z","step":"parked","event":"evt_1","endpoint":"ep_1","n":2}"#,
            Some("03:04:05.678  parked     evt_1  2 to ep_1: it is paused, or its breaker is open"),
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
    fn what_is_not_json_is_a_crash_and_shown() {
        check("thread 'main' panicked", Some("              delivery   thread 'main' panicked"));
        check("", None);
    }
}
