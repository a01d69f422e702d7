//! The report: one row for each scenario, where the units of the three ordinary streams go, a month without events, and one line
//! of JSON for each scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::bill::cents;
use crate::counts::{Counts, QueueRequests};
use crate::measured::Measured;
use crate::prices::{ALL, METRIC, Picodollars, Price, Source, dollars};
use crate::recorded::Function;
use crate::scenarios::Scenario;
use crate::scenarios::idle::Month;

/// The tables and indexes, in the order of the columns.
const PLACES: [&str; 7] = ["Control", "Limits", "Claims", "Events", "pending", "attempts", "Schedule"];

/// Returns a number for each event, with two decimals, rounded.
#[must_use]
pub fn per_event(number: u64, events: u64) -> String {
    let hundredths = (number * 100 + events / 2) / events.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Returns half units for each event, with two decimals, as whole units.
#[must_use]
pub fn halves_per_event(halves: u64, events: u64) -> String {
    per_event(halves, events * 2)
}

/// Returns the table of units, calls and messages of each event.
#[must_use]
pub fn units_table(rows: &[(Scenario, Measured)]) -> String {
    let mut text = String::from("Per event: write units by table and index\n");
    line(&mut text, "", PLACES.into_iter().chain(["all writes", "reads", "calls", "SQS", "KMS"]));
    for (scenario, Measured { events, counts, .. }) in rows {
        let writes = counts.writes();
        let of_place = |place: &&str| per_event(writes.get(place).copied().unwrap_or_default(), *events);
        let kms = counts.decrypts + counts.generates;
        let calls = counts.table_calls.values().sum();
        let others = [
            per_event(counts.all_writes(), *events),
            halves_per_event(counts.all_half_reads(), *events),
            per_event(calls, *events),
            per_event(counts.queue.all(), *events),
            per_event(kms, *events),
        ];
        line(&mut text, scenario.name, PLACES.iter().map(of_place).chain(others));
    }
    text
}

/// Returns the table of invocations, milliseconds and bytes of each event.
#[must_use]
pub fn work_table(rows: &[(Scenario, Measured)]) -> String {
    let mut text = String::from("Per event: requests, invocations, milliseconds of the model, bytes\n");
    let columns =
        ["requests", "ingest", "consumer", "delivery", "scheduler", "drain", "api", "ms", "webhooks"];
    line(&mut text, "", columns.into_iter().chain(["log bytes", "bytes out", "stored"]));
    for (scenario, Measured { events, counts, stored_bytes }) in rows {
        let of = |number: u64| per_event(number, *events);
        let whole = |number: u64| (number / events).to_string();
        let invocations =
            Function::ALL.map(|function| of(counts.invocations.get(&function).copied().unwrap_or_default()));
        let mut cells = vec![of(counts.requests)];
        cells.extend(invocations);
        cells.push(of(counts.billed_ms.values().sum()));
        cells.push(of(counts.webhooks));
        cells.push(whole(counts.log_bytes + counts.access_log_bytes));
        cells.push(whole(counts.bytes_out));
        cells.push(whole(*stored_bytes));
        line(&mut text, scenario.name, cells);
    }
    text
}

/// Returns the table of dollars.
#[must_use]
pub fn bill_table(rows: &[(Scenario, Measured)]) -> String {
    let mut text = String::from("Dollars per million events (us-east-1, list prices)\n");
    let columns = ["API", "Lambda", "DynamoDB", "SQS", "KMS", "logs", "= handling"];
    line(&mut text, "", columns.into_iter().chain(["30 d stored", "transfer", "= all"]));
    for (scenario, measured) in rows {
        let bill = measured.bill();
        let [api, lambda, dynamodb, sqs, kms, logs, storage, transfer] = bill.by_service();
        let amounts = [api, lambda, dynamodb, sqs, kms, logs].map(|(_, amount)| amount);
        let sums = [bill.handling(), storage.1, transfer.1, bill.total()];
        line(&mut text, scenario.name, amounts.into_iter().chain(sums).map(cents));
    }
    text
}

/// Returns where the units of a scenario go, the largest number of write units first.
#[must_use]
pub fn uses_table(name: &str, Measured { events, counts, .. }: &Measured) -> String {
    let mut text = format!("{name}: where the units of an event go\n");
    let mut uses: Vec<_> = counts.uses.iter().collect();
    uses.sort_by_key(|(one, units)| (u64::MAX - units.writes, u64::MAX - units.half_reads, **one));
    for (one, units) in uses {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:>6} writes {:>6} reads  {:<9} {:<19} {:<9} {}",
            per_event(units.writes, *events),
            halves_per_event(units.half_reads, *events),
            one.function.name(),
            one.operation.name(),
            one.place,
            one.kind,
        );
    }
    text
}

