//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::listen::{Listen, Target};
use crate::options::Options;

/// The text that `cargo dev --help` prints.
pub const USAGE: &str = "\
Runs all of Triggers on this machine, without Docker and without an AWS account.

cargo dev                 start everything and show each event; Ctrl-C stops it
cargo dev env             print URL and KEY of the running stack for a shell: eval \"$(cargo dev env)\"
cargo dev demo            run one example: accept, store, sign, deliver, lease, acknowledge
cargo dev listen          create an endpoint; show, verify and optionally forward each webhook that it receives
cargo dev latency         measure how long 200 events take to be accepted and delivered
cargo dev load            post from 100 clients at once for 3.5 minutes; fail if one post is not accepted
cargo dev up              start in the background; return when the stack is ready
cargo dev status          show whether a stack runs and is healthy, and how to reach it
cargo dev down            stop the running stack

--port <port>         port of the emulator (default: the last one, else 4566 or a free port; 0: any free port)
--fresh               forget URL, API key and events of the last start
--strict-endpoints    reject webhook URLs on this machine, as in AWS
--types <patterns>    listen: the event types to receive, for example 'order.*,customer.created' (default: *)
--forward <url>       listen: send each verified webhook to this http:// URL, and answer as it answers
--json                up, status: print JSON; listen: print one line of JSON for each webhook
--dir <path>          state directory (default: .dev); one stack per directory";

/// A command of `cargo dev`.
#[derive(Debug)]
pub enum Command {
    /// Runs a stack in the foreground.
    Run(Options),
    /// Prints URL and API key for a shell.
    Env {
        /// The state directory.
        dir: PathBuf,
    },
    /// Runs the example of `cargo dev demo`.
    Demo(Options),
    /// Shows and verifies the webhooks of an endpoint of its own.
    Listen(Listen),
    /// Measures how long events take.
    Latency(Options),
    /// Posts from many clients at once.
    Load(Options),
    /// Starts a stack in the background.
    Up {
        /// The options of the stack.
        options: Options,
        /// Whether the output is JSON.
        json: bool,
    },
    /// Runs the background process that [`Command::Up`] starts.
    Supervise(Options),
    /// Shows whether a stack runs.
    Status {
        /// The state directory.
        dir: PathBuf,
        /// Whether the output is JSON.
        json: bool,
    },
    /// Stops a stack.
    Down {
        /// The state directory.
        dir: PathBuf,
    },
    /// Runs the guard of a stack.
    Guard {
        /// The state directory.
        dir: PathBuf,
        /// The process number of the owner.
        owner: u32,
    },
    /// Prints [`USAGE`].
    Help,
}

/// Each command with the options that it takes. The command without a name is `cargo dev`.
const COMMANDS: [(&str, &[&str]); 12] = [
    ("", &["port", "fresh", "strict-endpoints", "dir"]),
    ("env", &["dir"]),
    ("demo", &["port", "dir"]),
    ("listen", &["forward", "types", "json", "dir"]),
    ("latency", &["port", "dir"]),
    ("load", &["port", "dir"]),
    ("up", &["json", "port", "fresh", "strict-endpoints", "dir"]),
    ("supervise", &["port", "fresh", "strict-endpoints", "dir"]),
    ("status", &["json", "dir"]),
    ("down", &["dir"]),
    ("guard", &[]),
    ("help", &[]),
];

/// Parses the command line.
///
/// # Errors
/// Returns an error for an unknown command, an option that the command does not take, or an invalid value.
pub fn parse(mut parser: Parser) -> Result<Command, crate::error::Error> {
    let mut words: Vec<String> = Vec::new();
    let mut used: Vec<String> = Vec::new();
    let mut options = Options::default();
    let mut listen = Listen::default();
    let mut json = false;
    while let Some(arg) = parser.next()? {
        if let Arg::Long(name) = arg {
            used.push(name.to_owned());
        }
        match arg {
            Arg::Long("dir") => options.dir = parser.value()?.into(),
            Arg::Long("port") => options.port = Some(parse_port(&parser.value()?)?),
            Arg::Long("strict-endpoints") => options.strict_endpoints = true,
            Arg::Long("fresh") => options.fresh = true,
            Arg::Long("forward") => listen.forward = Some(parse_target(&parser.value()?)?),
            Arg::Long("types") => listen.types.extend(parser.value()?.string()?.split(',').map(trim)),
            Arg::Long("json") => json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long(_) => break,
            Arg::Value(word) => words.push(word.string()?),
            unknown @ Arg::Short(_) => return Err(unknown.unexpected().into()),
        }
    }
    words.extend(remaining_command(&mut parser, &words));
    check_options(&words, &used)?;
    Ok(select(&words, options, Listen { json, ..listen })?)
}

