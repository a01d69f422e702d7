//! A Lambda Runtime API of the test's own: one process of a function, with an environment of the test's choosing,
//! gets one event (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::client::Reply;
use super::stack::shared;
use super::wire::{self, Request};

/// What a function is told about its invocation; it may last until the year 3000.
const INVOCATION: [(&str, &str); 4] = [
    ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
    ("lambda-runtime-deadline-ms", "32503680000000"),
    ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:story"),
    ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
];

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The environment of a function's processes on the shared stack, with these changes.
pub(crate) fn environment(function: &str, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut environment = shared().function_env(function).expect("a function").clone();
    let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    environment.extend(changes);
    environment
}

/// Gives a fresh process of the function one event; what it answers.
///
/// # Panics
/// When the function reports an error, dies, or takes longer than a minute.
pub(crate) fn invoke(function: &str, environment: &BTreeMap<String, String>, event: &str) -> Value {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let (sender, answer) = mpsc::channel();
    let event = Arc::new(Mutex::new(Some(event.to_owned())));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (sender, event) = (sender.clone(), Arc::clone(&event));
            thread::spawn(move || serve(&stream, &event, &sender));
        }
    });
    let process = Command::new(binary(function))
        .env_clear()
        .envs(environment)
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let _process = Process(process.expect("the function starts"));
    let request: Request = answer.recv_timeout(Duration::from_mins(1)).expect("an answer within a minute");
    let body = serde_json::from_slice(&request.body).expect("JSON");
    assert!(request.target.ends_with("/response"), "{} {body}", request.target);
    body
}

/// Gives a fresh process of an HTTP function one event of API Gateway; its answer as a caller would get it.
pub(crate) fn invoke_http(function: &str, environment: &BTreeMap<String, String>, event: &str) -> Reply {
    let answer = invoke(function, environment, event);
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

/// What API Gateway makes of a request to api.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../events/api-health.json")).expect("JSON");
    event["httpMethod"] = method.into();
    event["path"] = path.into();
    event["body"] = body.into();
    event["pathParameters"]["proxy"] = path.trim_start_matches('/').into();
    for (name, value) in headers {
        event["headers"][*name] = (*value).into();
        event["multiValueHeaders"][*name] = json!([value]);
    }
    event.to_string()
}

/// Hands out the event, once, and reports what comes back. Whoever asks for another waits until it is ended.
fn serve(stream: &TcpStream, event: &Mutex<Option<String>>, answered: &Sender<Request>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        if request.method == "POST" {
            wire::answer(&mut &*stream, 202, &[], b"")?;
            let _nobody_waits = answered.send(request);
        } else if let Some(event) = event.lock().expect("no holder panics").take() {
            wire::answer(&mut &*stream, 200, &INVOCATION, event.as_bytes())?;
        }
    }
    Ok(())
}

/// The binary of a function, as the stack built it beside this one.
fn binary(function: &str) -> PathBuf {
    let own = env::current_exe().expect("a path");
    own.ancestors().nth(2).expect("target/debug").join(function)
}
