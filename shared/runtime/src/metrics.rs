//! The log line of one invocation: JSON in the CloudWatch Embedded Metric Format, so CloudWatch reads it as a log line and
//! as metrics (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! The only dimension is the function. The line has the route, the tenant and the id of the key, and never a payload, a key
//! or a path as it was sent.

use serde_json::{Map, Value, json};

use domain::timestamp::Timestamp;

/// The namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "Triggers";

/// The log line of one invocation.
#[derive(Clone, Debug)]
pub struct Metrics {
    definitions: Vec<Value>,
    members: Map<String, Value>,
}

impl Metrics {
    /// Starts the line of an invocation of `function`, with this message.
    #[must_use]
    pub fn new(function: &'static str, message: &'static str) -> Self {
        let mut members = Map::new();
        members.insert("level".to_owned(), "INFO".into());
        members.insert("message".to_owned(), message.into());
        members.insert("function".to_owned(), function.into());
        Self { definitions: Vec::new(), members }
    }

    /// Adds to a count. A count of 0 is left out.
    pub fn count(&mut self, name: &str, number: u64) {
        if number > 0 {
            self.define(name, "Count");
            let sum = self.members.get(name).and_then(Value::as_u64).unwrap_or_default() + number;
            self.members.insert(name.to_owned(), sum.into());
        }
    }

    /// Sets a duration.
    pub fn set_milliseconds(&mut self, name: &str, milliseconds: u64) {
        self.define(name, "Milliseconds");
        self.members.insert(name.to_owned(), milliseconds.into());
    }

    /// Adds one value to a list of durations.
    pub fn add_milliseconds(&mut self, name: &str, milliseconds: u64) {
        self.define(name, "Milliseconds");
        let values = self.members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(milliseconds.into());
        }
    }

    /// Sets a member that is not a metric.
    pub fn set_property(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Returns the line, without a line feed.
    #[must_use]
    pub fn into_line(mut self, now: Timestamp) -> String {
        self.members.insert("timestamp".to_owned(), now.to_string().into());
        let directive =
            json!({"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": self.definitions});
        let aws = json!({"Timestamp": now.millis(), "CloudWatchMetrics": [directive]});
        self.members.insert("_aws".to_owned(), aws);
        Value::from(self.members).to_string()
    }

    /// Defines a metric that has no value yet.
    fn define(&mut self, name: &str, unit: &str) {
        if !self.members.contains_key(name) {
            self.definitions.push(json!({"Name": name, "Unit": unit}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_defined_once_and_its_value_is_a_member_of_the_root() {
        let mut metrics = Metrics::new("ingest", "answered");
        metrics.count("accepted", 2);
        metrics.count("accepted", 3);
        metrics.count("shed", 0);
        metrics.set_milliseconds("handler_ms", 7);
        metrics.set_property("status", 202);
        metrics.add_milliseconds("first_attempt_ms", 1);
        metrics.add_milliseconds("first_attempt_ms", 2);
        let line: Value = serde_json::from_str(&metrics.into_line(Timestamp::from_millis(5))).unwrap();
        assert_eq!(line["_aws"]["Timestamp"], 5);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["function"]]));
        let defined = json!([{"Name": "accepted", "Unit": "Count"}, {"Name": "handler_ms", "Unit": "Milliseconds"},
            {"Name": "first_attempt_ms", "Unit": "Milliseconds"}]);
        assert_eq!(line["first_attempt_ms"], json!([1, 2]));
        assert_eq!(directive["Metrics"], defined);
        assert_eq!(
            (&line["accepted"], &line["handler_ms"], &line["status"]),
            (&json!(5), &json!(7), &json!(202))
        );
        assert_eq!(line["function"], "ingest");
        assert!(line.get("shed").is_none());
    }
}
