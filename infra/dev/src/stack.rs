//! The whole local stack, from nothing to ready.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::aws::{Aws, REGION};
use crate::deploy::{self, Deployed, STACK_NAME};
use crate::emulator::Emulator;
use crate::environment;
use crate::error::Error;
use crate::functions::{Function, Functions, PROCESSES_PER_FUNCTION};
use crate::http::Client;
use crate::identity;
use crate::output::Output;
use crate::ports;
use crate::process::{ProcessId, wait_until};
use crate::runtime_api::RuntimeApi;
use crate::session::{self, Session};
pub use crate::state::Summary;
use crate::venv;
use crate::workspace::{self, Binaries};

/// How long the API may take to answer once everything runs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a stack is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The state directory: lock, `state.json`, logs. One stack at a time runs from it.
    pub dir: PathBuf,
    /// The emulator's port; `None` prefers 4566, `Some(0)` takes any free one.
    pub port: Option<u16>,
    /// Refuses webhook URLs on this machine, as in AWS.
    pub strict_endpoints: bool,
    /// Gets a line for each step of the start.
    pub progress: fn(&str),
    /// Gets a line for each step of an event, each warning and each error.
    pub events: fn(&str),
}

impl Options {
    /// Options for a stack beside any other: any free port, a state directory called `name` (or
    /// `name-2` ... while a stack runs from that one), and nothing on the screen.
    #[must_use]
    pub fn isolated(name: &str) -> Self {
        let stacks = environment::root().join(".dev/stacks");
        let mut dir = stacks.join(name);
        let mut n = 1;
        while session::is_held(&dir) {
            n += 1;
            dir = stacks.join(format!("{name}-{n}"));
        }
        Self { dir, port: Some(0), ..Self::default() }
    }
}

impl Default for Options {
    /// The stack of `cargo dev`, with nothing on the screen.
    fn default() -> Self {
        Self {
            dir: environment::root().join(".dev"),
            port: None,
            strict_endpoints: false,
            progress: |_| (),
            events: |_| (),
        }
    }
}

/// A running stack; dropping it ends every process it started.
///
/// A stack in a `static` is never dropped: its guard ends it when the process is gone.
#[derive(Debug)]
pub struct Stack {
    summary: Summary,
    binaries: Binaries,
    functions: Functions,
    emulator: Emulator,
    runtime_api: RuntimeApi,
    session: Arc<Session>,
}

