//! The memory stack: the six functions over ports in memory, in real time, behind an HTTP server on this machine. It
//! starts in milliseconds and needs no other process.
//!
//! It differs from the deployed template in what only AWS does: roles, throttling, timeouts of functions, and the limits
//! of API Gateway and Lambda on sizes.

mod functions;
mod gateway;
pub(crate) mod json;
mod queue;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use ingest::handler::Ingest;
use serde_json::Value;
use store::item::Key;
use store::testing::table::MemoryTable;
use store::testing::tables::MemoryTables;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::interval;

pub(crate) use self::functions::Live;
use self::functions::Visits;
use self::gateway::{Gateway, STAGE};

/// How often the scheduler comes by itself: the rate of its schedule in the template.
const SCHEDULE: Duration = Duration::from_mins(1);

/// A running memory stack. It ends with this process.
pub(crate) struct MemoryStack {
    url: String,
    ports: Live,
    /// Asks the scheduler to come, and to send a word here when it is done.
    visits: UnboundedSender<Sender<()>>,
}

/// Returns the memory stack that stories share; each brings its own tenants.
pub(crate) fn memory_stack() -> &'static MemoryStack {
    static SHARED: OnceLock<MemoryStack> = OnceLock::new();
    SHARED.get_or_init(MemoryStack::start)
}

impl MemoryStack {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let tables = MemoryTables::default();
        for table in [&tables.control, &tables.limits, &tables.claims, &tables.events, &tables.schedule] {
            table.show_writes_at_once(); // as the emulator does
        }
        let (visits, wanted) = unbounded_channel();
        let ports = functions::ports(tables);
        thread::spawn({
            let ports = ports.clone();
            move || run(listener, &ports, wanted)
        });
        Self { url: format!("http://127.0.0.1:{port}{STAGE}"), ports, visits }
    }

    /// Returns a further instance of ingest, which shares nothing but the ports with the others.
    pub(crate) fn ingest(&self) -> Ingest<Live> {
        functions::ingest(&self.ports)
    }

    /// Returns the URL of the API.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lets the scheduler come once, and waits until it is done.
    pub(crate) fn run_scheduler(&self) {
        let (done, ended) = channel();
        self.visits.send(done).expect("the stack runs");
        ended.recv().expect("the scheduler ends");
    }

    /// Returns an item as `DynamoDB` JSON.
    pub(crate) fn item(&self, table: &str, key: &Key) -> Option<Value> {
        self.table(table).item(key).map(|item| json::item_to_json(&item))
    }

    /// Returns every item of a partition as `DynamoDB` JSON.
    pub(crate) fn partition(&self, table: &str, pk: &str) -> Vec<Value> {
        self.table(table).partition(pk).iter().map(json::item_to_json).collect()
    }

    /// Returns every item of a table as `DynamoDB` JSON.
    pub(crate) fn items(&self, table: &str) -> Vec<Value> {
        self.table(table).items().iter().map(json::item_to_json).collect()
    }

    /// Puts an item that is given as `DynamoDB` JSON.
    pub(crate) fn put(&self, table: &str, item: &Value) {
        self.table(table).put_item(json::item_from_json(item));
    }

    fn table(&self, name: &str) -> &MemoryTable {
        match name {
            "Control" => &self.ports.tables.control,
            "Limits" => &self.ports.tables.limits,
            "Claims" => &self.ports.tables.claims,
            "Events" => &self.ports.tables.events,
            "Schedule" => &self.ports.tables.schedule,
            other => panic!("no table is called {other}"),
        }
    }
}

/// Runs the functions and their server until this process ends.
fn run(listener: TcpListener, ports: &Live, wanted: UnboundedReceiver<Sender<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        functions::start_behind_queues(ports);
        tokio::task::spawn_local(schedule(ports.clone(), wanted));
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        Gateway::new(ports).serve(listener).await;
    });
}

/// Lets the scheduler come regularly, and whenever it is wanted.
async fn schedule(ports: Live, mut wanted: UnboundedReceiver<Sender<()>>) {
    let visits = Visits::start(&ports);
    let mut regularly = interval(SCHEDULE);
    loop {
        let done = tokio::select! {
            _ = regularly.tick() => None,
            done = wanted.recv() => done,
        };
        visits.come().await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}
