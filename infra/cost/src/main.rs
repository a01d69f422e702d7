//! Prints what an event costs: `cargo cost`. With `--json` only the lines of JSON; with `--uses` also where the units of each
//! scenario go.

use std::env::args;

use cost::measured::Measured;
use cost::report;
use cost::scenarios::{Scenario, all, idle};
use cost::template::Stack;

/// The scenarios whose units are shown by use.
const ORDINARY: [&str; 3] = ["full", "mixed", "sparse"];

fn main() {
    let measure = |scenario: Scenario| {
        let measured = scenario.measure();
        (scenario, measured)
    };
    let rows: Vec<(Scenario, Measured)> = all().into_iter().map(measure).collect();
    let months = Stack::ALL.map(idle::measure);
    let has_argument = |name: &str| args().any(|argument| argument == name);
    if !has_argument("--json") {
        for (scenario, Measured { events, .. }) in &rows {
            println!("  {:<17} {} ({events} events)", scenario.name, scenario.what);
        }
        println!("\n{}", report::units_table(&rows));
        println!("{}", report::work_table(&rows));
        println!("{}", report::bill_table(&rows));
        for (Scenario { name, .. }, measured) in &rows {
            if ORDINARY.contains(name) || has_argument("--uses") {
                println!("{}", report::uses_table(name, measured));
            }
        }
        let counts =
            rows.iter().map(|(_, measured)| &measured.counts).chain(months.iter().map(|month| &month.visit));
        println!("{}", report::price_table());
        println!("{}", report::month_table(&months, report::count_metrics(counts)));
    }
    for (scenario, measured) in &rows {
        println!("{}", report::json_line(scenario.name, measured));
    }
    for month in &months {
        println!("{}", report::month_line(month));
    }
}
