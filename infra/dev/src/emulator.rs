//! The AWS emulator: ministack, on loopback only.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::deploy::STACK_NAME;
use crate::environment;
use crate::error::Error;
use crate::http::Client;
use crate::identity;
use crate::process::wait_until;
use crate::session::{Logged, Session};

/// How long the emulator may take to start (0.6 s on an idle machine).
const PATIENCE: Duration = Duration::from_secs(30);

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// Its address: `http://127.0.0.1:4566`.
    pub(crate) endpoint: String,
    process: Logged,
}

impl Emulator {
    /// Starts the emulator; the functions named are executed by the Runtime API at `runtime`.
    ///
    /// It learns that from its own environment, which leaves the template untouched.
    pub(crate) fn start(
        session: &Session,
        venv: &Path,
        port: u16,
        functions: &[String],
        runtime: &str,
    ) -> Result<Self, Error> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(venv.join("python"));
        environment::bare(&mut command);
        command
            .arg(environment::root().join("infra/dev/emulator.py"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1") // it would serve every interface
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env(identity::CHECKED.0, identity::CHECKED.1)
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("TMPDIR", session.dir());
        for function in functions {
            command.env(
                format!("MINISTACK_LAMBDA_PROXY_{STACK_NAME}-{function}"),
                format!("{runtime}/2015-03-31/functions/{function}/invocations"),
            );
        }
        let process = session.spawn_logged("emulator", &mut command)?;
        Ok(Self { endpoint, process })
    }

    /// Waits until it answers.
    pub(crate) fn wait_until_ready(&self) -> Result<(), Error> {
        let client = Client::new(Duration::from_secs(2));
        let url = format!("{}/_ministack/ready", self.endpoint);
        let answers = || client.call("GET", &url, &[], "").is_ok_and(|answer| answer.status == 200);
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
