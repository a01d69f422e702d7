//! Starts and stops the local stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::aws::{Aws, REGION};
pub use crate::deploy::PARAMETERS;
use crate::deploy::{self, Deployed, STACK_NAME};
use crate::emulator::Emulator;
use crate::error::Error;
use crate::functions::{Function, Functions};
use crate::http::Client;
use crate::identity;
use crate::kept::{self, Kept};
use crate::options::{Options, RunBy};
use crate::output::Output;
use crate::ports;
use crate::process::{ProcessId, wait_until};
use crate::runtime_api::RuntimeApi;
use crate::session::{self, Session};
pub use crate::state::Summary;
use crate::venv;
use crate::workspace::{self, Binaries};

/// How long the API may take to answer after all processes have started.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the Python interpreter of the project's `.venv`, with the packages of the tests. Installs `.venv` first if it is absent.
///
/// # Errors
/// Returns the error of the installation. Its message says what to do.
pub fn find_python() -> Result<PathBuf, Error> {
    loop {
        match Session::open(&Options::isolated("python").dir) {
            Err(Error::AlreadyRunning(_)) => {} // another process took the directory first
            opened => return Ok(venv::ensure_for_tests(&opened?)?.join("python")),
        }
    }
}

/// A running stack. Dropping it stops every process that it started.
///
/// A stack in a `static` is never dropped. Its guard stops it when the owning process ends.
#[derive(Debug)]
pub struct Stack {
    summary: Summary,
    binaries: Binaries,
    functions: Functions,
    emulator: Emulator,
    runtime_api: RuntimeApi,
    session: Arc<Session>,
    /// The number of batches that an event source of a function may have under way.
    batches: BTreeMap<String, usize>,
}

