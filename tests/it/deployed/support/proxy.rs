//! A way to the emulator on which things go wrong: stands between one process and the emulator, hands every request
//! on as it is, counts it, and spoils those that a test chose.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};

use dev::stack::Stack;
use http::HeaderMap;
use serde_json::{Value, json};

use super::stack::shared;
use crate::support::aws::signature;
use crate::support::client::{Reply, call};
use crate::support::read_units::half_units;
use crate::support::wire::{self, Request, Server};

/// How `DynamoDB` tells that another transaction is in the way.
const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict, None]",
    "CancellationReasons":[{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"},{"Code":"None"}]}"#;

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing is done, and the connection closes.
    Refused,
    /// Nothing is done, and nobody answers until the caller has gone.
    Silence,
    /// It is done, and the connection closes without an answer.
    AnswerLost,
    /// Nothing is done, and the answer has this status.
    Status(u16),
    /// Nothing is done, since another transaction about the same items is under way.
    Conflict,
    /// Of a batch of messages these are refused, the others sent.
    EntriesRefused(&'static [usize]),
    /// Of a batch of messages these are left out of the answer, as if nobody had seen them.
    EntriesForgotten(&'static [usize]),
}

/// Which calls go wrong, and how.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    operation: &'static str,
    with: Vec<String>,
    fault: Fault,
    times: usize,
    spares_repeats: bool,
}

/// A running proxy. It ends with its test.
pub(crate) struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    emulator: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Calls,
    repeats: usize,
    half_units: Option<usize>,
}

/// How often each operation was called.
pub(crate) type Calls = BTreeMap<String, usize>;

impl Rule {
    /// Every call of an operation, such as `PutItem`, or of a service, such as `AmazonSQS`, goes wrong like this.
    pub(crate) const fn every(operation: &'static str, fault: Fault) -> Self {
        Self { operation, with: Vec::new(), fault, times: usize::MAX, spares_repeats: false }
    }

    /// The same, but only so often.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The same, but only if this is in the request too.
    pub(crate) fn with(mut self, text: impl Into<String>) -> Self {
        self.with.push(text.into());
        self
    }

    /// The same, but not where the SDK tries a call again.
    pub(crate) fn but_no_repeat(self) -> Self {
        Self { spares_repeats: true, ..self }
    }

    fn is_for(&self, service: &str, operation: &str, request: &Request) -> bool {
        (self.operation == service || self.operation == operation)
            && self.with.iter().all(|text| String::from_utf8_lossy(&request.body).contains(text))
            && !(self.spares_repeats && is_repeat(request))
    }
}

impl Proxy {
    /// A proxy in front of the shared stack's emulator.
    pub(crate) fn start() -> Self {
        Self::before(shared())
    }

    /// A proxy in front of a stack's emulator.
    pub(crate) fn before(stack: &Stack) -> Self {
        let emulator = stack.summary().emulator.clone();
        let shared = Arc::new(Shared { emulator, state: Mutex::default() });
        let server = Server::start({
            let shared = Arc::clone(&shared);
            move |stream| shared.serve(stream)
        });
        Self { server, shared }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// Lets calls go wrong, until they did so as often as the rule says, or until [`Proxy::heal`].
    pub(crate) fn spoil(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Lets everything through again.
    pub(crate) fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// The calls since the last question, without those that the SDK repeated.
    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.shared.state().calls)
    }

    /// What was read since the last question, in half read units; they are counted from the first one on.
    pub(crate) fn take_half_units(&self) -> usize {
        self.shared.state().half_units.replace(0).unwrap_or_default()
    }

    /// How often the SDK repeated a call since the last question.
    pub(crate) fn take_repeats(&self) -> usize {
        std::mem::take(&mut self.shared.state().repeats)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(mut request) = Request::read(&mut reader)? {
            let answer = match self.note(&request) {
                None => self.forward_metered(&request),
                Some(Fault::Refused) => return Ok(()),
                Some(Fault::Silence) => return io::copy(&mut reader, &mut io::sink()).map(drop),
                Some(Fault::AnswerLost) => {
                    self.forward(&request);
                    return Ok(());
                }
                Some(Fault::Status(status)) => {
                    Reply { status, headers: http::HeaderMap::new(), body: vec![] }
                }
                Some(Fault::Conflict) => reply(400, CONFLICT.as_bytes()),
                Some(Fault::EntriesRefused(entries)) => {
                    let mut answer = self.forward_without(entries, &mut request);
                    add_failures(&mut answer, entries);
                    answer
                }
                Some(Fault::EntriesForgotten(entries)) => self.forward_without(entries, &mut request),
            };
            let headers = answer.headers.iter().filter(|(name, _)| is_end_to_end(name.as_str()));
            let headers: Vec<_> =
                headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
            wire::answer(&mut &*stream, answer.status, &headers, &answer.body)?;
        }
        Ok(())
    }

    /// Counts a call; what is to go wrong with it.
    fn note(&self, request: &Request) -> Option<Fault> {
        let (service, operation) = target(request);
        let mut state = self.state();
        if is_repeat(request) {
            state.repeats += 1;
        } else {
            *state.calls.entry(operation.to_owned()).or_default() += 1;
        }
        let mut rules = state.rules.iter_mut();
        let rule = rules.find(|rule| rule.times > 0 && rule.is_for(service, operation, request))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    /// Forwards a request and counts what it read.
    fn forward_metered(&self, request: &Request) -> Reply {
        let answer = self.forward(request);
        let (service, operation) = target(request);
        if service.starts_with("DynamoDB") && answer.status == 200 && self.state().half_units.is_some() {
            let ask = |input: &Value| {
                let mut asked = Request { body: input.to_string().into(), ..request.clone() };
                self.forward_as_ours("dynamodb", &mut asked).expect(200).json()
            };
            let input = serde_json::from_slice(&request.body).expect("JSON");
            let read = half_units(operation, &input, &answer.json(), ask);
            *self.state().half_units.get_or_insert_default() += read;
        }
        answer
    }

    fn forward(&self, request: &Request) -> Reply {
        let headers = request.headers.iter().filter(|(name, _)| is_end_to_end(name));
        let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let url = format!("{}{}", self.emulator, request.target);
        call(&request.method, &url, &headers, request.body.clone())
    }

    /// Forwards a request whose body is no more what the caller signed.
    fn forward_as_ours(&self, service: &str, request: &mut Request) -> Reply {
        for (name, value) in &mut request.headers {
            if name.eq_ignore_ascii_case("authorization") {
                *value = signature(service);
            }
        }
        self.forward(request)
    }

    /// Forwards a `SendMessageBatch` without the entries of these numbers, which are their ids.
    fn forward_without(&self, entries: &[usize], request: &mut Request) -> Reply {
        let mut input: Value = serde_json::from_slice(&request.body).expect("JSON");
        let left = input["Entries"].as_array_mut().expect("entries");
        let number = |entry: &Value| entry["Id"].as_str().and_then(|digits| digits.parse().ok());
        left.retain(|entry| number(entry).is_none_or(|number| !entries.contains(&number)));
        if left.is_empty() {
            return reply(200, br#"{"Successful":[]}"#); // the emulator knows no empty batch
        }
        request.body = input.to_string().into();
        self.forward_as_ours("sqs", request)
    }
}

/// The service and the operation that a request is for.
fn target(request: &Request) -> (&str, &str) {
    request.header("x-amz-target").unwrap_or_default().split_once('.').unwrap_or_default()
}

/// Whether the SDK tries a call again.
fn is_repeat(request: &Request) -> bool {
    request.header("amz-sdk-request").is_some_and(|attempt| !attempt.starts_with("attempt=1;"))
}

/// An answer of our own.
fn reply(status: u16, body: &[u8]) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: body.to_vec() }
}

/// Whether a header belongs to the request or the answer, and not to the connection.
fn is_end_to_end(name: &str) -> bool {
    !["connection", "content-length", "date", "keep-alive", "transfer-encoding"].contains(&name)
}

/// Adds entries that failed to the answer to a `SendMessageBatch`, as AWS tells them.
fn add_failures(answer: &mut Reply, entries: &[usize]) {
    let failed =
        |number: &usize| json!({"Id": number.to_string(), "SenderFault": false, "Code": "InternalError"});
    let mut output = answer.json();
    output["Failed"] = entries.iter().map(failed).collect();
    answer.headers.remove("x-amz-crc32");
    answer.body = output.to_string().into();
}
