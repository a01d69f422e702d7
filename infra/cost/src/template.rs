//! What `template.yaml` fixes: memory, and what is billed each month without any event.

use crate::recorded::Function;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// Returns the memory of a function, in MB.
///
/// # Panics
/// If the template names none.
#[must_use]
pub fn memory_mb(function: Function) -> u64 {
    let head = format!("  {}:", function.resource());
    let of_function = TEMPLATE.lines().skip_while(|line| *line != head).skip(1);
    let mut block = of_function.take_while(|line| line.is_empty() || line.starts_with("    "));
    let line = block.find(|line| line.contains("MemorySize:"));
    let line = line.or_else(|| TEMPLATE.lines().find(|line| line.contains("MemorySize:"))); // that of all functions
    let value = line.and_then(|line| line.split("MemorySize:").nth(1)?.split_whitespace().next());
    value.and_then(|digits| digits.parse().ok()).expect("template.yaml has a memory size")
}

/// Returns the number of resources of a type.
#[must_use]
pub fn count_resources(kind: &str) -> u64 {
    let line = format!("    Type: {kind}");
    count(|of_template| of_template == line)
}

/// Returns the number of metrics in alarms: an alarm on an expression is billed for each metric of it.
#[must_use]
pub fn count_alarm_metrics() -> u64 {
    count(|line| line.contains("MetricName: ") && line.contains("Namespace: "))
}

/// Returns the number of event source mappings: each polls its queue all the time.
#[must_use]
pub fn count_queue_mappings() -> u64 {
    count(|line| line.trim() == "Type: SQS")
}

fn count(is_counted: impl Fn(&str) -> bool) -> u64 {
    TEMPLATE.lines().filter(|line| is_counted(line)).count() as u64
}

/// Returns the length of a line of the access log whose variables have typical values.
///
/// # Panics
/// If the template has no access log.
#[must_use]
pub fn access_log_bytes() -> u64 {
    let line = TEMPLATE.lines().find(|line| line.contains("$context.requestTimeEpoch"));
    let format = line.and_then(|line| line.split('\'').nth(1)).expect("template.yaml has an access log");
    let filled = [
        ("$context.requestId", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"),
        ("$context.requestTimeEpoch", "1700000000000"),
        ("$context.httpMethod", "POST"),
        ("$context.resourcePath", "/api/events"),
        ("$context.status", "202"),
        ("$context.responseLength", "100"),
        ("$context.responseLatency", "25"),
        ("$context.integrationLatency", "20"),
        ("$context.error.responseType", "-"),
    ];
    filled.iter().fold(format.to_owned(), |line, (name, value)| line.replace(name, value)).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_what_the_meter_reads() {
        assert_eq!(Function::ALL.map(memory_mb), [256, 256, 256, 256, 1024, 512]);
        assert_eq!(count_resources("AWS::KMS::Key"), 1);
        assert_eq!(count_resources("AWS::Serverless::Api"), 1);
        assert_eq!(count_queue_mappings(), 7);
        assert_eq!(
            count_alarm_metrics(),
            count_resources("AWS::CloudWatch::Alarm") + 1,
            "one has two metrics"
        );
        assert!((150..400).contains(&access_log_bytes()));
        assert!(TEMPLATE.contains("    Architectures: [arm64]\n"), "the price is that of arm64");
    }
}
