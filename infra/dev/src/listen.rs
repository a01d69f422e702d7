//! `cargo dev listen`: creates an endpoint of its own, and shows and verifies each webhook that arrives.

mod endpoint;
mod format;
mod forward;
mod webhook;

use std::path::PathBuf;
use std::process::exit;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use ureq::http::StatusCode;

use crate::background;
use crate::client::ApiClient;
use crate::environment;
use crate::error::{Error, IoContext as _};
use crate::options::Options;
use crate::output::{is_closed, note, say};
use crate::receiver::{self, Answer, Request};

use endpoint::Endpoint;
pub use forward::Target;
use webhook::Webhook;

/// The options of `cargo dev listen`.
#[derive(Debug)]
pub struct Listen {
    /// The state directory of the stack.
    pub dir: PathBuf,
    /// Where each verified webhook is forwarded to.
    pub forward: Option<Target>,
    /// The patterns of the endpoint. Empty: the pattern `*`.
    pub types: Vec<String>,
    /// Whether each webhook is a line of JSON.
    pub json: bool,
}

impl Default for Listen {
    /// Returns the options of a plain `cargo dev listen`.
    fn default() -> Self {
        Self { dir: Options::default().dir, forward: None, types: Vec::new(), json: false }
    }
}

/// What the main thread waits for.
enum Message {
    /// A webhook was received and answered.
    Received(Box<Webhook>),
    /// A signal asks for the end.
    Stop,
}

/// Shows the webhooks of an endpoint until SIGINT, SIGTERM or SIGHUP. Then removes the endpoint.
///
/// # Errors
/// Returns an error if no stack runs, or if it does not create the endpoint.
pub fn run(options: Listen) -> Result<(), Error> {
    let summary = background::find_running(&options.dir).ok_or(Error::NotRunning(options.dir))?;
    if summary.strict_endpoints {
        return Err(Error::Strict);
    }
    let (sender, messages) = channel();
    stop_on_signal(sender.clone())?;

    let path = endpoint::choose_path();
    let secret = Arc::new(OnceLock::<String>::new());
    let (own_path, own_secret, forward) = (path.clone(), Arc::clone(&secret), options.forward);
    let address = receiver::serve(move |request| {
        if request.path != own_path {
            return Answer::new(StatusCode::NOT_FOUND, "not a path of this `cargo dev listen`");
        }
        match request.method.as_str() {
            "GET" => Answer::new(StatusCode::OK, endpoint::PRESENCE),
            "POST" => receive(&request, own_secret.wait(), forward.as_ref(), &sender),
            _ => Answer::new(StatusCode::METHOD_NOT_ALLOWED, "use POST"),
        }
    })?;

    let api = ApiClient::with_key(&summary.url, &summary.api_key);
    endpoint::remove_stale(&api)?;
    let endpoint = Endpoint::create(api, &format!("{address}{path}"), &options.types)?;
    secret.get_or_init(|| endpoint.secret.clone());
    note!("Webhooks are shown here. Ctrl-C ends and removes the endpoint.");

    let colours = !options.json && environment::allows_colours();
    for message in messages {
        let Message::Received(webhook) = message else { break };
        say!("{}", if options.json { format::json(&webhook) } else { format::text(&webhook, colours) });
        if is_closed() {
            break; // the reader of the output has gone: `cargo dev listen | head`
        }
    }
    Ok(())
}

/// Verifies a webhook, forwards it if it verifies, and passes it to the main thread. Returns the answer.
fn receive(request: &Request, secret: &str, forward: Option<&Target>, sender: &Sender<Message>) -> Answer {
    let (webhook, answer) = webhook::receive(request, secret, forward);
    let _stopping = sender.send(Message::Received(Box::new(webhook)));
    answer
}

/// Sends [`Message::Stop`] at the first signal. A second one ends the process at once.
fn stop_on_signal(sender: Sender<Message>) -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context(|| "listen for Ctrl-C".to_owned())?;
    thread::spawn(move || {
        for (n, _) in signals.forever().enumerate() {
            if n > 0 || sender.send(Message::Stop).is_err() {
                exit(1);
            }
        }
    });
    Ok(())
}
