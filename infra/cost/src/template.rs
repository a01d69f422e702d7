//! What `template.yaml` fixes: memory, and what is billed each month without any event.

use crate::recorded::Function;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// A stack, by the parameters that change what a month without events costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stack {
    /// All parameters have their defaults.
    Full,
    /// Few alarms and no dashboard.
    Smallest,
}

impl Stack {
    /// Both stacks, in the order of reports.
    pub const ALL: [Self; 2] = [Self::Full, Self::Smallest];

    /// Returns the name of the stack in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Smallest => "smallest",
        }
    }

    /// Returns the parameters that differ from their defaults.
    #[must_use]
    pub const fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Full => &[],
            Self::Smallest => &[("Alarms", "urgent"), ("Dashboard", "off")],
        }
    }

    /// Returns the number of resources of a type.
    #[must_use]
    pub fn count_resources(self, kind: &str) -> u64 {
        self.resources().filter(|resource| resource.is_a(kind)).count() as u64
    }

    /// Returns the number of metrics in alarms: an alarm on an expression is billed for each metric of it.
    #[must_use]
    pub fn count_alarm_metrics(self) -> u64 {
        let is_metric = |line: &str| line.contains("MetricName: ") && line.contains("Namespace: ");
        let alarms = self.resources().filter(|resource| resource.is_a("AWS::CloudWatch::Alarm"));
        alarms.map(|alarm| alarm.count(is_metric)).sum()
    }

    /// Returns the number of event source mappings: each polls its queue all the time.
    #[must_use]
    pub fn count_queue_mappings(self) -> u64 {
        self.resources().map(|resource| resource.count(|line| line.trim() == "Type: SQS")).sum()
    }

    /// Returns the resources that the stack has.
    fn resources(self) -> impl Iterator<Item = Resource> {
        let is_head = |line: &str| line.starts_with("  ") && line[2..].starts_with(char::is_alphanumeric);
        let mut blocks: Vec<Vec<&'static str>> = Vec::new();
        for line in section("Resources:") {
            if is_head(line) {
                blocks.push(Vec::new());
            }
            blocks.last_mut().into_iter().for_each(|block| block.push(line));
        }
        let resources = blocks.into_iter().map(Resource);
        resources.filter(move |resource| resource.condition().is_none_or(|condition| self.fulfils(condition)))
    }

    /// Returns whether the stack has what has this condition.
    fn fulfils(self, condition: &str) -> bool {
        self.holds(member(section("Conditions:"), condition))
    }

    /// Returns whether an expression of the section `Conditions` holds.
    fn holds(self, expression: &str) -> bool {
        let call = expression.strip_suffix(']').and_then(|call| call.split_once(" ["));
        match call {
            None => self.fulfils(expression.trim_start_matches("!Condition ")),
            Some(("!Not", operand)) => !self.holds(operand),
            Some(("!And", operands)) => operands.split(", ").all(|operand| self.holds(operand)),
            Some(("!Equals", operands)) => {
                let (parameter, value) = operands.split_once(", ").expect("two operands");
                self.value_of(parameter.trim_start_matches("!Ref ")) == value.trim_matches('\'')
            }
            Some((function, _)) => panic!("the meter knows no {function}"),
        }
    }

    /// Returns the value of a parameter.
    fn value_of(self, parameter: &str) -> &'static str {
        let own = self.parameters().iter().find(|(name, _)| *name == parameter);
        let head = format!("  {parameter}:");
        let default = || {
            let of_parameter = section("Parameters:").skip_while(move |line| *line != head).skip(1);
            member(of_parameter, "  Default").trim_matches('\'')
        };
        own.map_or_else(default, |(_, value)| value)
    }
}

/// The lines of a resource.
struct Resource(Vec<&'static str>);

impl Resource {
    fn is_a(&self, kind: &str) -> bool {
        self.0.iter().any(|line| line.strip_prefix("    Type: ") == Some(kind))
    }

    fn condition(&self) -> Option<&'static str> {
        self.0.iter().find_map(|line| line.strip_prefix("    Condition: "))
    }

    fn count(&self, is_counted: impl Fn(&str) -> bool) -> u64 {
        self.0.iter().filter(|line| is_counted(line)).count() as u64
    }
}

/// Returns the lines of a section.
fn section(head: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = TEMPLATE.lines().skip_while(move |line| *line != head).skip(1);
    lines.take_while(|line| !line.starts_with(char::is_alphanumeric))
}

/// Returns the value of the first member with this name.
fn member(mut lines: impl Iterator<Item = &'static str>, name: &str) -> &'static str {
    let head = format!("  {name}: ");
    let value = lines.find_map(|line| line.strip_prefix(&head)?.split("  #").next());
    value.unwrap_or_else(|| panic!("template.yaml has no {name}"))
}

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
    fn the_smallest_stack_has_no_dashboard_no_composite_alarm_and_few_alarms() {
        let counts = |kind| Stack::ALL.map(|stack| stack.count_resources(kind));
        assert_eq!(counts("AWS::CloudWatch::Dashboard"), [1, 0]);
        assert_eq!(counts("AWS::CloudWatch::CompositeAlarm"), [1, 0]);
        assert_eq!(counts("AWS::CloudWatch::Alarm"), [33, 10]);
    }

    #[test]
    fn the_template_has_what_the_meter_reads() {
        assert_eq!(Function::ALL.map(memory_mb), [256, 256, 256, 256, 1024, 512]);
        for stack in Stack::ALL {
            assert_eq!(stack.count_resources("AWS::KMS::Key"), 1);
            assert_eq!(stack.count_resources("AWS::Serverless::Api"), 1);
            assert_eq!(stack.count_resources("AWS::WAFv2::WebACL"), 0, "an option");
            assert_eq!(stack.count_queue_mappings(), 6);
            let alarms = stack.count_resources("AWS::CloudWatch::Alarm");
            assert_eq!(stack.count_alarm_metrics(), alarms + 1, "one has two metrics");
        }
        assert!((150..400).contains(&access_log_bytes()));
        assert!(TEMPLATE.contains("    Architectures: [arm64]\n"), "the price is that of arm64");
    }
}
