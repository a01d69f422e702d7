//! `cargo dev`: the verbs; what they do is in the library.

use std::process::ExitCode;

use dev::args::{USAGE, Verb, parse};
use dev::error::Error;
use dev::{background, demo, foreground, guard, latency};

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()).and_then(run) {
        Ok(code) => code,
        Err(Error::Ending) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode, Error> {
    match verb {
        Verb::Run(options) => foreground::run(&options)?,
        Verb::Demo(options) => demo::run(&options)?,
        Verb::Latency(options) => latency::run(&options)?,
        Verb::Up { options, json } => background::up(&options, json)?,
        Verb::Supervise(options) => background::supervise(&options)?,
        Verb::Status { dir, json } => return Ok(background::status(&dir, json)),
        Verb::Down { dir } => background::down(dir)?,
        Verb::Guard { dir, owner } => guard::run(&dir, owner)?,
        Verb::Help => println!("{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}
