//! The alarms and the dashboard of `template.yaml`: each metric is one that AWS or a function emits, and each alarm has its entry
//! in the operating guide.

mod emitted;
pub(crate) mod used;

use std::collections::BTreeSet;

use runtime::metrics::METRICS;
use serde_json::{Value, json};

use self::emitted::emitted;
use self::used::{Metric, alarms, composites, of_alarm, of_dashboard};
use crate::template::template;

const GUIDE: &str = include_str!("../../docs/OPERATING.md");

/// The metrics of AWS that are used, with their dimensions, and the page that lists them.
const OF_AWS: [(&str, &[&str], &[&str], &str); 5] = [
    (
        "AWS/ApiGateway",
        &["Count", "4XXError", "5XXError"],
        &["ApiName", "Stage"],
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html",
    ),
    (
        "AWS/Lambda",
        &["Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"],
        &["FunctionName"],
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    ),
    (
        "AWS/Lambda",
        &["ClaimedAccountConcurrency"],
        &[],
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-concurrency.html",
    ),
    (
        "AWS/SQS",
        &["NumberOfMessagesReceived", "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"],
        &["QueueName"],
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
    ),
    (
        "AWS/DynamoDB",
        &["WriteThrottleEvents"],
        &["TableName"],
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
    ),
];

/// Returns whether AWS emits the metric, for a resource of this template.
fn is_of_aws(template: &Value, metric: &Metric) -> bool {
    let names: Vec<&str> = metric.dimensions.iter().map(|(name, _)| name.as_str()).collect();
    let is_listed = OF_AWS.iter().any(|(namespace, metrics, dimensions, _)| {
        *namespace == metric.namespace && metrics.contains(&metric.name.as_str()) && *dimensions == names
    });
    is_listed && metric.dimensions.iter().all(|(name, value)| is_here(template, name, value))
}

/// Returns whether the template has what a dimension names.
fn is_here(template: &Value, dimension: &str, value: &str) -> bool {
    let resources = &template["Resources"];
    let is_a = |suffix: &str, kind: &str| {
        let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix(suffix));
        name.is_some_and(|name| resources[name]["Type"] == kind)
    };
    match dimension {
        "FunctionName" | "function" => is_a("}", "AWS::Serverless::Function"),
        "QueueName" => is_a(".QueueName}", "AWS::SQS::Queue"),
        "TableName" => is_a("}", "AWS::DynamoDB::Table"),
        "ApiName" => resources["Api"]["Properties"]["Name"]["Fn::Sub"] == value,
        "Stage" => resources["Api"]["Properties"]["StageName"] == value,
        other => panic!("a dimension {other}"),
    }
}

/// Returns the function of this project and the name of its metric; `None` for a metric of AWS.
fn of_ours(template: &Value, metric: &Metric) -> Option<(String, String)> {
    let [(dimension, function)] = metric.dimensions.as_slice() else { return None };
    (metric.namespace == "Triggers").then(|| {
        assert!(dimension == "function" && is_here(template, dimension, function), "{metric:?}");
        let resource = function.trim_start_matches("${").trim_end_matches('}');
        let name = &template["Resources"][resource]["Properties"]["FunctionName"]["Fn::Sub"];
        let name = name.as_str().expect("a name").replace("${AWS::StackName}", "triggers");
        (name, metric.name.clone())
    })
}

#[tokio::test]
async fn each_metric_of_an_alarm_or_the_dashboard_is_emitted_and_each_one_that_is_paid_for_is_used() {
    let template = template();
    let mut ours = BTreeSet::new();
    let alarms = alarms(&template);
    let used = alarms.iter().flat_map(|(_, alarm)| of_alarm(alarm)).chain(of_dashboard(&template));
    for metric in used {
        match of_ours(&template, &metric) {
            Some(one) => drop(ours.insert(one)),
            None => assert!(is_of_aws(&template, &metric), "AWS emits no such metric: {metric:?}"),
        }
    }
    assert_eq!(emitted().await, ours, "left: emitted by the functions, right: used");
    let names: BTreeSet<&str> = ours.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, METRICS.iter().map(|(name, _)| *name).collect(), "one list, and nothing else");
}

