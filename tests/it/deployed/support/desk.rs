//! Processes of api whose calls to AWS go through one proxy: as many at once as there are.

use dev::stack::Stack;
use serde_json::Value;

use super::proxy::Proxy;
use super::runtime::{Process, request};
use crate::support::client::{Reply, Tenant};

/// The processes and their way to AWS.
pub(crate) struct Desk {
    pub(crate) proxy: Proxy,
    pub(crate) clerks: Vec<Clerk>,
}

/// One process of api.
pub(crate) struct Clerk(Process);

impl Desk {
    /// So many processes of a stack.
    pub(crate) fn start(stack: &Stack, processes: usize) -> Self {
        let proxy = Proxy::before(stack);
        let mut environment = stack.function_env("api").expect("a function").clone();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), proxy.url());
        let clerks = (0..processes).map(|_| Clerk(Process::start("api", &environment))).collect();
        Self { proxy, clerks }
    }

    /// So many processes of a stack, each of which knows the tenant's key already.
    pub(crate) fn open(stack: &Stack, tenant: &Tenant, processes: usize) -> Self {
        let desk = Self::start(stack, processes);
        for clerk in &desk.clerks {
            clerk.ask(tenant, "GET", "/api/inbox", "").expect(200);
        }
        desk.proxy.take_calls();
        desk.proxy.take_half_units();
        desk
    }
}

impl Clerk {
    /// Sends one request with the tenant's key.
    pub(crate) fn ask(&self, tenant: &Tenant, method: &str, path: &str, body: &str) -> Reply {
        self.send(tenant, method, path, &[], body)
    }

    /// Sends one request with the tenant's key, under this name.
    pub(crate) fn ask_as(
        &self,
        tenant: &Tenant,
        method: &str,
        path: &str,
        name: &str,
        body: &Value,
    ) -> Reply {
        self.send(tenant, method, path, &[("Idempotency-Key", name)], &body.to_string())
    }

    fn send(&self, tenant: &Tenant, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let own = [("X-API-Key", tenant.key.as_str()), ("Content-Type", "application/json")];
        self.0.invoke_http(&request(method, path, &[&own, headers].concat(), body))
    }

    /// Posts one of the verbs of the inbox.
    #[track_caller]
    pub(crate) fn act(&self, tenant: &Tenant, verb: &str, body: &Value) -> Value {
        self.ask(tenant, "POST", &format!("/api/inbox/{verb}"), &body.to_string()).expect(200).json()
    }
}
