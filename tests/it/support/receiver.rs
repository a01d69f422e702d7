//! A receiver of webhooks on this machine: records what comes, byte for byte, and answers from a script.

use std::collections::VecDeque;
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::eventually;
use super::wire::{self, Request, Server};

/// One answer of a script.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
}

/// One webhook as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) request: Request,
}

/// A running receiver. It ends with the last of its connections.
pub(crate) struct Receiver {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    script: VecDeque<Answer>,
    received: Vec<Received>,
    /// How long a request waits for its answer at most.
    holds_for: Option<Duration>,
    echoes: bool,
    /// One of this many first attempts is answered 503.
    refuses_every: Option<usize>,
    first_attempts: usize,
}

impl Answer {
    /// An answer of this status.
    pub(crate) const fn status(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    /// The same with one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl Receiver {
    /// A receiver that always answers with this status.
    pub(crate) fn answering(status: u16) -> Self {
        Self::with_script([Answer::status(status)])
    }

    /// A receiver that answers one after the other of these, and the last one ever after.
    pub(crate) fn with_script(script: impl IntoIterator<Item = Answer>) -> Self {
        let script = script.into_iter().collect();
        let state = State {
            script,
            received: Vec::new(),
            holds_for: None,
            echoes: false,
            refuses_every: None,
            first_attempts: 0,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() });
        let server = Server::start({
            let shared = Arc::clone(&shared);
            move |stream| shared.serve(stream)
        });
        Self { server, shared }
    }

    /// A receiver that answers 503 to one of this many first attempts, and 200 to everything else.
    pub(crate) fn refusing_first_attempts(every: usize) -> Self {
        let receiver = Self::answering(200);
        receiver.shared.state().refuses_every = Some(every);
        receiver
    }

    /// A receiver that always answers with this status, and with the body that it got.
    pub(crate) fn echoing(status: u16) -> Self {
        let receiver = Self::answering(status);
        receiver.shared.state().echoes = true;
        receiver
    }

    /// Answers with this status from now on.
    pub(crate) fn answer_now(&self, status: u16) {
        self.shared.state().script = [Answer::status(status)].into();
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.url_of("/hook")
    }

    /// Where it listens, on this path.
    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    /// Lets every request wait for its answer until [`Receiver::release`].
    pub(crate) fn hold(&self) {
        self.answer_after(Duration::from_secs(30)); // longer than any sender waits
    }

    /// Lets every request wait this long for its answer.
    pub(crate) fn answer_after(&self, delay: Duration) {
        self.shared.state().holds_for = Some(delay);
    }

    /// Answers all that wait, and from now on at once.
    pub(crate) fn release(&self) {
        self.shared.state().holds_for = None;
        self.shared.released.notify_all();
    }

    /// What came until now.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// Waits until this many have come, and gives them back.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} webhooks have come"), || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.release();
    }
}

impl Received {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.request.header(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.request.headers))
    }

    /// The id in the header `webhook-id`.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.request.body).expect("UTF-8")
    }
}

impl State {
    /// Counts the request; returns whether it is a first attempt that is refused.
    fn refuses(&mut self, request: &Request) -> bool {
        let Some(every) = self.refuses_every else { return false };
        let is_first = request.header("webhook-attempt") == Some("1");
        self.first_attempts += usize::from(is_first);
        is_first && self.first_attempts.is_multiple_of(every)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let Some(request) = Request::read(&mut reader)? else { return Ok(()) };
        let mut state = self.state();
        let body = if state.echoes { request.body.clone() } else { Vec::new() };
        let is_refused = state.refuses(&request);
        state.received.push(Received { at: Instant::now(), request });
        let last = state.script.len() == 1;
        let answer = if last { state.script.front().cloned() } else { state.script.pop_front() };
        let answer = if is_refused { Some(Answer::status(503)) } else { answer };
        let holds_for = state.holds_for.unwrap_or_default();
        let is_held = |state: &mut State| state.holds_for.is_some();
        drop(self.released.wait_timeout_while(state, holds_for, is_held));
        let Answer { status, headers } = answer.unwrap_or(Answer::status(200));
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.chain([("connection", "close")]).collect();
        wire::answer(&mut &*stream, status, &headers, &body)
    }
}

/// Returns an address of this machine that refuses every connection: nothing listens on port 1, and the system gives it
/// to no other test, unlike a port that was free a moment ago.
pub(crate) const fn closed_address() -> &'static str {
    "http://127.0.0.1:1"
}