impl Stack {
    /// Starts a stack, and returns when it accepts events.
    ///
    /// # Errors
    /// Returns the error of the step that failed. Its message says what to do.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_in(&Arc::new(Session::open(&options.dir)?), options)
    }

    /// Starts a stack in an open session. Stops the session if the start fails.
    pub(crate) fn start_in(session: &Arc<Session>, options: &Options) -> Result<Self, Error> {
        Self::run_steps(session, options).map_err(|error| {
            let explained = session.explain(error);
            session.stop();
            explained
        })
    }

    /// Runs all steps of a start: checks, Python tools, build, helpers, deployment, functions.
    fn run_steps(session: &Arc<Session>, options: &Options) -> Result<Self, Error> {
        let progress = options.progress;
        let mut kept = Kept::load(options)?;
        if options.port.or(kept.port).is_some() {
            kept.choose_port(options.port)?; // reports a busy port before the long build
        }
        let names = workspace::list_functions()?;
        let venv = venv::ensure(session, progress)?;

        progress("building the functions");
        let binaries = workspace::build(session)?;
        session.start_guard(workspace::find_binary(&binaries, "dev")?)?;

        let (emulator, runtime_api) = start_helpers(session, options, &venv, &names, &mut kept)?;
        let aws = Aws::at(&emulator.endpoint);
        let deployed = deploy_template(&aws, options, &mut kept)?;

        let started_at = Instant::now();
        let batches = names.iter().map(|name| (name.clone(), batches_at_once(options, name))).collect();
        let mut functions = Vec::new();
        for name in names {
            let mut environment = function_environment(&aws, &name, &runtime_api, &emulator)?;
            environment.insert("PUBLIC_URL".to_owned(), deployed.url(&emulator.endpoint)?);
            if let Some(instances) = environment.get_mut("MAX_INSTANCES") {
                *instances = (2 * options.processes_of(&name)).to_string(); // of both lanes
            }
            let binary = workspace::find_binary(&binaries, &name)?.to_path_buf();
            let output = Output::new(&name, &session.log(&name), options.events)?;
            let processes = if options.run_by == RunBy::Stack { options.processes_of(&name) } else { 0 };
            functions.push(Function { name, binary, environment, output, processes });
        }
        let mut stack = Self {
            summary: summarize(&aws, &deployed, &emulator.endpoint, options.strict_endpoints)?,
            binaries,
            functions: Functions::start(session, functions),
            emulator,
            runtime_api,
            session: Arc::clone(session),
            batches,
        };
        if options.run_by == RunBy::Stack {
            stack.wait_until_ready()?;
        }
        progress(&format!("the functions are ready ({:.1?})", started_at.elapsed()));
        if options.keeps_state {
            kept.ensure_key(&stack.summary.url)?;
            kept.save(&options.dir)?;
            stack.summary.api_key = kept.api_key;
        }
        session.publish(&stack.summary)?;
        Ok(stack)
    }

    /// Returns how to reach the stack.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Returns the environment variables of a function's processes. Returns `None` if there is no such
    /// function.
    #[must_use]
    pub fn function_env(&self, function: &str) -> Option<&BTreeMap<String, String>> {
        self.functions.environment(function)
    }

    /// Returns the numbers of the running processes of a function.
    #[must_use]
    pub fn function_pids(&self, function: &str) -> Vec<u32> {
        self.functions.processes(function).iter().map(|process| process.pid).collect()
    }

    /// Kills every process of a function with SIGKILL. Each process restarts at once. Returns how many
    /// were killed.
    pub fn kill_function(&self, function: &str) -> usize {
        self.functions.processes(function).iter().map(ProcessId::kill).count()
    }

    /// Invokes a function with an event, as its schedule does, and waits for the result.
    ///
    /// # Errors
    /// Returns an error if there is no such function, or if the invocation fails.
    pub fn call_function(&self, function: &str, event: &Value) -> Result<(), Error> {
        let path = format!("functions/{STACK_NAME}-{function}/invocations");
        Aws::at(&self.emulator.endpoint).lambda("POST", &path, event).map(drop)
    }

    /// Updates the `CloudFormation` stack to other code and these parameters, and waits until the update is complete. The
    /// running processes stay as they are. Returns the new variables of each function.
    ///
    /// # Errors
    /// Returns an error if the update fails.
    pub fn update(
        &self,
        code: &str,
        parameters: &[(&str, &str)],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
        let aws = Aws::at(&self.emulator.endpoint);
        deploy::update(&aws, code, parameters)?;
        deploy::limit_queues(&aws, |function| self.batches.get(function).copied().unwrap_or(1))?;
        let variables = |name: &String| Ok((name.clone(), deploy::get_function_variables(&aws, name)?));
        workspace::list_functions()?.iter().map(variables).collect()
    }

    /// Deletes the `CloudFormation` stack, and waits until it is gone.
    ///
    /// # Errors
    /// Returns an error if the deletion fails.
    pub fn delete(&self) -> Result<(), Error> {
        deploy::delete(&Aws::at(&self.emulator.endpoint))
    }

    /// Stops every process of the stack. What it logged stays.
    pub fn stop(&self) {
        self.session.stop();
    }

    /// Returns the path of a function's log.
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

    /// Starts the Runtime API again, with all calls that wait there forgotten.
    pub(crate) fn restart_runtime_api(&self) -> Result<(), Error> {
        self.runtime_api.restart(&self.session)
    }

    /// Returns an error if the emulator or the Runtime API has ended.
    pub(crate) fn check_helpers(&self) -> Option<Error> {
        let error = self.emulator.check_ended().or_else(|| self.runtime_api.check_ended())?;
        Some(self.session.explain(error))
    }

    fn wait_until_ready(&self) -> Result<(), Error> {
        let client = Client::new(Duration::from_secs(2));
        let url = format!("{}/health", self.summary.url);
        let is_ready = || client.call("GET", &url, &[], "").is_ok_and(|response| response.status == 200);
        let in_time = wait_until(START_TIMEOUT, || self.check_helpers().is_some() || is_ready());
        match self.check_helpers() {
            Some(error) => Err(error),
            None if in_time => Ok(()),
            None => Err(not_ready(&self.session.log("api"))),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.session.stop();
        self.functions.join();
    }
}

