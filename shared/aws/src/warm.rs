//! Opens the connections that the first request needs while Lambda starts the function: a function has a full CPU then, and no
//! client waits.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join;
use tokio::time::timeout;

use crate::clients::Clients;

/// The longest time of both calls. Lambda ends a start after 10 s.
const MAX_TIME: Duration = Duration::from_secs(2);

/// The key of an item that never exists.
const ABSENT: &str = "warm";

/// Calls each service once. The calls change nothing: one reads an absent item, and the other sends a batch without a message,
/// which SQS refuses. What they answer does not matter.
pub(crate) async fn warm(clients: &Clients, table: &str, queue: &str) {
    let key = || AttributeValue::S(ABSENT.to_owned());
    let read = clients.dynamodb.get_item().table_name(table).key("pk", key()).key("sk", key()).send();
    let sent = clients.sqs.send_message_batch().queue_url(queue).set_entries(Some(Vec::new())).send();
    let _ = timeout(MAX_TIME, join(read, sent)).await;
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::clients::emulator_clients;

    /// A service that answers `{}` to everything, and counts its connections.
    struct Service {
        endpoint: String,
        connections: Arc<AtomicUsize>,
    }

    impl Service {
        /// Starts a service that closes each connection after this many answers.
        fn closing_after(answers: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let connections = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&connections);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    thread::spawn(move || answer(&stream, answers));
                }
            });
            Self { endpoint, connections }
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

    /// Answers this many requests, reads one more, and closes the connection without an answer.
    fn answer(stream: &TcpStream, answers: usize) {
        let mut reader = BufReader::new(stream);
        for n in 0..=answers {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or_default() == 0 {
                    return;
                }
                let line = line.trim().to_ascii_lowercase();
                if let Some(text) = line.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            reader.by_ref().take(length).read_to_end(&mut Vec::new()).unwrap();
            if n < answers {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n";
                (&mut &*stream).write_all(format!("{head}{{}}").as_bytes()).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn the_first_calls_after_it_open_no_connection() {
        let service = Service::closing_after(10);
        let clients = emulator_clients(&service.endpoint).await;
        warm(&clients, "table", "http://queue").await;
        let opened = service.connections();
        assert_eq!(opened, 2, "one for each service");
        clients.dynamodb.describe_limits().send().await.unwrap();
        clients.sqs.list_queues().send().await.unwrap();
        assert_eq!(service.connections(), opened);
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_only_costs_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients = emulator_clients(&format!("http://{}", listener.local_addr().unwrap())).await;
        let began = tokio::time::Instant::now();
        warm(&clients, "table", "http://queue").await;
        assert!(began.elapsed() < MAX_TIME * 2);
    }

    #[tokio::test]
    async fn a_connection_that_ends_before_an_answer_is_replaced_without_an_error() {
        let service = Service::closing_after(1);
        let clients = emulator_clients(&service.endpoint).await;
        for calls in 1..=3 {
            clients.dynamodb.describe_limits().send().await.unwrap();
            assert_eq!(service.connections(), calls, "each connection answers one call");
        }
    }
}
