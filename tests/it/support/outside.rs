//! The real outbound client in a world of its own: names, authorities and connections are the test's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use triggers::adapters::webhooks::{WebhookClient, World};
use triggers::endpoint::EndpointUrl;
use triggers::ports::{WebhookRequest, WebhookSender};
use triggers::testing::builders::START;
use triggers::verdict::Answer;

use super::dns::NameServer;

/// About as large as a webhook can be.
const LARGE: usize = 256 * 1024;

/// A world in which every connection goes to one port of this machine.
pub(crate) struct Outside {
    pub(crate) client: WebhookClient,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
    _name_server: NameServer,
}

impl Outside {
    /// Names are told by the rule, certificates vouched for by these authorities, connections made to this port.
    pub(crate) fn new(
        rule: impl Fn(&str) -> Vec<IpAddr> + Send + 'static,
        authorities: Vec<Vec<u8>>,
        port: u16,
    ) -> Self {
        let name_server = NameServer::start(rule);
        let dialled = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&dialled);
        let dial = Arc::new(move |address: SocketAddr| {
            noted.lock().expect("no holder panics").push(address);
            if address.ip().is_loopback() {
                return address; // a receiver of the test
            }
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        });
        let world = World { name_server: name_server.address, authorities, dial };
        let client = WebhookClient::in_world(world).expect("a client");
        Self { client, dialled, _name_server: name_server }
    }

    /// What a small post to this URL is answered.
    pub(crate) async fn post(&self, url: EndpointUrl) -> Answer {
        self.client.post(&WebhookRequest { url, headers: Vec::new(), body: b"{}".to_vec() }, START).await
    }

    /// What a large post to this URL is answered.
    pub(crate) async fn post_large(&self, url: EndpointUrl) -> Answer {
        let body = vec![b'x'; LARGE];
        self.client.post(&WebhookRequest { url, headers: Vec::new(), body }, START).await
    }

    /// The addresses to which connections were made, as the client meant them.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().expect("no holder panics").clone()
    }
}