/// Starts the emulator and the Runtime API, and waits until both are ready.
fn start_helpers(
    session: &Session,
    options: &Options,
    venv: &Path,
    functions: &[String],
    kept: &mut Kept,
) -> Result<(Emulator, RuntimeApi), Error> {
    let started_at = Instant::now();
    let lock = ports::lock()?;
    let emulator_port = kept.choose_port(options.port)?;
    kept.port = Some(emulator_port);
    let state = options.keeps_state.then(|| kept::emulator_state(session.dir()));
    let runtime_port = ports::find_free()?;
    let runtime_api = RuntimeApi::start(session, venv, runtime_port)?;
    let runtime_url = RuntimeApi::url(runtime_port);
    let emulator = Emulator::start(session, venv, emulator_port, functions, &runtime_url, state.as_deref())?;
    emulator.wait_until_ready()?;
    runtime_api.wait_until_ready()?;
    drop(lock);
    let endpoint = &emulator.endpoint;
    (options.progress)(&format!("the emulator is ready at {endpoint} ({:.1?})", started_at.elapsed()));
    Ok((emulator, runtime_api))
}

/// Deploys the template, and limits the concurrency of its event source mappings.
fn deploy_template(aws: &Aws, options: &Options, kept: &mut Kept) -> Result<Deployed, Error> {
    let started_at = Instant::now();
    let before = kept.deployed.clone();
    let deployed = Deployed::create(aws, options.strict_endpoints, &mut kept.deployed)?;
    if kept.deployed != before {
        kept::discard_emulator_state(&options.dir);
    }
    deploy::limit_queues(aws, |function| batches_at_once(options, function))?;
    (options.progress)(&format!("template.yaml is deployed ({:.1?})", started_at.elapsed()));
    Ok(deployed)
}

/// Returns the number of batches that each event source hands to the processes of a function at the same time. In all it is twice
/// the number of processes, because the batch of a killed process stays in flight for a while; more would wait for a process while their
/// visibility timeout runs out. Delivery has two lanes.
fn batches_at_once(options: &Options, function: &str) -> usize {
    let processes = options.processes_of(function);
    if function == "delivery" { processes } else { 2 * processes }
}

/// Returns all environment variables of a function's processes: those of the template, those of
/// Lambda, and the credentials.
fn function_environment(
    aws: &Aws,
    function: &str,
    runtime_api: &RuntimeApi,
    emulator: &Emulator,
) -> Result<BTreeMap<String, String>, Error> {
    let mut environment = deploy::get_function_variables(aws, function)?;
    environment.extend(lambda_variables(function, runtime_api, emulator));
    environment.extend(identity::create_credentials(aws, function)?);
    Ok(environment)
}

fn not_ready(log: &Path) -> Error {
    Error::Process {
        name: "the function api".to_owned(),
        what: "did not answer GET /health with 200 within 20 s",
        last: session::read_last_line(log),
        log: log.to_path_buf(),
    }
}

/// Collects how to reach the stack.
fn summarize(
    aws: &Aws,
    deployed: &Deployed,
    endpoint: &str,
    strict_endpoints: bool,
) -> Result<Summary, Error> {
    let url = deployed.url(endpoint)?;
    let admin_token = aws.secret(deployed.output("AdminTokenSecretArn")?)?;
    Ok(Summary {
        url,
        api_key: String::new(),
        admin_token,
        emulator: endpoint.to_owned(),
        tables: deployed.tables(),
        queues: deployed.queues(),
        strict_endpoints,
    })
}

/// Multiplies the functions' timeouts of AWS calls. The emulator on a busy machine is slower than AWS.
const AWS_PATIENCE: &str = "3";

/// Returns the variables that Lambda itself sets, plus the URL of the emulator and `AWS_PATIENCE`.
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
