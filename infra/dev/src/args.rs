//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::stack::Options;

/// What `cargo dev --help` prints.
pub const USAGE: &str = "\
The whole of Triggers on this machine, without Docker or an AWS account.

cargo dev                 start everything, show each event as it passes; Ctrl-C ends it
cargo dev demo            tell the whole story once: accepted, stored, signed, delivered, inbox
cargo dev latency         measure how long 200 events take to be accepted and delivered
cargo dev up [--json]     start in the background and return when it is ready
cargo dev status [--json] say whether it runs, and where
cargo dev down            end it

--port <port>         the emulator's port (default 4566, or a free one; 0 takes any free one)
--strict-endpoints    refuse webhook URLs on this machine, as in AWS
--dir <path>          the state directory (default .dev): one stack per directory";

/// What to do.
#[derive(Debug)]
pub enum Verb {
    /// Run in the foreground.
    Run(Options),
    /// Tell the whole story once.
    Demo(Options),
    /// Measure how long events take.
    Latency(Options),
    /// Start in the background.
    Up {
        /// How.
        options: Options,
        /// Whether the last line is JSON.
        json: bool,
    },
    /// Be the background process that [`Verb::Up`] starts.
    Supervise(Options),
    /// Say whether a stack runs.
    Status {
        /// The state directory.
        dir: PathBuf,
        /// Whether to say it in JSON.
        json: bool,
    },
    /// End a stack.
    Down {
        /// The state directory.
        dir: PathBuf,
    },
    /// Be the guard of a stack.
    Guard {
        /// The state directory.
        dir: PathBuf,
        /// The process number of the owner.
        owner: u32,
    },
    /// Explain.
    Help,
}

/// Reads the command line.
///
/// # Errors
/// When it makes no sense.
pub fn parse(mut parser: Parser) -> Result<Verb, crate::error::Error> {
    let mut words: Vec<String> = Vec::new();
    let mut options = Options::default();
    let mut json = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("dir") => options.dir = parser.value()?.into(),
            Arg::Long("port") => options.port = Some(parser.value()?.parse()?),
            Arg::Long("strict-endpoints") => options.strict_endpoints = true,
            Arg::Long("json") => json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Verb::Help),
            Arg::Value(word) => words.push(word.string()?),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        [] => Verb::Run(options),
        ["demo"] => Verb::Demo(options),
        ["latency"] => Verb::Latency(options),
        ["up"] => Verb::Up { options, json },
        ["supervise"] => Verb::Supervise(options),
        ["status"] => Verb::Status { dir: options.dir, json },
        ["down"] => Verb::Down { dir: options.dir },
        ["guard", dir, owner] => {
            let owner = owner.parse().map_err(|_| lexopt::Error::from("not a process number"))?;
            Verb::Guard { dir: dir.into(), owner }
        }
        ["help"] => Verb::Help,
        other => {
            return Err(lexopt::Error::from(format!("unknown verb {:?}", other.join(" "))).into());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Verb, String> {
        parse(Parser::from_args(line.split_whitespace())).map_err(|error| error.to_string())
    }

    #[test]
    fn options_may_stand_before_or_behind_the_verb() {
        for line in ["up --json --strict-endpoints --port 0", "--port=0 --strict-endpoints --json up"] {
            let Ok(Verb::Up { options, json: true }) = parsed(line) else { panic!("{line}") };
            assert!(options.strict_endpoints);
            assert_eq!(options.port, Some(0));
        }
    }

    #[test]
    fn nonsense_names_itself() {
        assert!(parsed("upp").unwrap_err().contains("unknown verb \"upp\""));
        assert!(parsed("--prot 1").unwrap_err().contains("--prot"));
        assert!(parsed("--port 70000").unwrap_err().contains("70000"));
    }
}
