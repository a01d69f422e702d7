//! The cargo workspace: the list of functions, the build, and the built binaries.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::environment;
use crate::error::{Error, IoContext as _};
use crate::session::Session;

/// Returns the names of the functions. Each folder of `functions/` is a function, and its binary
/// has the same name.
pub(crate) fn list_functions() -> Result<Vec<String>, Error> {
    let folder = environment::root().join("functions");
    let entries = fs::read_dir(&folder).context(|| format!("list {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The binaries of the workspace by name.
pub(crate) type Binaries = BTreeMap<String, PathBuf>;

/// Builds every binary of the workspace and prints the compiler's messages.
///
/// It selects the same features as `cargo test`, so neither command rebuilds the work of the other.
pub(crate) fn build(session: &Session) -> Result<Binaries, Error> {
    let mut command = environment::cargo_command();
    command.args(["build", "--workspace", "--bins"]);
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut cargo = session.spawn(&mut command)?;
    let output = cargo.stdout.take().map(BufReader::new);
    let messages = output.into_iter().flat_map(BufReader::lines).map_while(Result::ok);
    let binaries = messages.filter_map(|message| parse_artifact(&message)).collect();
    let status = cargo.wait().context(|| "wait for cargo".to_owned())?;
    if status.success() { Ok(binaries) } else { Err(Error::Build) }
}

/// Returns name and path of the binary, if this JSON message of cargo reports one.
fn parse_artifact(message: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: PathBuf,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    Some((artifact.target.name, artifact.executable))
}

/// Returns the path of the binary `name`.
pub(crate) fn find_binary<'a>(binaries: &'a Binaries, name: &str) -> Result<&'a Path, Error> {
    binaries.get(name).map(PathBuf::as_path).ok_or_else(|| Error::Io {
        action: format!("find the binary `{name}` in the output of cargo build"),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_artifact_with_an_executable_is_a_binary() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"ingest","kind":["bin"]},"executable":"/t/debug/ingest","fresh":true}"#;
        assert_eq!(parse_artifact(line), Some(("ingest".to_owned(), PathBuf::from("/t/debug/ingest"))));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"triggers"},"executable":null}"#;
        assert_eq!(parse_artifact(library), None);
        assert_eq!(parse_artifact(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
