//! `cargo dev`: calls the library function of each command.

use std::process::ExitCode;

use dev::args::{Command, USAGE, parse};
use dev::error::Error;
use dev::output::{print, print_note, start_clock};
use dev::{background, demo, foreground, guard, latency, listen, load};

fn main() -> ExitCode {
    start_clock();
    match parse(lexopt::Parser::from_env()).and_then(run) {
        Ok(code) => code,
        Err(Error::Stopping) => ExitCode::SUCCESS,
        Err(error) => {
            print_note(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(options) => foreground::run(&options)?,
        Command::Env { dir } => background::env(dir)?,
        Command::Demo(options) => demo::run(&options)?,
        Command::Latency(options) => latency::run(&options)?,
        Command::Listen(options) => listen::run(options)?,
        Command::Load(options) => load::run(&options)?,
        Command::Up { options, json } => background::up(&options, json)?,
        Command::Supervise(options) => background::supervise(&options)?,
        Command::Status { dir, json } => return Ok(background::status(&dir, json)),
        Command::Down { dir } => background::down(dir)?,
        Command::Guard { dir, owner } => guard::run(&dir, owner)?,
        Command::Help => print(format_args!("{USAGE}")),
    }
    Ok(ExitCode::SUCCESS)
}
