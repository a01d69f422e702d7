//! The project as cargo sees it: which functions there are, and their binaries.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::environment;
use crate::error::{Doing as _, Error};
use crate::session::Session;

/// The names of the functions: every folder of `functions/` is one, and its binary is called so.
pub(crate) fn functions() -> Result<Vec<String>, Error> {
    let folder = environment::root().join("functions");
    let entries = fs::read_dir(&folder).doing(|| format!("list {}", folder.display()))?;
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

/// Builds every binary with the features `cargo test` uses, so that neither undoes the other's
/// work. The compiler's messages go to the screen.
pub(crate) fn build(session: &Session) -> Result<Binaries, Error> {
    let mut command = environment::cargo();
    command.args(["build", "--workspace", "--bins"]);
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut cargo = session.spawn(&mut command)?;
    let messages = cargo.stdout.take().map(BufReader::new);
    let lines = messages.into_iter().flat_map(BufReader::lines).map_while(Result::ok);
    let binaries = lines.filter_map(|line| binary(&line)).collect();
    let status = cargo.wait().doing(|| "wait for cargo".to_owned())?;
    if status.success() { Ok(binaries) } else { Err(Error::Build) }
}

/// The binary a line of cargo's JSON messages tells about, if it does.
fn binary(message: &str) -> Option<(String, PathBuf)> {
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

/// The binary called `name`.
pub(crate) fn pick<'a>(binaries: &'a Binaries, name: &str) -> Result<&'a Path, Error> {
    binaries.get(name).map(PathBuf::as_path).ok_or_else(|| Error::Io {
        doing: format!("find the binary of functions/{name}"),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_artifact_with_an_executable_names_a_binary() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"ingest","kind":["bin"]},"executable":"/t/debug/ingest","fresh":true}"#;
        assert_eq!(binary(line), Some(("ingest".to_owned(), PathBuf::from("/t/debug/ingest"))));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"triggers"},"executable":null}"#;
        assert_eq!(binary(library), None);
        assert_eq!(binary(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