/// Returns the table of a month without events of each stack, and the price of the custom metrics of a busy month.
#[must_use]
pub fn month_table(months: &[Month; 2], metrics: u64) -> String {
    let mut text = String::from("Dollars per month of 30 days without any event\n");
    let mut row = |name: &str, of_month: &dyn Fn(&Month) -> String| {
        let [full, smallest] = months.each_ref().map(of_month);
        let _ = writeln!(text, "  {name:<30}{full:>10}{smallest:>10}");
    };
    row("", &|month| month.stack.name().to_owned());
    for (place, (name, _)) in months[0].costs.iter().enumerate() {
        row(name, &|month| cents(month.costs[place].1));
    }
    row("= all", &|month| cents(month.total()));
    row("= first stack of an account", &|month| cents(month.of_first_stack()));
    for month in months {
        let parameters = month.stack.parameters().iter().map(|(name, value)| format!("{name}={value}"));
        let parameters: Vec<String> = parameters.collect();
        if !parameters.is_empty() {
            let _ = writeln!(text, "{}: {}", month.stack.name(), parameters.join(" "));
        }
    }
    let busy = METRIC.of(metrics);
    let _ = writeln!(
        text,
        "The {metrics} custom metrics of all scenarios cost {} in a month with values in every hour.",
        cents(busy)
    );
    text
}

/// Returns the table of prices, each with its source.
#[must_use]
pub fn price_table() -> String {
    let mut text = String::from("Prices (us-east-1)\n");
    for price in &ALL {
        let Price { listed, units, source: Source { page, as_of }, .. } = price;
        let amount = dollars(price.of(*units), 4);
        let _ = writeln!(text, "  {listed:<40}{amount:>8}  {page} ({as_of})");
    }
    text
}

/// Returns the line of JSON of a scenario.
#[must_use]
pub fn json_line(name: &str, measured: &Measured) -> String {
    let Measured { events, counts, stored_bytes } = measured;
    let by_name = |numbers: BTreeMap<&'static str, u64>| -> Map<String, Value> {
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect()
    };
    let by_function = |numbers: &BTreeMap<Function, u64>| {
        by_name(numbers.iter().map(|(function, number)| (function.name(), *number)).collect())
    };
    let QueueRequests { sends, receives, deletes, others } = counts.queue;
    json!({
        "scenario": name,
        "events": events,
        "requests": counts.requests,
        "invocations": by_function(&counts.invocations),
        "billed_ms": by_function(&counts.billed_ms),
        "table_calls": by_name(counts.table_calls.clone()),
        "write_units": by_name(counts.writes()),
        "half_read_units": by_name(counts.half_reads()),
        "sqs": {"sends": sends, "receives": receives, "deletes": deletes, "others": others},
        "kms": {"decrypts": counts.decrypts, "generates": counts.generates},
        "webhooks": counts.webhooks,
        "log_bytes": counts.log_bytes,
        "access_log_bytes": counts.access_log_bytes,
        "bytes_out": counts.bytes_out,
        "stored_bytes": stored_bytes,
        "custom_metrics": counts.metrics.len(),
        "micro_dollars_per_million": micro_dollars(measured.bill().by_service()),
    })
    .to_string()
}

/// Returns the line of JSON of a month without events.
#[must_use]
pub fn month_line(month: &Month) -> String {
    let amounts = micro_dollars(month.costs.iter().copied());
    let stack = month.stack.name();
    json!({"scenario": "idle month", "stack": stack, "polls": month.polls, "micro_dollars": amounts})
        .to_string()
}

fn micro_dollars(amounts: impl IntoIterator<Item = (&'static str, Picodollars)>) -> Map<String, Value> {
    let micros = |amount: Picodollars| u64::try_from(amount / 1_000_000).unwrap_or(u64::MAX);
    amounts.into_iter().map(|(name, amount)| (name.to_owned(), micros(amount).into())).collect()
}

/// Returns the number of custom metrics of all these counts.
#[must_use]
pub fn count_metrics<'a>(counts: impl Iterator<Item = &'a Counts>) -> u64 {
    let names: BTreeSet<_> = counts.flat_map(|counts| &counts.metrics).collect();
    names.len() as u64
}

fn line(text: &mut String, name: &str, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    let _ = write!(text, "  {name:<17}");
    for cell in cells {
        let _ = write!(text, "{:>11}", cell.as_ref());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_each_event_are_rounded() {
        assert_eq!(
            [(47, 10), (1, 3), (2, 3), (0, 5)].map(|(all, events)| per_event(all, events)),
            ["4.70", "0.33", "0.67", "0.00"]
        );
        assert_eq!(halves_per_event(3, 2), "0.75");
    }
}
