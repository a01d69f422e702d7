//! `cargo dev`: the stack in the foreground, each event on the screen.

use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client::Caller;
use crate::error::{Doing as _, Error};
use crate::output::to_screen;
use crate::reload::Reload;
use crate::session::Session;
use crate::stack::{Options, Stack};

/// How often edits and dead helpers are looked for.
const TICK: Duration = Duration::from_millis(500);

/// Starts a stack, prints how to use it, and stays until Ctrl-C or until the stack dies.
///
/// # Errors
/// When the stack does not start, or dies.
pub fn run(options: &Options) -> Result<(), Error> {
    let options = Options { progress: to_screen, events: to_screen, ..options.clone() };
    let session = open(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    greet(&stack, session.dir())?;
    stay(&stack, options.progress)
}

/// Opens the state directory, and from now on ends everything in it on Ctrl-C, TERM and HUP.
///
/// # Errors
/// When another stack runs from the directory.
pub(crate) fn open(dir: &Path) -> Result<Arc<Session>, Error> {
    let session = Arc::new(Session::open(dir)?);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).doing(|| "listen for Ctrl-C".to_owned())?;
    let ended = Arc::clone(&session);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            ended.end();
            exit(0);
        }
    });
    Ok(session)
}

/// Keeps a stack in step with the files it is made of, until one of its helpers dies.
///
/// # Errors
/// What died.
pub(crate) fn stay(stack: &Stack, progress: fn(&str)) -> Result<(), Error> {
    let mut reload = Reload::new(stack);
    loop {
        thread::sleep(TICK);
        if let Some(error) = stack.failure() {
            return Err(error);
        }
        reload.look(stack, progress);
    }
}

fn greet(stack: &Stack, dir: &Path) -> Result<(), Error> {
    let summary = stack.summary();
    let (url, admin) = (&summary.url, &summary.admin_token);
    let key = Caller::sign_up(url, "Local")?.key;
    let logs = dir.join("logs");
    println!(
        "
  URL          {url}
  API key      {key}
  admin token  {admin}

  curl -i {url}/api/events \\
    -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \\
    -d '{{\"type\":\"order.created\",\"payload\":{{\"order_id\":1}}}}'

Each event as it passes (edits reload, logs are in {logs}, Ctrl-C ends everything):",
        logs = logs.display(),
    );
    Ok(())
}
