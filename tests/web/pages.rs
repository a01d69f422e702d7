//! The blocks of the book: each command runs, and each JSON is what the command before it showed.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::Api;
use crate::book::files;
use crate::tools::root;

/// The pages whose blocks another test runs: `infra/dev/tests/it/readme.rs`, in terminals that stay open, and `tests/it/guide.rs`
/// what the operating guide asks of the API. Its other commands need an account of AWS, and the page says that they did not run.
const RUN_BY_ANOTHER_TEST: [&str; 3] = ["local-development.md", "deploying.md", "OPERATING.md"];

/// The blocks that do not run, each with the reason. A block is named by its page and its first line.
const NOT_RUN: [(&str, &str, &str); 0] = [];

/// A fenced block.
struct Block {
    language: String,
    text: String,
}

fn read_blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                blocks.push(Block { language: language.to_owned(), text: String::new() });
            }
            None if is_open => blocks.last_mut().expect("a block").text.extend([line, "\n"]),
            None => {}
        }
    }
    blocks
}

/// Replaces what differs at each run: ids and times.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            let is_time = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
            let prefix = ["evt_", "ep_", "lse_"].into_iter().find(|prefix| text.starts_with(prefix));
            match prefix {
                Some(prefix) => prefix.clone_into(text),
                None if is_time => "time".clone_into(text),
                None => {}
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        _ => {}
    }
}

/// Parses JSON and masks it. The order of the members counts.
fn masked(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    mask(&mut value);
    value.to_string()
}

/// Runs a command as a reader does: with the lease of the answer before, and again while no event is stored yet.
fn run_as_reader(api: &Api, block: &str, before: &str) -> String {
    let before: Value = serde_json::from_str(before).unwrap_or_default();
    let block =
        before["lease_id"].as_str().map_or_else(|| block.to_owned(), |id| block.replace("lse_...", id));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut shell = Command::new("sh");
        shell.args(["-c", &block]).envs(api.variables()).current_dir(root());
        let output = shell.output().expect("a shell");
        let shown = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && !shown.contains("urn:triggers:problem"), "{block}{shown}");
        if !shown.contains("\"results\":[]") || Instant::now() > deadline {
            return shown;
        }
    }
}

#[test]
fn every_command_of_the_book_runs_and_shows_what_the_book_shows() {
    let docs = root().join("docs");
    let (mut commands, mut shown, mut not_run) = (0, 0, 0);
    for path in files(&docs, "md") {
        let page = path.strip_prefix(&docs).expect("a page").display().to_string();
        let blocks = read_blocks(&fs::read_to_string(&path).expect("a page"));
        if RUN_BY_ANOTHER_TEST.contains(&page.as_str()) || !blocks.iter().any(|block| block.language == "sh")
        {
            let is_compared = RUN_BY_ANOTHER_TEST.contains(&page.as_str());
            assert!(
                is_compared || !blocks.iter().any(|block| block.language == "json"),
                "docs/{page} has JSON alone"
            );
            continue;
        }
        let api = Api::sign_up(&page);
        let (mut output, mut lease) = (String::new(), String::new());
        for block in blocks {
            let first = block.text.lines().next().unwrap_or_default();
            match block.language.as_str() {
                "sh" if NOT_RUN.iter().any(|(on, line, _)| *on == page && *line == first) => not_run += 1,
                "sh" => {
                    output = run_as_reader(&api, &block.text, &lease);
                    if output.contains("\"lease_id\"") {
                        lease.clone_from(&output);
                    }
                    commands += 1;
                }
                "json" => {
                    assert_eq!(masked(&output), masked(&block.text), "docs/{page}");
                    shown += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(not_run, NOT_RUN.len());
    assert!(commands >= 8 && shown >= 5, "{commands} commands, {shown} answers");
}

/// Returns the part of an example that a page names: `examples/worker/worker.py:work`, or the path of the whole file.
fn read_part(source: &str) -> String {
    let (path, part) = source.split_once(':').unwrap_or((source, ""));
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    if part.is_empty() {
        return text;
    }
    let is_line = |line: &str, word: &str| line.ends_with(&format!(" {word}: {part}"));
    let lines = text.lines().skip_while(|line| !is_line(line, "ANCHOR")).skip(1);
    lines.take_while(|line| !is_line(line, "ANCHOR_END")).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn every_program_of_the_book_is_the_text_of_an_example() {
    let docs = root().join("docs");
    let mut programs = 0;
    for path in files(&docs, "md") {
        let page = fs::read_to_string(&path).expect("a page");
        assert!(!page.contains("{{#"), "{}: the repository shows this as text", path.display());
        for block in read_blocks(&page) {
            match block.language.as_str() {
                "text" | "sh" | "json" => {}
                "" => panic!("{}: a block has no language", path.display()),
                language => {
                    let Block { text, .. } = &block;
                    let fenced = format!("```{language}\n{text}```\n");
                    let (before, after) = page.split_once(&fenced).expect("the block");
                    let begin = before.lines().last().and_then(|line| line.strip_prefix("<!-- begin "));
                    let source = begin.and_then(|line| line.strip_suffix(" -->"));
                    let source = source.unwrap_or_else(|| panic!("{}: {text}", path.display()));
                    assert!(source.starts_with("examples/"), "{source}");
                    assert!(after.starts_with(&format!("<!-- end {source} -->\n")), "{source}");
                    assert!(*text == read_part(source), "`cargo docs --update` changes {}", path.display());
                    programs += 1;
                }
            }
        }
    }
    assert!(programs >= 13, "{programs}");
}
