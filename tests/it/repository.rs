//! What the repository promises about itself: pure rules, small files, one TLS provider, links that lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::root;

/// README is one screen and a half.
const MAX_README_LINES: usize = 90;
const MAX_LINES: usize = 400;
const MAX_MAIN_LINES: usize = 60;
const MAX_FUNCTION_LINES: usize = 40;

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
            let hidden = ["target", "node_modules"].iter().any(|skipped| name == *skipped)
                || name.to_string_lossy().starts_with('.');
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

/// Returns the line number and the length of each function of a file. It relies on the format of `cargo fmt`: a function
/// ends with the first brace in the column in which it begins.
fn functions(source: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        words.contains(&"fn") && !line.trim_start().starts_with("//")
    };
    let starts = lines.iter().enumerate().filter(|(_, line)| begins(line));
    let length = |(start, line): (usize, &&str)| {
        let column = indentation(line);
        let is_end = |next: &&str| indentation(next) == column && next.trim_start().starts_with('}');
        let end = lines[start..].iter().position(is_end).unwrap_or_default();
        (start + 1, if line.trim_end().ends_with([';', '}']) { 1 } else { end + 1 })
    };
    starts.map(length).collect()
}

/// What the rules must not depend on, not even through another crate.
const IMPURE: [&str; 7] = ["aws-", "aws_", "futures", "hyper", "lambda_", "tokio", "tracing"];

#[test]
fn the_rules_depend_on_nothing_that_acts() {
    let arguments = ["tree", "--offline", "--package", "domain", "--edges", "normal", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    let tree = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.lines().next().is_some_and(|line| line.starts_with("domain v")), "{tree}");
    for line in tree.lines() {
        assert!(!IMPURE.iter().any(|name| line.starts_with(name)), "domain depends on {line}");
    }
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
fn functions_of_the_product_stay_short() {
    let product = ["functions", "shared"].map(|folder| root().join(folder));
    let mut longest = 0;
    for path in files("rs").into_iter().filter(|path| product.iter().any(|folder| path.starts_with(folder))) {
        for (line, length) in functions(&fs::read_to_string(&path).unwrap()) {
            let place = format!("{}:{line}", path.display());
            assert!(
                length <= MAX_FUNCTION_LINES,
                "{place} has {length} lines (at most {MAX_FUNCTION_LINES})"
            );
            longest = longest.max(length);
        }
    }
    assert!(longest > MAX_FUNCTION_LINES / 2, "no function of more than {longest} lines was found");
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
fn no_function_depends_on_another_so_that_an_edit_builds_one() {
    let functions = fs::read_dir(root().join("functions")).expect("the functions");
    let names: Vec<String> =
        functions.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for function in &names {
        let manifest = read(format!("functions/{function}/Cargo.toml"));
        for other in names.iter().filter(|other| *other != function) {
            assert!(!manifest.contains(&format!("functions/{other}")), "{function} depends on {other}");
            assert!(!manifest.contains(&format!("../{other}")), "{function} depends on {other}");
        }
    }
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for document in [
        "README.md",
        "docs/ARCHITECTURE.md",
        "docs/CAPACITY.md",
        "docs/LOGGING.md",
        "docs/OPERATING.md",
        "docs/deploying.md",
        "docs/errors.md",
        "docs/local-development.md",
    ] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_path_buf();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = target.split('#').next().unwrap();
            assert!(local.starts_with("http") || folder.join(local).exists(), "{document}: {target}");
        }
    }
}

#[test]
fn the_readme_is_short_and_ci_runs_its_test_command() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= MAX_README_LINES, "README.md has {} lines", readme.lines().count());
    for command in ["cargo dev\n", "cargo test\n"] {
        assert!(readme.contains(&format!("```sh\n{command}```")), "{command}");
    }
    assert!(read(".ci/run").contains("cargo test\n"));
}
