//! A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (`v1`), with axum and ring.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use serde_json::Value;

const TOLERANCE_SECONDS: u64 = 5 * 60;

// ANCHOR: verify
/// Returns the id of the event, or an error if the request is not a webhook of the last minutes.
fn verify<'h>(secret: &hmac::Key, headers: &'h HeaderMap, body: &[u8]) -> Result<&'h str, &'static str> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let sent_at: u64 = timestamp.parse().map_err(|_| "no webhook-timestamp")?;
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    if now.abs_diff(sent_at) > TOLERANCE_SECONDS {
        return Err("webhook-timestamp is too far from now");
    }
    let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat(); // the exact bytes, before any JSON parser
    // During a rotation of the secret there are two signatures. hmac::verify takes the same time for all inputs.
    let is_genuine = header("webhook-signature").split(' ').any(|signature| {
        let given = signature.strip_prefix("v1,").and_then(|encoded| BASE64.decode(encoded).ok());
        given.is_some_and(|given| hmac::verify(secret, &content, &given).is_ok())
    });
    if is_genuine { Ok(id) } else { Err("no signature matches") }
}
// ANCHOR_END: verify

struct Receiver {
    secret: hmac::Key,
    /// The ids of the events that are done. In production: a table with a unique key, written in the transaction of the work.
    done: Mutex<HashSet<String>>,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let id = match verify(&receiver.secret, &headers, &body) {
        Ok(id) => id,
        Err(reason) => return (StatusCode::BAD_REQUEST, reason),
    };
    let mut done = receiver.done.lock().unwrap_or_else(PoisonError::into_inner);
    if done.insert(id.to_owned()) {
        // a retry after a lost answer has the same webhook-id
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        println!("received {} {id} {}", event["type"], event["payload"]);
    }
    (StatusCode::OK, "ok")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("WEBHOOK_SECRET").unwrap_or_default();
    let secret = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(&secret))?;
    if secret.is_empty() {
        return Err("set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)".into());
    }
    let port: u16 = env::var("PORT").as_deref().unwrap_or("3000").parse()?;
    let receiver =
        Receiver { secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), done: Mutex::new(HashSet::new()) };
    let app = Router::new().fallback(receive).with_state(Arc::new(receiver));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://127.0.0.1:{port}");
    Ok(axum::serve(listener, app).await?)
}
