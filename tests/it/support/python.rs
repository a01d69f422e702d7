//! Python with the packages that receivers in the wild use, from the project's own `.venv`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dev::stack::find_python;
use serde_json::{Value, json};

use super::receiver::Received;

/// The interpreter of `.venv`.
static PYTHON: LazyLock<PathBuf> =
    LazyLock::new(|| find_python().unwrap_or_else(|error| panic!("no Python: {error}")));

/// Checks a webhook by the packages `standardwebhooks` and `svix` from `PyPI`, which must agree.
const VERIFY: &str = "
import base64, json, sys
import standardwebhooks, svix.webhooks
call = json.load(sys.stdin)
body = base64.b64decode(call['body'])
standardwebhooks.Webhook(call['secret']).verify(body, call['headers'])
svix.webhooks.Webhook(call['secret']).verify(body, call['headers'])
print('genuine')
";

/// What a receiver finds of a webhook whose body is this: `genuine`, or why it is refused.
pub(crate) fn verify(secret: &str, webhook: &Received, body: &[u8]) -> Result<String, String> {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| (*name, webhook.header(name))).collect();
    run(VERIFY, &json!({"secret": secret, "headers": headers, "body": BASE64.encode(body)}))
}

/// Runs a script that reads `input` as JSON from its standard input; what it printed, or what it died of.
pub(crate) fn run(script: &str, input: &Value) -> Result<String, String> {
    let mut child = Command::new(&*PYTHON)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().expect("its standard input");
    stdin.write_all(input.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