#[test]
fn each_alarm_says_how_severe_it_is_and_those_of_severity_1_page_together() {
    let template = template();
    let (alarms, composites) = (alarms(&template), composites(&template));
    let [(_, composite)] = composites.as_slice() else { panic!("one composite alarm") };
    let rule = composite["AlarmRule"]["Fn::Sub"].as_str().expect("a rule");
    let named: BTreeSet<&str> =
        rule.split("ALARM(\"${").skip(1).filter_map(|rest| rest.split('}').next()).collect();
    let actions = &composite["AlarmActions"];
    assert!(actions.as_array().is_some_and(|actions| actions.len() == 2), "a topic and an address");
    let without_composite = json!({"Fn::If": ["HasAllAlarms", {"Ref": "AWS::NoValue"}, actions]});
    let mut together = BTreeSet::new();
    for (name, alarm) in &alarms {
        let text = alarm["AlarmDescription"].as_str().expect("a description");
        let severity = text.strip_prefix("Severity ").and_then(|rest| rest.split_once(". "));
        match severity.expect(text).0 {
            "1" => {
                assert_eq!(alarm["AlarmActions"], without_composite, "{name} pages with the composite alarm");
                together.insert(name.as_str());
            }
            "2" | "3" => assert_eq!(&alarm["AlarmActions"], actions, "{name}"),
            other => panic!("{name}: severity {other}"),
        }
    }
    assert_eq!(named, together);
    let both = json!({"Fn::And": [{"Condition": "OnAws"}, {"Condition": "HasAllAlarms"}]});
    assert_eq!(template["Conditions"]["PagesTogether"], both);
    assert_eq!(template["Resources"]["CustomersAffectedAlarm"]["Condition"], "PagesTogether");
}

/// The rule of `Alarms=urgent`, which the template states at the head of its alarms.
#[test]
fn urgent_keeps_the_alarms_of_severity_1_and_those_of_messages_that_wait_until_sqs_deletes_them() {
    let template = template();
    assert_eq!(template["Parameters"]["Alarms"]["Default"], "all");
    assert_eq!(template["Conditions"]["HasAllAlarms"], json!({"Fn::Equals": [{"Ref": "Alarms"}, "all"]}));
    let mut kept = 0;
    for (name, alarm) in alarms(&template) {
        let is_severe =
            alarm["AlarmDescription"].as_str().is_some_and(|text| text.starts_with("Severity 1."));
        let can_be_deleted = of_alarm(&alarm).iter().any(|metric| {
            let is_of = |queue| metric.dimensions.iter().any(|(_, name)| name.ends_with(queue));
            match metric.name.as_str() {
                "ApproximateNumberOfMessagesVisible" => is_of("Dlq.QueueName}"),
                "ApproximateAgeOfOldestMessage" => !is_of("DrainsQueue.QueueName}"),
                _ => false,
            }
        });
        let is_left_out = template["Resources"][&name]["Condition"] == "HasAllAlarms";
        assert_eq!(is_left_out, !is_severe && !can_be_deleted, "{name}");
        kept += usize::from(!is_left_out);
    }
    assert_eq!(kept, 10, "docs/OPERATING.md names them");
}

#[test]
fn each_alarm_has_one_entry_in_the_guide_and_no_entry_is_left_over() {
    const PARTS: [&str; 5] = ["**Means:**", "**Customers:**", "**Look at:**", "**Do:**", "**Clears:**"];
    let template = template();
    let names: BTreeSet<String> =
        alarms(&template).into_iter().chain(composites(&template)).map(|(name, _)| name).collect();
    let mut entries = BTreeSet::new();
    for entry in GUIDE.split("\n### ").skip(1) {
        let (title, text) = entry.split_once('\n').expect("an entry");
        let title = title.trim();
        if !title.ends_with("Alarm") {
            continue;
        }
        assert!(entries.insert(title.to_owned()), "two entries: {title}");
        let text = text.split("\n## ").next().unwrap_or_default();
        let places: Vec<_> = PARTS.map(|part| text.find(part)).into();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{title}: {places:?}");
    }
    assert_eq!(entries, names);
}
