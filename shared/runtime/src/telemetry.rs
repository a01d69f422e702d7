//! Logs: one JSON object per line, our own code at the level of `LOG_LEVEL`, libraries at `warn`, and those that a stranger's name
//! server can make warn at `error`.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config;

/// The crates of this workspace: their lines are ours.
const OURS: [&str; 10] =
    ["domain", "store", "aws", "webhooks", "runtime", "ingest", "consumer", "delivery", "scheduler", "api"];

/// A malformed answer of a name server is no news.
const PROVOKED: [&str; 3] = ["hickory_net", "hickory_proto", "hickory_resolver"];

/// Takes log lines that are JSON already.
pub type Log = Box<dyn Fn(&str) + Send + Sync>;

/// Returns the log that writes to standard output, where Lambda reads it.
#[must_use]
pub fn stdout() -> Log {
    Box::new(write_line)
}

/// Writes a line that is JSON already, such as [`crate::metrics::Metrics::line`].
fn write_line(line: &str) {
    println!("{line}");
}

/// Begins to log. Call it once, first.
pub fn init() {
    let ours = if config::is("LOG_LEVEL", "debug") { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(PROVOKED.map(|target| (target, LevelFilter::ERROR)))
        .with_targets(OURS.map(|target| (target, ours)));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
