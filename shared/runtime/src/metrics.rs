//! The log line of one invocation: JSON in the CloudWatch Embedded Metric Format, so CloudWatch reads it as a log line and
//! as metrics (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! The only dimension is the name of the function, so the stacks of one account do not mix. The line has the route, the tenant
//! and the id of the key, and never a payload, a key or a path as it was sent.

use serde_json::{Map, Value, json};

use domain::timestamp::Timestamp;

/// The namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "Triggers";

/// The numbers that are metrics, each with its unit. CloudWatch bills a metric of a function for each hour in which it has a
/// value, so only those are metrics that an alarm or the dashboard uses. All other numbers are members of the line, which Logs
/// Insights searches.
pub const METRICS: [(&str, &str); 11] = [
    ("accepted", "Count"),
    ("shed", "Count"),
    ("stored", "Count"),
    ("kms_failures", "Count"),
    ("delivered", "Count"),
    ("failed", "Count"),
    ("first_attempt_ms", "Milliseconds"),
    ("breakers_opened", "Count"),
    ("ssrf_refused", "Count"),
    ("late_ms", "Milliseconds"),
    ("failures", "Count"),
];

/// The log line of one invocation.
#[derive(Clone, Debug)]
pub struct Metrics {
    members: Map<String, Value>,
}

impl Metrics {
    /// Starts the line of an invocation, with this message.
    #[must_use]
    pub fn new(message: &'static str) -> Self {
        let mut members = Map::new();
        members.insert("level".to_owned(), "INFO".into());
        members.insert("message".to_owned(), message.into());
        Self { members }
    }

    /// Adds to a count. A count of 0 is left out.
    pub fn count(&mut self, name: &str, number: u64) {
        if number > 0 {
            let sum = self.members.get(name).and_then(Value::as_u64).unwrap_or_default() + number;
            self.members.insert(name.to_owned(), sum.into());
        }
    }

    /// Adds one value to a list of durations.
    pub fn add_milliseconds(&mut self, name: &str, milliseconds: u64) {
        let values = self.members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(milliseconds.into());
        }
    }

    /// Sets a member.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Returns the line of the function with this name, without a line feed.
    #[must_use]
    pub fn into_line(mut self, function: &str, now: Timestamp) -> String {
        let metrics: Vec<Value> = METRICS
            .iter()
            .filter(|(name, _)| self.members.contains_key(*name))
            .map(|(name, unit)| json!({"Name": name, "Unit": unit}))
            .collect();
        if !metrics.is_empty() {
            let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": metrics});
            self.set("_aws", json!({"Timestamp": now.millis(), "CloudWatchMetrics": [directive]}));
        }
        self.set("function", function);
        self.set("timestamp", now.to_string());
        Value::from(self.members).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(metrics: Metrics) -> Value {
        serde_json::from_str(&metrics.into_line("prod-ingest", Timestamp::from_millis(5))).unwrap()
    }

    #[test]
    fn each_metric_is_defined_once_and_its_value_is_a_member_of_the_root() {
        let mut metrics = Metrics::new("answered");
        metrics.count("accepted", 2);
        metrics.count("accepted", 3);
        metrics.count("shed", 0);
        metrics.set("handler_ms", 7);
        metrics.add_milliseconds("first_attempt_ms", 1);
        metrics.add_milliseconds("first_attempt_ms", 2);
        let line = line(metrics);
        assert_eq!(line["_aws"]["Timestamp"], 5);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["function"]]));
        let defined = json!([{"Name": "accepted", "Unit": "Count"}, {"Name": "first_attempt_ms", "Unit": "Milliseconds"}]);
        assert_eq!(directive["Metrics"], defined);
        assert_eq!(line["first_attempt_ms"], json!([1, 2]));
        assert_eq!((&line["accepted"], &line["handler_ms"]), (&json!(5), &json!(7)));
        assert_eq!(line["function"], "prod-ingest");
        assert!(line.get("shed").is_none());
    }

    #[test]
    fn a_line_without_a_metric_is_an_ordinary_log_line() {
        let mut metrics = Metrics::new("answered");
        metrics.set("status", 401);
        let line = line(metrics);
        assert_eq!((line.get("_aws"), &line["status"]), (None, &json!(401)));
    }
}
