//! Logs one JSON object per line: our own crates at the level of `LOG_LEVEL`, libraries at `warn`, and the DNS libraries at
//! `error`.

use domain::timestamp::Timestamp;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config;
use crate::metrics::Metrics;

/// The crates of this workspace.
const OUR_CRATES: [&str; 11] = [
    "domain",
    "store",
    "aws",
    "webhooks",
    "runtime",
    "ingest",
    "consumer",
    "delivery",
    "drain",
    "scheduler",
    "api",
];

/// The DNS libraries. They warn about each malformed answer, and any customer's name server can send one.
const DNS_CRATES: [&str; 3] = ["hickory_net", "hickory_proto", "hickory_resolver"];

/// The log of one function, which writes one line for each invocation.
pub struct Log {
    function: String,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

impl Log {
    /// Returns the log of the function with this name.
    pub fn new(function: impl Into<String>, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { function: function.into(), write: Box::new(write) }
    }

    /// Writes the line of an invocation that ended now.
    pub fn write(&self, metrics: Metrics, now: Timestamp) {
        (self.write)(&metrics.into_line(&self.function, now));
    }
}

/// Returns the log of this function that writes to standard output. Lambda sends it to CloudWatch.
#[must_use]
pub fn stdout() -> Log {
    Log::new(config::function_name(), |line| println!("{line}"))
}

/// Starts to log. Must be called once, before anything is logged.
pub fn init() {
    let our_level = if config::is("LOG_LEVEL", "debug") { LevelFilter::DEBUG } else { LevelFilter::INFO };
    subscriber(our_level, std::io::stdout).init();
}

/// Returns the subscriber that writes each log line to `writer`, our own crates at this level.
pub fn subscriber<W>(our_level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(DNS_CRATES.map(|target| (target, LevelFilter::ERROR)))
        .with_targets(OUR_CRATES.map(|target| (target, our_level)));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(writer);
    tracing_subscriber::registry().with(lines).with(filter)
}
