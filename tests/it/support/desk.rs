//! Processes of api whose calls to AWS go through one proxy: as many at once as there are.

use dev::stack::Stack;
use serde_json::Value;

use super::client::{Reply, Tenant};
use super::proxy::Proxy;
use super::runtime::{Process, request};

/// The processes and their way to AWS.
pub(crate) struct Desk {
    pub(crate) proxy: Proxy,
    pub(crate) clerks: Vec<Clerk>,
}

/// One process of api.
pub(crate) struct Clerk(Process);

impl Desk {
    /// So many processes of a stack, each of which knows the tenant's key already.
    pub(crate) fn open(stack: &Stack, tenant: &Tenant, processes: usize) -> Self {
        let proxy = Proxy::before(stack);
        let mut environment = stack.function_env("api").expect("a function").clone();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), proxy.url());
        let clerk = |_| {
            let clerk = Clerk(Process::start("api", &environment));
            clerk.ask(tenant, "GET", "/api/inbox", "").expect(200);
            clerk
        };
        let clerks = (0..processes).map(clerk).collect();
        proxy.take_calls();
        proxy.take_half_units();
        Self { proxy, clerks }
    }
}

impl Clerk {
    /// Sends one request with the tenant's key.
    pub(crate) fn ask(&self, tenant: &Tenant, method: &str, path: &str, body: &str) -> Reply {
        let headers = [("X-API-Key", tenant.key.as_str()), ("Content-Type", "application/json")];
        self.0.invoke_http(&request(method, path, &headers, body))
    }

    /// Posts one of the verbs of the inbox.
    #[track_caller]
    pub(crate) fn act(&self, tenant: &Tenant, verb: &str, body: &Value) -> Value {
        self.ask(tenant, "POST", &format!("/api/inbox/{verb}"), &body.to_string()).expect(200).json()
    }
}
