//! The log lines of the functions, as they write them on AWS.

use std::io;

use runtime::telemetry::{Log, subscriber};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::recorded::{Function, Recorder};

/// Returns the log of a function's own lines.
#[must_use]
pub fn log(function: Function, recorder: &Recorder) -> Log {
    let recorder = recorder.clone();
    let name = format!("triggers-prod-{}", function.name());
    Log::new(name, move |line| recorder.record(|current| current.lines.push(line.to_owned())))
}

/// Records all other lines of this thread, until the guard is dropped.
#[must_use]
pub fn record_lines(recorder: &Recorder) -> DefaultGuard {
    tracing::subscriber::set_default(subscriber(LevelFilter::INFO, Lines(recorder.clone())))
}

struct Lines(Recorder);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Recorder);

impl io::Write for Line<'_> {
    /// Records one line: the layer writes each with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        self.0.record(|current| current.lines.push(text));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
