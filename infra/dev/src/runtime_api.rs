//! The Lambda Runtime API: `cargo lambda watch --only-lambda-apis`, on loopback only.
//!
//! It hands each invocation to whichever process of the function asks next.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::environment;
use crate::error::Error;
use crate::process::wait_until;
use crate::session::{Logged, Session};

/// How long it may take to start (0.3 s on an idle machine).
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Runtime API server.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    port: u16,
    process: Logged,
}

impl RuntimeApi {
    /// Starts the server on `port`.
    pub(crate) fn start(session: &Session, venv: &Path, port: u16) -> Result<Self, Error> {
        let mut command = Command::new(venv.join("cargo-lambda"));
        environment::without_outer_cargo(&mut command);
        command
            .args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(environment::root())
            .env("PATH", environment::path_with_cargo());
        let process = session.spawn_logged("runtime-api", &mut command)?;
        Ok(Self { port, process })
    }

    /// Its base URL on a port.
    pub(crate) fn url(port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    /// What a process of `function` needs as `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn for_function(&self, function: &str) -> String {
        format!("{}/.rt/{function}", Self::url(self.port))
    }

    /// Waits until it takes connections.
    pub(crate) fn wait_until_ready(&self) -> Result<(), Error> {
        let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        wait_until(PATIENCE, || answers() || self.died().is_some());
        match self.died() {
            Some(error) => Err(error),
            None if answers() => Ok(()),
            None => Err(self.process.error("was not ready within 30 s")),
        }
    }

    /// The error that says so, once it is no longer running.
    pub(crate) fn died(&self) -> Option<Error> {
        self.process.died()
    }
}
