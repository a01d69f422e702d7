//! The HTTP server of a memory stack: passes each request to the function that the template names for it, as API Gateway
//! does.

use std::convert::Infallible;
use std::rc::Rc;

use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ingest::handler::Ingest;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::functions::{self, ApiInstance, Live, Pool};
use crate::support::template;

/// The stage of the template's API, the first segment of every path.
pub(super) const STAGE: &str = "/v1";

/// The functions behind the server.
pub(super) struct Gateway {
    ingest: Pool<Ingest<Live>>,
    api: Pool<ApiInstance>,
}

impl Gateway {
    /// Starts the functions that answer HTTP.
    pub(super) fn new(ports: &Live) -> Self {
        Self { ingest: Pool::new(|| functions::ingest(ports)), api: Pool::new(|| functions::api(ports)) }
    }

    /// Serves every connection of a listener.
    pub(super) async fn serve(self, listener: TcpListener) {
        let gateway = Rc::new(self);
        while let Ok((stream, _)) = listener.accept().await {
            let gateway = Rc::clone(&gateway);
            let service = service_fn(move |request| {
                let gateway = Rc::clone(&gateway);
                async move { Ok::<_, Infallible>(gateway.answer(request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            spawn_local(async move {
                let _client_left = connection.await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = decode(request.uri().path());
        let Some(path) = path.strip_prefix(STAGE) else { return refused() };
        let request_id = request_id();
        // A function gets the whole request.
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(Body::new(body), usize::MAX).await else { return refused() };
        match template::find_function(parts.method.as_str(), path) {
            Some("IngestFunction") => {
                let ingest = self.ingest.take().await;
                let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let target = format!("{path}{query}");
                let answer = ingest.instance().handle(&target, &parts.headers, &body, &request_id);
                Box::pin(answer).await.map(Body::from)
            }
            Some(_) => {
                let busy = self.api.take().await;
                let ApiInstance { api, router } = busy.instance();
                let request = Request::from_parts(parts, Body::from(body));
                api::router::answer(api, router.clone(), request, path, &request_id).await
            }
            None => refused(),
        }
    }
}

/// Answers as API Gateway does to a method that the template does not list.
fn refused() -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"message":"Missing Authentication Token"}"#));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// Decodes the path, as the gateway does before it hands it on.
fn decode(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns an id of the form that Lambda gives to an invocation.
fn request_id() -> String {
    let digits = format!("{:032x}", rand::random::<u128>());
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
