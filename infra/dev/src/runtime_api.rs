//! The Lambda Runtime API: `cargo lambda watch --only-lambda-apis`. It listens only on 127.0.0.1.
//!
//! It gives each invocation to the next process of the function that asks for one.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::environment;
use crate::error::Error;
use crate::process::wait_until;
use crate::session::{LoggedProcess, Session};

/// How long the server may take to start (0.3 s on an idle machine).
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Runtime API server.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    port: u16,
    venv: PathBuf,
    process: LoggedProcess,
}

impl RuntimeApi {
    /// Starts the server on `port`.
    pub(crate) fn start(session: &Session, venv: &Path, port: u16) -> Result<Self, Error> {
        let process = session.spawn_logged("runtime-api", &mut command(venv, port))?;
        Ok(Self { port, venv: venv.to_path_buf(), process })
    }

    /// Kills the server, and starts it again on the same port. Its waiting calls fail, and the processes of the functions
    /// end and start again.
    pub(crate) fn restart(&self, session: &Session) -> Result<(), Error> {
        session.respawn(&self.process, &mut command(&self.venv, self.port))
    }

    /// Returns the base URL of a server on `port`.
    pub(crate) fn url(port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    /// Returns the value of `AWS_LAMBDA_RUNTIME_API` for the processes of `function`.
    pub(crate) fn for_function(&self, function: &str) -> String {
        format!("{}/.rt/{function}", Self::url(self.port))
    }

    /// Waits until the server accepts connections.
    pub(crate) fn wait_until_ready(&self) -> Result<(), Error> {
        let is_ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        wait_until(START_TIMEOUT, || is_ready() || self.check_ended().is_some());
        match self.check_ended() {
            Some(error) => Err(error),
            None if is_ready() => Ok(()),
            None => Err(self.process.error("was not ready within 30 s")),
        }
    }

    /// Returns an error if the server has ended.
    pub(crate) fn check_ended(&self) -> Option<Error> {
        self.process.check_ended()
    }
}

fn command(venv: &Path, port: u16) -> Command {
    let mut command = Command::new(venv.join("cargo-lambda"));
    environment::remove_outer_cargo(&mut command);
    command
        .args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"])
        .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
        .current_dir(environment::root())
        .env("PATH", environment::path_with_cargo());
    command
}
