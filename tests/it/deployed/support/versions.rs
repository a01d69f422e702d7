//! Processes of two versions of a function side by side, replaced as Lambda replaces them: the new ones start, then each old
//! one finishes the invocation that it has, gets no other, and ends.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use http::Request as HttpRequest;
use ureq::Agent;

use super::runtime::binary;
use crate::support::eventually;
use crate::support::wire::{self, Request, Server};

/// The variable with the address of the Runtime API.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// A process of a function behind a gate to the Runtime API of the stack. It is killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    gate: Arc<Gate>,
    _server: Server,
}

/// The only way of a process to the Runtime API.
struct Gate {
    runtime_api: String,
    agent: Agent,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// No further invocation goes through.
    is_closed: bool,
    /// The process has asked for an invocation, or has one.
    is_busy: bool,
    invocations: usize,
}

impl Worker {
    /// Starts a process of the function from this folder of binaries, or from that of the tests.
    pub(crate) fn start(
        folder: Option<&Path>,
        function: &str,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let runtime_api = environment[RUNTIME_API].strip_prefix("http://").expect("a URL");
        let (host, path) = runtime_api.split_once('/').expect("an address and a path");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(None).proxy(None);
        let gate = Arc::new(Gate {
            runtime_api: host.to_owned(),
            agent: config.build().into(),
            state: Mutex::default(),
        });
        let server = Server::start({
            let gate = Arc::clone(&gate);
            move |stream| gate.serve(stream)
        });
        let binary = folder.map_or_else(|| binary(function), |folder| folder.join(function));
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .env(RUNTIME_API, format!("http://127.0.0.1:{}/{path}", server.port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the function starts");
        Self { child, gate, _server: server }
    }

    /// Waits until the process asks for its first invocation.
    pub(crate) fn wait_until_started(&self) {
        eventually("a process asks for its first invocation", || self.gate.state().is_busy.then_some(()));
    }

    /// Lets no further invocation through, and waits until the process has none. `knock` brings one where none comes by itself.
    /// Returns how many invocations the process had.
    pub(crate) fn drain(self, knock: impl Fn()) -> usize {
        self.gate.state().is_closed = true;
        eventually("an old process finishes what it has", || {
            let is_idle = !self.gate.state().is_busy;
            if !is_idle {
                knock();
            }
            is_idle.then_some(())
        });
        self.gate.state().invocations
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            let asks = request.method == "GET";
            if asks && !self.let_in() {
                return io::copy(&mut reader, &mut io::sink()).map(drop); // until the process is killed
            }
            self.forward(&request, stream)?;
            let mut state = self.state();
            state.is_busy = asks;
            state.invocations += usize::from(asks);
        }
        Ok(())
    }

    /// Returns whether the process may ask for an invocation.
    fn let_in(&self) -> bool {
        let mut state = self.state();
        state.is_busy = !state.is_closed;
        state.is_busy
    }

    fn forward(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        let url = format!("http://{}{}", self.runtime_api, request.target);
        let mut forwarded = HttpRequest::builder().method(request.method.as_str()).uri(url);
        for (name, value) in request.headers.iter().filter(|(name, _)| is_end_to_end(name)) {
            forwarded = forwarded.header(name, value);
        }
        let forwarded = forwarded.body(request.body.clone()).map_err(io::Error::other)?;
        let mut answer = self.agent.run(forwarded).map_err(io::Error::other)?;
        let body = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(io::Error::other)?;
        let headers = answer.headers().iter().filter(|(name, _)| is_end_to_end(name.as_str()));
        let headers: Vec<_> =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        wire::answer(&mut &*stream, answer.status().as_u16(), &headers, &body)
    }
}

/// Returns whether a header is of the message, and not of the connection.
fn is_end_to_end(name: &str) -> bool {
    !["connection", "content-length", "date", "host", "transfer-encoding"].contains(&name)
}