/// Returns the command in what was not read after an unknown option, if none was read before it.
fn remaining_command(parser: &mut Parser, words: &[String]) -> Option<String> {
    let rest = parser.raw_args().ok().filter(|_| words.is_empty())?;
    let mut names = rest.filter_map(|word| word.into_string().ok());
    names.find(|word| COMMANDS.iter().any(|(name, _)| name == word))
}

/// Checks that the command takes each option that was used.
fn check_options(words: &[String], used: &[String]) -> Result<(), lexopt::Error> {
    let command = words.first().map_or("", String::as_str);
    let Some((_, allowed)) = COMMANDS.iter().find(|(name, _)| *name == command) else {
        return Ok(()); // `select` rejects the command
    };
    let Some(wrong) = used.iter().find(|name| !allowed.contains(&name.as_str())) else {
        return Ok(());
    };
    let space = if command.is_empty() { "" } else { " " };
    let list: Vec<String> = allowed.iter().map(|name| format!("--{name}")).collect();
    let list = if list.is_empty() { "no options".to_owned() } else { list.join(", ") };
    Err(format!("`cargo dev{space}{command}` has no option `--{wrong}`; it takes {list}").into())
}

/// Returns the command with the name and the arguments in `words`.
fn select(words: &[String], options: Options, listen: Listen) -> Result<Command, lexopt::Error> {
    let json = listen.json;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        [] => Command::Run(options),
        ["env"] => Command::Env { dir: options.dir },
        ["demo"] => Command::Demo(options),
        ["listen"] => Command::Listen(Listen { dir: options.dir, ..listen }),
        ["latency"] => Command::Latency(options),
        ["load"] => Command::Load(options),
        ["up"] => Command::Up { options, json },
        ["supervise"] => Command::Supervise(options),
        ["status"] => Command::Status { dir: options.dir, json },
        ["down"] => Command::Down { dir: options.dir },
        ["guard", dir, owner] => Command::Guard { dir: dir.into(), owner: parse_process_number(owner)? },
        ["help"] => Command::Help,
        other => return Err(format!("unknown command `{}`", other.join(" ")).into()),
    })
}

fn parse_port(value: &OsString) -> Result<u16, lexopt::Error> {
    let port = value.to_str().and_then(|text| text.parse().ok());
    port.ok_or_else(|| format!("--port must be a number from 0 to 65535, not `{}`", value.display()).into())
}

fn parse_target(value: &OsString) -> Result<Target, lexopt::Error> {
    let target = value.to_str().and_then(Target::parse);
    target.ok_or_else(|| format!("--forward must be an http:// URL, not `{}`", value.display()).into())
}

fn trim(text: &str) -> String {
    text.trim().to_owned()
}

fn parse_process_number(word: &str) -> Result<u32, lexopt::Error> {
    word.parse().map_err(|_| format!("the owner of a guard must be a process number, not `{word}`").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(Parser::from_args(line.split_whitespace())).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_before_and_after_the_command() {
        for line in ["up --json --strict-endpoints --port 0", "--port=0 --strict-endpoints --json up"] {
            let Ok(Command::Up { options, json: true }) = parse_line(line) else { panic!("{line}") };
            assert!(options.strict_endpoints);
            assert_eq!(options.port, Some(0));
        }
    }

    #[test]
    fn an_error_quotes_the_wrong_word() {
        assert!(parse_line("upp").unwrap_err().contains("unknown command `upp`"));
        assert!(parse_line("--prot 1").unwrap_err().contains("--prot"));
        assert!(parse_line("up --port").unwrap_err().contains("--port"));
        assert!(parse_line("--port 70000").unwrap_err().contains("70000"));
    }

    #[test]
    fn no_option_is_ignored_and_the_error_names_those_of_the_command() {
        for (line, expected) in [
            ("status --fresh", "`cargo dev status` has no option `--fresh`; it takes --json, --dir"),
            ("down --json", "`cargo dev down` has no option `--json`; it takes --dir"),
            ("--prot 1 down", "`cargo dev down` has no option `--prot`; it takes --dir"),
            (
                "--json",
                "`cargo dev` has no option `--json`; it takes --port, --fresh, --strict-endpoints, --dir",
            ),
            ("help --dir x", "`cargo dev help` has no option `--dir`; it takes no options"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.starts_with(expected), "{line}: {error}");
        }
    }
}
