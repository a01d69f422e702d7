//! What one invocation leaves behind: one line of JSON, which CloudWatch reads as a log line and as metrics alike
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! The function is the one dimension. No payload, no key and no tenant is ever in it.

use serde_json::{Map, Value, json};

use domain::timestamp::Timestamp;

/// The metrics' namespace in CloudWatch.
pub const NAMESPACE: &str = "Triggers";

/// The line of one invocation.
#[derive(Clone, Debug)]
pub struct Metrics {
    definitions: Vec<Value>,
    members: Map<String, Value>,
}

impl Metrics {
    /// The line of an invocation of `function` that says `message`.
    #[must_use]
    pub fn new(function: &'static str, message: &'static str) -> Self {
        let mut members = Map::new();
        members.insert("level".to_owned(), "INFO".into());
        members.insert("message".to_owned(), message.into());
        members.insert("function".to_owned(), function.into());
        Self { definitions: Vec::new(), members }
    }

    /// Adds to a count. None is no metric at all.
    pub fn count(&mut self, name: &str, number: u64) {
        if number > 0 {
            self.define(name, "Count");
            let sum = self.members.get(name).and_then(Value::as_u64).unwrap_or_default() + number;
            self.members.insert(name.to_owned(), sum.into());
        }
    }

    /// Says how long something took.
    pub fn milliseconds(&mut self, name: &str, milliseconds: u64) {
        self.define(name, "Milliseconds");
        self.members.insert(name.to_owned(), milliseconds.into());
    }

    /// Adds one of several times that something took.
    pub fn milliseconds_of_each(&mut self, name: &str, milliseconds: u64) {
        self.define(name, "Milliseconds");
        let all = self.members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(all) = all {
            all.push(milliseconds.into());
        }
    }

    /// Says something that is no metric.
    pub fn property(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(mut self, now: Timestamp) -> String {
        self.members.insert("timestamp".to_owned(), now.to_string().into());
        let directive =
            json!({"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": self.definitions});
        let aws = json!({"Timestamp": now.millis(), "CloudWatchMetrics": [directive]});
        self.members.insert("_aws".to_owned(), aws);
        Value::from(self.members).to_string()
    }

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
    fn every_metric_is_defined_once_and_has_its_value_at_the_root() {
        let mut metrics = Metrics::new("ingest", "answered");
        metrics.count("accepted", 2);
        metrics.count("accepted", 3);
        metrics.count("shed", 0);
        metrics.milliseconds("handler_ms", 7);
        metrics.property("status", 202);
        metrics.milliseconds_of_each("first_attempt_ms", 1);
        metrics.milliseconds_of_each("first_attempt_ms", 2);
        let line: Value = serde_json::from_str(&metrics.line(Timestamp::from_millis(5))).unwrap();
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
