//! What the alarms and the dashboard of the template read.

use serde_json::{Map, Value};

use crate::template::resources;

/// A metric, as an alarm or the dashboard names it. The values of its dimensions have the form of `Fn::Sub`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Vec<(String, String)>,
}

/// Returns the properties of each alarm, by name.
pub(crate) fn alarms(template: &Value) -> Vec<(String, Value)> {
    properties(template, "AWS::CloudWatch::Alarm")
}

/// Returns the properties of each composite alarm, by name.
pub(crate) fn composites(template: &Value) -> Vec<(String, Value)> {
    properties(template, "AWS::CloudWatch::CompositeAlarm")
}

fn properties(template: &Value, kind: &str) -> Vec<(String, Value)> {
    let found = resources(template, kind).into_iter();
    found.map(|(name, resource)| (name.to_owned(), resource["Properties"].clone())).collect()
}

/// Returns the metrics of an alarm: one, or those of its expression.
pub(crate) fn of_alarm(alarm: &Value) -> Vec<Metric> {
    let Some(queries) = alarm["Metrics"].as_array() else { return vec![metric(alarm)] };
    let (stats, expressions): (Vec<_>, Vec<_>) =
        queries.iter().partition(|query| query.get("MetricStat").is_some());
    let [expression] = expressions.as_slice() else { panic!("one expression: {expressions:?}") };
    let expression = expression["Expression"].as_str().expect("an expression");
    for query in &stats {
        let id = query["Id"].as_str().expect("an id");
        assert!(query["ReturnData"] == false && expression.contains(id), "{expression} without {id}");
    }
    stats.into_iter().map(|query| metric(&query["MetricStat"]["Metric"])).collect()
}

fn metric(one: &Value) -> Metric {
    let text = |name: &str| one[name].as_str().unwrap_or_else(|| panic!("{name}: {one}")).to_owned();
    let dimensions = one["Dimensions"].as_array().into_iter().flatten();
    let dimensions = dimensions.map(|dimension| {
        (dimension["Name"].as_str().expect("a name").to_owned(), substituted(&dimension["Value"]))
    });
    Metric { namespace: text("Namespace"), name: text("MetricName"), dimensions: dimensions.collect() }
}

/// Returns a value in the form of `Fn::Sub`.
fn substituted(value: &Value) -> String {
    let part = |place: usize| value["Fn::GetAtt"][place].as_str();
    match (value["Ref"].as_str(), part(0).zip(part(1))) {
        (Some(name), _) => format!("${{{name}}}"),
        (_, Some((name, attribute))) => format!("${{{name}.{attribute}}}"),
        _ => value["Fn::Sub"].as_str().or(value.as_str()).expect("a text").to_owned(),
    }
}

/// Returns the metrics of the dashboard.
pub(crate) fn of_dashboard(template: &Value) -> Vec<Metric> {
    let [(_, dashboard)] = &properties(template, "AWS::CloudWatch::Dashboard")[..] else { panic!("one") };
    let body = dashboard["DashboardBody"]["Fn::Sub"].as_str().expect("a text");
    let body: Value = serde_json::from_str(body).expect("JSON, also before it is substituted");
    let mut metrics = Vec::new();
    for widget in body["widgets"].as_array().expect("widgets") {
        for line in widget["properties"]["metrics"].as_array().expect("metrics") {
            metrics.push(line_of_widget(line));
        }
    }
    metrics
}

/// Reads a namespace, a name, pairs of dimensions, and an object of options that may be missing.
fn line_of_widget(line: &Value) -> Metric {
    let parts = line.as_array().expect("an array");
    let texts: Vec<String> = parts.iter().filter_map(|part| part.as_str().map(str::to_owned)).collect();
    let options: Vec<&Map<String, Value>> = parts.iter().filter_map(Value::as_object).collect();
    assert!(texts.len() >= 2 && options.len() <= 1 && texts.len() + options.len() == parts.len(), "{line}");
    let dimensions = texts[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    Metric { namespace: texts[0].clone(), name: texts[1].clone(), dimensions: dimensions.collect() }
}
