//! The AWS emulator: ministack. It listens only on 127.0.0.1.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::deploy::STACK_NAME;
use crate::environment;
use crate::error::Error;
use crate::http::Client;
use crate::identity;
use crate::process::wait_until;
use crate::session::{LoggedProcess, Session};

/// How long the emulator may take to start (0.6 s on an idle machine).
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// The URL of the emulator: `http://127.0.0.1:4566`.
    pub(crate) endpoint: String,
    process: LoggedProcess,
}

impl Emulator {
    /// Starts the emulator. It forwards invocations of `functions` to the Runtime API at `runtime_url`.
    ///
    /// With `state`, it keeps its state in this directory.
    /// Environment variables configure this, so the template needs no change.
    pub(crate) fn start(
        session: &Session,
        venv: &Path,
        port: u16,
        functions: &[String],
        runtime_url: &str,
        state: Option<&Path>,
    ) -> Result<Self, Error> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(venv.join("python"));
        environment::clear_environment(&mut command);
        command
            .arg(environment::root().join("infra/dev/emulator.py"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1") // the default is every network interface
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env(identity::ENFORCE_IAM.0, identity::ENFORCE_IAM.1)
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("CALLS_LOG", session.log("calls"))
            .env("TMPDIR", session.dir());
        if let Some(state) = state {
            command.env("PERSIST_STATE", "1").env("STATE_DIR", state); // it writes its state when it stops
        }
        for function in functions {
            command.env(
                format!("MINISTACK_LAMBDA_PROXY_{STACK_NAME}-{function}"),
                format!("{runtime_url}/2015-03-31/functions/{function}/invocations"),
            );
        }
        let process = session.spawn_logged("emulator", &mut command)?;
        Ok(Self { endpoint, process })
    }

    /// Waits until the emulator answers.
    pub(crate) fn wait_until_ready(&self) -> Result<(), Error> {
        let client = Client::new(Duration::from_secs(2));
        let url = format!("{}/_ministack/ready", self.endpoint);
        let is_ready = || client.call("GET", &url, &[], "").is_ok_and(|response| response.status == 200);
        wait_until(START_TIMEOUT, || is_ready() || self.check_ended().is_some());
        match self.check_ended() {
            Some(error) => Err(error),
            None if is_ready() => Ok(()),
            None => Err(self.process.error("was not ready within 30 s")),
        }
    }

    /// Returns an error if the emulator has ended.
    pub(crate) fn check_ended(&self) -> Option<Error> {
        self.process.check_ended()
    }
}
