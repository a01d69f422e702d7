//! `cargo dev`: runs the stack in the foreground and shows each event.

use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Error, IoContext as _};
use crate::health::Watch;
use crate::options::Options;
use crate::output::{is_closed, print_line, print_progress, say};
use crate::reload::Reload;
use crate::session::Session;
use crate::stack::Stack;

/// The pause between two checks for edited files and for failed helper processes.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Starts a stack, prints how to use it, and runs until Ctrl-C or until the stack fails.
///
/// # Errors
/// Returns an error if the stack does not start, or fails later.
pub fn run(options: &Options) -> Result<(), Error> {
    let options = Options { progress: print_progress, events: print_line, ..options.clone() };
    let session = open_session(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    print_instructions(&stack, session.dir());
    watch(&stack, options.progress)
}

/// Opens a session that stops on Ctrl-C (SIGINT), SIGTERM and SIGHUP.
///
/// # Errors
/// Returns an error if another stack runs from the directory.
pub(crate) fn open_session(dir: &Path) -> Result<Arc<Session>, Error> {
    let session = Arc::new(Session::open(dir)?);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context(|| "listen for Ctrl-C".to_owned())?;
    let stopped_session = Arc::clone(&session);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            stopped_session.stop();
            exit(0);
        }
    });
    Ok(session)
}

/// Reloads edited code, until a helper process ends.
///
/// # Errors
/// Returns which helper process ended.
pub(crate) fn watch(stack: &Stack, progress: fn(&str)) -> Result<(), Error> {
    let mut reload = Reload::new(stack);
    let health = Watch::start(stack.summary().url.clone(), progress);
    loop {
        thread::sleep(POLL_INTERVAL);
        if is_closed() {
            return Err(Error::Stopping); // the reader of the output has gone: `cargo dev | head`
        }
        if let Some(error) = stack.check_helpers() {
            return Err(error);
        }
        if health.take_restart() {
            progress("starting the Runtime API again, because the stack still does not answer");
            stack.restart_runtime_api()?;
        }
        reload.check(stack, progress);
    }
}

fn print_instructions(stack: &Stack, dir: &Path) {
    let summary = stack.summary();
    let url = &summary.url;
    let key = &summary.api_key;
    say!(
        "
  base URL     {url}
  console      {url}/console
  reference    {url}/docs
  document     {url}/openapi.json
  API key      {key}
  admin token  {admin_token}

  eval \"$(cargo dev env)\"   # sets URL and KEY in another terminal
  cargo dev listen          # creates an endpoint and shows its webhooks in another terminal
  curl -i {url}/api/events \\
    -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \\
    -d '{{\"type\":\"order.created\",\"payload\":{{\"order_id\":1}}}}'

Each line below is a step of an event. Edited code is rebuilt and reloaded. The logs are in {logs}.
Ctrl-C stops everything. The next start has the same URL, API key and events; `cargo dev --fresh` begins anew.",
        admin_token = summary.admin_token,
        logs = dir.join("logs").display(),
    );
}
