//! What the repository promises about itself: pure domain files, small files, one TLS provider, links that lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::client::{Reply, Tenant};

/// The domain, as `shared/src/lib.rs` lists it.
const DOMAIN: [&str; 28] = [
    "timestamp",
    "tenant",
    "api_key",
    "rate_limit",
    "json",
    "event",
    "claim",
    "cloud_event",
    "keys",
    "sealed",
    "endpoint",
    "address",
    "breaker",
    "pace",
    "delivery",
    "schedule",
    "signature",
    "retry_schedule",
    "verdict",
    "attempt",
    "inbox",
    "job",
    "notice",
    "expiry",
    "problem",
    "backlog",
    "stats",
    "metrics",
];

/// What a pure file does not say.
const IMPURE: [&str; 12] = [
    "async ",
    "aws_",
    "tokio",
    "hyper",
    "std::env",
    "SystemTime",
    "Instant",
    "std::fs",
    "std::net::Tcp",
    "rand::rng",
    "crate::ports",
    "crate::adapters",
];

const MAX_LINES: usize = 400;
const MAX_MAIN_LINES: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path.as_ref()))
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Every file of ours with this ending.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.') || name == "target";
            if path.is_dir() && !hidden {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn domain_files_are_pure() {
    let is_domain = |path: &PathBuf| {
        let within = path.strip_prefix(root().join("shared/src")).ok();
        let first = within.and_then(|within| within.iter().next()).unwrap_or_default();
        DOMAIN.iter().any(|module| first == *module || first.to_string_lossy() == format!("{module}.rs"))
    };
    let is_test = |path: &PathBuf| path.ends_with("inbox/interleavings.rs");
    let domain: Vec<PathBuf> =
        files("rs").into_iter().filter(|path| is_domain(path) && !is_test(path)).collect();
    assert!(domain.len() >= DOMAIN.len(), "{domain:?}");
    for path in domain {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let impure = IMPURE.iter().find(|word| line.contains(*word));
            assert_eq!(impure, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn the_domain_is_listed_before_everything_else() {
    let text = read("shared/src/lib.rs");
    let modules: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules[..DOMAIN.len()], DOMAIN);
}

#[test]
fn files_stay_small() {
    for path in files("rs") {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let is_main = path.ends_with("src/main.rs") && path.starts_with(root().join("functions"));
        let most = if is_main { MAX_MAIN_LINES - 1 } else { MAX_LINES };
        assert!(lines <= most, "{} has {lines} lines (at most {most})", path.display());
    }
}

#[test]
fn there_is_one_tls_provider_and_one_http_stack() {
    let lock = read("Cargo.lock");
    for package in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{package}\"\n")), "{package} is in Cargo.lock");
    }
    assert_eq!(lock.matches("name = \"hyper\"\n").count(), 1);
    assert_eq!(lock.matches("name = \"rustls\"\n").count(), 1);
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for document in ["README.md", "docs/ARCHITECTURE.md", "docs/problems.md"] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_path_buf();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = target.split('#').next().unwrap();
            assert!(local.starts_with("http") || folder.join(local).exists(), "{document}: {target}");
        }
    }
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let readme = read("README.md");
    for command in ["cargo dev\n", "cargo test\n"] {
        assert!(readme.contains(&format!("```sh\n{command}```")), "{command}");
    }
    assert!(read(".ci/run").contains("cargo test\n"));
}

/// One curl of the README, its parts taken as a shell takes them.
struct Curl {
    path: String,
    headers: Vec<String>,
    body: String,
}

impl Curl {
    fn read(command: &str) -> Self {
        let quoted = |text: &str| {
            let quote = text.chars().next().expect("a word");
            text[1..].split_once(quote).expect("the other quote").0.to_owned()
        };
        let path = command.strip_prefix("\"$URL").and_then(|rest| rest.split_once('"')).expect("a URL").0;
        let data = command.rsplit_once("--data ").expect("data").1.trim();
        Self {
            path: path.to_owned(),
            headers: command.split("-H ").skip(1).map(quoted).collect(),
            body: data.strip_prefix('@').map_or_else(|| quoted(data), read),
        }
    }

    fn post(&self, tenant: &Tenant) -> Reply {
        let headers = self.headers.iter().filter(|header| *header != "X-API-Key: $KEY");
        let headers: Vec<_> = headers.map(|header| header.split_once(": ").expect("a header")).collect();
        assert_eq!(headers.len() + 1, self.headers.len(), "the key is one of them");
        tenant.call("POST", &self.path, &headers, self.body.clone())
    }
}

#[test]
fn the_lease_of_the_readme_is_given_and_acknowledged() {
    let readme = read("README.md");
    let commands =
        readme.lines().filter_map(|line| line.strip_prefix("curl ")).filter(|it| it.starts_with('"'));
    let [lease, mut acknowledge] = commands.map(Curl::read).collect::<Vec<_>>().try_into().ok().expect("two");
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let leased = lease.post(&tenant).expect(200).json();
    assert_eq!(leased["results"][0]["id"], id);
    acknowledge.body = acknowledge.body.replace("lse_...", leased["lease_id"].as_str().expect("a lease"));
    assert_eq!(acknowledge.post(&tenant).expect(200).json()["acked"], serde_json::json!([id]));
}

#[test]
fn the_requests_of_the_readme_get_the_reply_of_the_readme() {
    let readme = read("README.md");
    let commands = readme.replace("\\\n", " ");
    let curls: Vec<Curl> =
        commands.lines().filter_map(|line| line.strip_prefix("curl -i ")).map(Curl::read).collect();
    assert_eq!(curls.len(), 2);
    let expected =
        readme.lines().skip_while(|line| !line.starts_with("HTTP/1.1 ")).take(2).collect::<Vec<_>>();
    let members = |text: &str| {
        let body: serde_json::Value = serde_json::from_str(text).expect("JSON");
        body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
    };
    for curl in curls {
        let answer = curl.post(&Tenant::new());
        assert_eq!(expected[0], format!("HTTP/1.1 {}", answer.status), "{}", answer.text());
        assert_eq!(members(expected[1]), members(&answer.text()));
    }
}
