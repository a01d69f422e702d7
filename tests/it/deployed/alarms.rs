//! The alarms in the emulator's CloudWatch. It evaluates an alarm whenever a metric is put, by the metric's name alone, and forgets a
//! value when the alarm's time is over. It knows no metric math, and no composite alarm in a template: that rule is put by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use aws::system_clock::SystemClock;
use serde_json::{Value, json};
use store::clock::Clock;

use super::support::stack::shared;
use crate::alarms::used::composites;
use crate::support::aws::service;
use crate::support::eventually;
use crate::template::template;

/// How long an alarm stays in ALARM here: the rest of the time for which its value counts.
const SECONDS: u64 = 10;

fn cloudwatch(action: &str, input: &Value) -> Value {
    let target = format!("GraniteServiceVersion20100801.{action}");
    let reply = service(&shared().summary().emulator, "monitoring", &target, input);
    assert_eq!(reply.status, 200, "{action}: {}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// Returns all alarms on metrics.
fn alarms() -> Vec<Value> {
    let mut answer = cloudwatch("DescribeAlarms", &json!({"MaxRecords": 100}));
    answer["MetricAlarms"].as_array_mut().map(std::mem::take).expect("alarms")
}

fn name(alarm: &Value) -> &str {
    alarm["AlarmName"].as_str().expect("a name")
}

fn number(alarm: &Value, member: &str) -> u64 {
    alarm[member].as_u64().unwrap_or_else(|| panic!("{member}: {alarm}"))
}

/// The seconds for which a value of its metric counts.
fn span(alarm: &Value) -> u64 {
    number(alarm, "Period") * number(alarm, "EvaluationPeriods")
}

/// Puts a value of the metric of each of these alarms, so old that it counts for `SECONDS` only, or of now.
fn put(alarms: &[Value], breaches: bool) {
    for alarm in alarms {
        let below = alarm["ComparisonOperator"] == "LessThanThreshold";
        let threshold = alarm["Threshold"].as_f64().expect("a threshold");
        let value = if breaches == below { 0.0 } else { threshold * 100.0 + 1.0 };
        let age = if breaches { span(alarm) - SECONDS } else { 0 };
        let datum = json!({"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"],
            "Value": value, "Timestamp": SystemClock.now().seconds() - age});
        cloudwatch("PutMetricData", &json!({"Namespace": alarm["Namespace"], "MetricData": [datum]}));
    }
}

/// Returns the states of these alarms.
fn states(of: &[Value]) -> BTreeSet<String> {
    let names: Vec<&str> = of.iter().map(name).collect();
    let all = alarms();
    let these = all.iter().filter(|alarm| names.contains(&name(alarm)));
    these.map(|alarm| alarm["StateValue"].as_str().expect("a state").to_owned()).collect()
}

/// Brings each of these alarms to ALARM and back. Those with the longest span come first: they see the values of the others too.
fn there_and_back(mut of_one_metric: Vec<Value>) {
    of_one_metric.sort_by_key(|alarm| std::cmp::Reverse(span(alarm)));
    for alarms in of_one_metric.chunk_by(|one, next| span(one) == span(next)) {
        put(alarms, true);
        assert_eq!(states(alarms), BTreeSet::from(["ALARM".to_owned()]), "{alarms:?}");
        eventually("the alarms are quiet again", || {
            put(alarms, false);
            (states(alarms) == BTreeSet::from(["OK".to_owned()])).then_some(())
        });
    }
}

#[test]
fn each_alarm_goes_off_when_its_metric_breaches_and_ends_when_it_does_not_and_one_of_severity_1_pages() {
    let all = alarms();
    let deployed = template()["Resources"].as_object().unwrap().clone();
    let deployed = deployed
        .values()
        .filter(|one| one["Type"] == "AWS::CloudWatch::Alarm" && one["Condition"] != "OnAws");
    assert_eq!(all.len(), deployed.count());
    let mut by_metric: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for alarm in all {
        by_metric.entry(format!("{}{}", alarm["Namespace"], alarm["MetricName"])).or_default().push(alarm);
    }
    thread::scope(|scope| {
        for alarms in by_metric.into_values() {
            scope.spawn(move || there_and_back(alarms));
        }
    });
    the_composite_alarm_follows_each_of_its_own();
}

/// Puts the composite alarm of the template, and lets each alarm in its rule go off alone.
fn the_composite_alarm_follows_each_of_its_own() {
    let template = template();
    let rule = composites(&template)[0].1["AlarmRule"]["Fn::Sub"].as_str().unwrap().to_owned();
    let stand_in = "stand-in for the alarm with metric math";
    cloudwatch(
        "PutMetricAlarm",
        &json!({"AlarmName": stand_in, "Namespace": "none", "MetricName": "none",
        "ComparisonOperator": "GreaterThanThreshold"}),
    );
    let all = alarms();
    let mut children = Vec::new();
    let mut resolved = String::new();
    for (place, part) in rule.split("${").enumerate() {
        let Some((logical, rest)) = part.split_once('}').filter(|_| place > 0) else {
            resolved.push_str(part);
            continue;
        };
        let begin = format!("triggers-{logical}-");
        let child = all.iter().map(name).find(|name| name.starts_with(&begin)).unwrap_or(stand_in).to_owned();
        resolved.extend([child.as_str(), rest]);
        children.push(child);
    }
    let composite = "customers are affected";
    cloudwatch("PutCompositeAlarm", &json!({"AlarmName": composite, "AlarmRule": resolved}));
    let set = |alarm: &str, state: &str| {
        cloudwatch(
            "SetAlarmState",
            &json!({"AlarmName": alarm, "StateValue": state, "StateReason": "a story"}),
        )
    };
    let state = || {
        let names = json!({"AlarmNames": [composite], "AlarmTypes": ["CompositeAlarm"]});
        cloudwatch("DescribeAlarms", &names)["CompositeAlarms"][0]["StateValue"].clone()
    };
    assert_eq!(children.iter().collect::<BTreeSet<_>>().len(), children.len(), "{children:?}");
    for child in &children {
        assert_eq!(state(), "OK", "{child}");
        set(child, "ALARM");
        assert_eq!(state(), "ALARM", "{child}");
        set(child, "OK");
    }
    cloudwatch("DeleteAlarms", &json!({"AlarmNames": [composite]}));
    cloudwatch("DeleteAlarms", &json!({"AlarmNames": [stand_in]}));
}