impl Stack {
    /// Starts a stack and returns when it takes events.
    ///
    /// # Errors
    /// Whatever stops one of the steps; each error says what to do about it.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_in(&Arc::new(Session::open(&options.dir)?), options)
    }

    /// Starts a stack in a session that is already open.
    pub(crate) fn start_in(session: &Arc<Session>, options: &Options) -> Result<Self, Error> {
        Self::build_up(session, options).map_err(|error| {
            let reason = session.reason(error);
            session.end();
            reason
        })
    }

    fn build_up(session: &Arc<Session>, options: &Options) -> Result<Self, Error> {
        let progress = options.progress;
        if options.port.is_some() {
            ports::choose(options.port)?; // better now than after the build
        }
        let names = workspace::functions()?;

        let venv = venv::ensure(session, progress)?;
        progress("building the functions");
        let binaries = workspace::build(session)?;
        session.start_guard(workspace::pick(&binaries, "dev")?)?;

        let begun = Instant::now();
        let turn = ports::turn()?;
        let (port, runtime_port) = (ports::choose(options.port)?, ports::free()?);
        let runtime_api = RuntimeApi::start(session, &venv, runtime_port)?;
        let runtime_url = RuntimeApi::url(runtime_port);
        let emulator = Emulator::start(session, &venv, port, &names, &runtime_url)?;
        emulator.wait_until_ready()?;
        runtime_api.wait_until_ready()?;
        drop(turn);
        progress(&format!("the emulator runs on {} ({:.1?})", emulator.endpoint, begun.elapsed()));

        let begun = Instant::now();
        let aws = Aws::at(&emulator.endpoint);
        let deployed = Deployed::create(&aws, options.strict_endpoints)?;
        deploy::limit_queues(&aws, 2 * PROCESSES_PER_FUNCTION)?; // a killed process holds one for a while
        progress(&format!("template.yaml is deployed ({:.1?})", begun.elapsed()));

        let begun = Instant::now();
        let mut functions = Vec::new();
        for name in names {
            let mut environment = deploy::function_variables(&aws, &name)?;
            environment.extend(lambda_variables(&name, &runtime_api, &emulator));
            environment.extend(identity::credentials(&aws, &name)?);
            let binary = workspace::pick(&binaries, &name)?.to_path_buf();
            let output = Output::new(&name, &session.log(&name), options.events)?;
            functions.push(Function { name, binary, environment, output });
        }
        let stack = Self {
            summary: summary(&deployed, &functions, &emulator.endpoint, options.strict_endpoints)?,
            binaries,
            functions: Functions::start(session, functions),
            emulator,
            runtime_api,
            session: Arc::clone(session),
        };
        stack.wait_until_ready()?;
        progress(&format!("the functions answer ({:.1?})", begun.elapsed()));
        session.announce(&stack.summary)?;
        Ok(stack)
    }

    /// How to reach it.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The environment a function's processes have; `None` if there is no such function.
    #[must_use]
    pub fn function_env(&self, function: &str) -> Option<&BTreeMap<String, String>> {
        self.functions.environment(function)
    }

    /// The process numbers of a function at this moment.
    #[must_use]
    pub fn function_pids(&self, function: &str) -> Vec<u32> {
        self.functions.processes(function).iter().map(|process| process.pid).collect()
    }

    /// Kills every process of a function in the middle of whatever it does; each starts again at
    /// once. Returns how many were killed.
    pub fn kill_function(&self, function: &str) -> usize {
        self.functions.processes(function).iter().map(ProcessId::kill).count()
    }

    /// Invokes a function with an event, as its schedule would, and waits until it has ended.
    ///
    /// # Errors
    /// When there is no such function, or it failed.
    pub fn call_function(&self, function: &str, event: &Value) -> Result<(), Error> {
        let path = format!("functions/{STACK_NAME}-{function}/invocations");
        Aws::at(&self.emulator.endpoint).lambda("POST", &path, event).map(drop)
    }

    /// Where the lines of a function's processes are kept.
    #[must_use]
    pub fn function_log(&self, function: &str) -> PathBuf {
        self.session.log(function)
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The error that says so, once the emulator or the Runtime API is no longer running.
    pub(crate) fn failure(&self) -> Option<Error> {
        let died = self.emulator.died().or_else(|| self.runtime_api.died());
        died.map(|error| self.session.reason(error))
    }

    fn wait_until_ready(&self) -> Result<(), Error> {
        let client = Client::new(Duration::from_secs(2));
        let url = format!("{}/health", self.summary.url);
        let answers = || client.call("GET", &url, &[], "").is_ok_and(|answer| answer.status == 200);
        let answered = wait_until(PATIENCE, || self.failure().is_some() || answers());
        match self.failure() {
            Some(error) => Err(error),
            None if answered => Ok(()),
            None => Err(does_not_answer(&self.session.log("api"))),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.session.end();
        self.functions.join();
    }
}

fn does_not_answer(log: &Path) -> Error {
    Error::Process {
        name: "the function api".to_owned(),
        what: "did not answer GET /health within 20 s",
        last: session::last_line(log),
        log: log.to_path_buf(),
    }
}

fn summary(
    deployed: &Deployed,
    functions: &[Function],
    endpoint: &str,
    strict_endpoints: bool,
) -> Result<Summary, Error> {
    let url = deployed.url(endpoint)?;
    let admin_token = functions.iter().find_map(|function| function.environment.get("ADMIN_TOKEN"));
    Ok(Summary {
        console: format!("{url}/console"),
        url,
        admin_token: admin_token.cloned().unwrap_or_default(),
        emulator: endpoint.to_owned(),
        tables: deployed.tables(),
        queues: deployed.queues(),
        strict_endpoints,
    })
}

/// An emulator on a busy machine may let a client wait so many times as long as AWS.
const AWS_PATIENCE: &str = "3";

/// What Lambda itself sets for a function, where AWS is, and how patiently to wait for it.
fn lambda_variables(function: &str, runtime_api: &RuntimeApi, emulator: &Emulator) -> [(String, String); 7] {
    [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.for_function(function)),
        ("AWS_LAMBDA_FUNCTION_NAME", format!("{STACK_NAME}-{function}")),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ENDPOINT_URL", emulator.endpoint.clone()),
        ("AWS_PATIENCE", AWS_PATIENCE.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
