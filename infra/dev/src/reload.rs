//! Edits reload: changed files are built, and the processes of changed binaries replaced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::environment;
use crate::error::Error;
use crate::stack::Stack;
use crate::workspace;

/// What a binary is made of, and the template.
const WATCHED: [&str; 5] = ["functions", "shared", "infra/openapi.json", "Cargo.toml", "template.yaml"];

/// When files were last modified.
type Times = BTreeMap<PathBuf, SystemTime>;

/// The sources and the binaries as they were at the last look.
#[derive(Debug)]
pub(crate) struct Reload {
    sources: Times,
    binaries: Times,
}

impl Reload {
    /// Takes a first look.
    pub(crate) fn new(stack: &Stack) -> Self {
        let binaries = stack.binaries().values();
        Self { sources: sources(&environment::root()), binaries: times(binaries.cloned()) }
    }

    /// Looks again, and brings the stack up to date with what was edited; `progress` gets a line
    /// for each step. While the code does not compile, the functions stay as they are.
    pub(crate) fn look(&mut self, stack: &Stack, progress: fn(&str)) {
        let now = sources(&environment::root());
        let changed = differences(&self.sources, &now);
        self.sources = now;
        let (template, code): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|path| path.ends_with("template.yaml"));
        if !template.is_empty() {
            progress("template.yaml changed: Ctrl-C and `cargo dev` again deploy it");
        }
        if let Some(first) = code.first() {
            progress(&format!("{} changed: building", first.display()));
            progress(&match self.replace(stack) {
                Ok(done) => done,
                Err(Error::Build) => "it does not compile: the functions stay as they were".to_owned(),
                Err(error) => error.to_string(),
            });
        }
    }

    fn replace(&mut self, stack: &Stack) -> Result<String, Error> {
        let begun = Instant::now();
        let binaries = workspace::build(stack.session())?;
        let now = times(binaries.values().cloned());
        let changed = differences(&self.binaries, &now);
        self.binaries = now;
        let replaced = binaries.iter().filter(|(_, path)| changed.contains(path));
        let replaced: Vec<&str> =
            replaced.map(|(name, _)| name.as_str()).filter(|name| stack.functions().replace(name)).collect();
        Ok(match replaced.as_slice() {
            [] => "built: no function changed".to_owned(),
            names => format!("restarted {} ({:.1?})", names.join(", "), begun.elapsed()),
        })
    }
}

fn sources(root: &Path) -> Times {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = WATCHED.iter().map(|name| root.join(name)).collect();
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.push(path),
        }
    }
    let relative = |path: PathBuf| path.strip_prefix(root).map(Path::to_path_buf).unwrap_or(path);
    times(files.into_iter()).into_iter().map(|(path, time)| (relative(path), time)).collect()
}

fn times(files: impl Iterator<Item = PathBuf>) -> Times {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    files.filter_map(|path| modified(&path).map(|time| (path, time))).collect()
}

/// The files that were changed, added or removed.
fn differences(before: &Times, now: &Times) -> Vec<PathBuf> {
    let changed = now.iter().filter(|(path, time)| before.get(*path) != Some(time));
    let removed = before.iter().filter(|(path, _)| !now.contains_key(*path));
    changed.chain(removed).map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_added_and_removed_files_are_differences() {
        let times = |files: &[(&str, u64)]| -> Times {
            let at = |s| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(s);
            files.iter().map(|(path, s)| (PathBuf::from(path), at(*s))).collect()
        };
        let before = times(&[("same", 1), ("changed", 1), ("removed", 1)]);
        let now = times(&[("same", 1), ("changed", 2), ("added", 1)]);
        assert_eq!(differences(&before, &now), ["added", "changed", "removed"].map(PathBuf::from));
    }

    #[test]
    fn the_sources_of_this_project_are_watched() {
        let sources = sources(&environment::root());
        assert!(sources.contains_key(Path::new("template.yaml")));
        assert!(sources.contains_key(Path::new("functions/ingest/src/main.rs")));
    }
}
