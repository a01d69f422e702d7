//! A Lambda Runtime API of the test's own: one process of a function, with an environment of the test's choosing,
//! gets one event after the other (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::stack::shared;
use crate::support::client::Reply;
use crate::support::wire::{self, Request};

/// What a function is told about its invocation; it may last until the year 3000.
const INVOCATION: [(&str, &str); 4] = [
    ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
    ("lambda-runtime-deadline-ms", "32503680000000"),
    ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:story"),
    ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
];

/// One process of a function, as Lambda runs it: it takes one event at a time, and ends with the test.
pub(crate) struct Process {
    child: Child,
    events: Sender<String>,
    answers: Receiver<Request>,
    started: Receiver<()>,
}

impl Process {
    /// Starts a process of the function.
    pub(crate) fn start(function: &str, environment: &BTreeMap<String, String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let (events, waiting) = mpsc::channel();
        let (answered, answers) = mpsc::channel();
        let (asks, started) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (waiting, answered, asks) = (Arc::clone(&waiting), answered.clone(), asks.clone());
                thread::spawn(move || serve(&stream, &waiting, &answered, &asks));
            }
        });
        let child = Command::new(binary(function))
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Self { child: child.expect("the function starts"), events, answers, started }
    }

    /// Waits until the process has started: it has opened its connections and asks for its first event.
    ///
    /// # Panics
    /// When this takes longer than a minute.
    pub(crate) fn wait_until_started(&self) {
        self.started.recv_timeout(Duration::from_mins(1)).expect("a process that starts within a minute");
    }

    /// Gives the process its next event; what it answers.
    ///
    /// # Panics
    /// When the function reports an error, dies, or takes longer than a minute.
    pub(crate) fn invoke(&self, event: &str) -> Value {
        self.give(event);
        let request = self.answers.recv_timeout(Duration::from_mins(1)).expect("an answer within a minute");
        let body = serde_json::from_slice(&request.body).expect("JSON");
        assert!(request.target.ends_with("/response"), "{} {body}", request.target);
        body
    }

    /// Gives the process its next event, and does not wait for what it answers.
    pub(crate) fn give(&self, event: &str) {
        self.events.send(event.to_owned()).expect("somebody hands it out");
    }

    /// Gives the process of an HTTP function an event of API Gateway; its answer as a caller would get it.
    pub(crate) fn invoke_http(&self, event: &str) -> Reply {
        let answer = self.invoke(event);
        let mut headers = HeaderMap::new();
        for (name, values) in answer["multiValueHeaders"].as_object().expect("headers") {
            let name: HeaderName = name.parse().expect("a header's name");
            headers.insert(name, values[0].as_str().expect("a text").parse().expect("a header's value"));
        }
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        let status = answer["statusCode"].as_u64().and_then(|status| status.try_into().ok());
        Reply {
            status: status.expect("a status"),
            headers,
            body: answer["body"].as_str().unwrap_or_default().to_owned().into(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The environment of a function's processes on the shared stack, with these changes.
pub(crate) fn environment(function: &str, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut environment = shared().function_env(function).expect("a function").clone();
    let endings = ["_QUEUE_URL", "_TABLE", "_ARN"];
    if changes.iter().any(|(name, _)| endings.iter().any(|ending| name.ends_with(ending))) {
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned()); // no role may use what belongs to a test
    }
    let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    environment.extend(changes);
    environment
}

/// Gives a fresh process of the function one event; what it answers.
pub(crate) fn invoke(function: &str, environment: &BTreeMap<String, String>, event: &str) -> Value {
    Process::start(function, environment).invoke(event)
}

/// Gives a fresh process of an HTTP function one event of API Gateway; its answer as a caller would get it.
pub(crate) fn invoke_http(function: &str, environment: &BTreeMap<String, String>, event: &str) -> Reply {
    Process::start(function, environment).invoke_http(event)
}

/// What API Gateway makes of a request to api.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../../events/api-health.json")).expect("JSON");
    event["httpMethod"] = method.into();
    event["path"] = path.into();
    event["body"] = body.into();
    event["pathParameters"]["proxy"] = path.trim_start_matches('/').into();
    add_headers(&mut event, headers);
    event.to_string()
}

/// What API Gateway makes of JSON posted to ingest.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../../events/ingest-valid.json")).expect("JSON");
    event["resource"] = path.into();
    event["path"] = path.into();
    event["requestContext"]["path"] = format!("/v1{path}").into();
    event["requestContext"]["resourcePath"] = path.into();
    event["body"] = BASE64.encode(body).into();
    add_headers(&mut event, headers);
    event.to_string()
}

fn add_headers(event: &mut Value, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        event["headers"][*name] = (*value).into();
        event["multiValueHeaders"][*name] = json!([value]);
    }
}

/// Hands out events and reports what comes back, until there will be no more of them.
fn serve(
    stream: &TcpStream,
    events: &Mutex<Receiver<String>>,
    answered: &Sender<Request>,
    asks: &Sender<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        if request.method == "POST" {
            wire::answer(&mut &*stream, 202, &[], b"")?;
            let _nobody_waits = answered.send(request);
        } else {
            let _nobody_waits = asks.send(());
            let next = events.lock().expect("no holder panics").recv();
            let Ok(event) = next else { return Ok(()) };
            wire::answer(&mut &*stream, 200, &INVOCATION, event.as_bytes())?;
        }
    }
    Ok(())
}

/// The binary of a function, as the stack built it beside this one.
pub(super) fn binary(function: &str) -> PathBuf {
    let own = env::current_exe().expect("a path");
    own.ancestors().nth(2).expect("target/debug").join(function)
}
