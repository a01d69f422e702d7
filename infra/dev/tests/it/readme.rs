//! Runs every block of README.md and of docs/local-development.md in order, as a reader does, and compares what is shown.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use serde_json::Value;

use crate::support::running::Running;
use crate::support::{PATIENCE, state_dir::StateDir};

/// The documents, in the order in which a reader reads them.
const DOCUMENTS: [&str; 3] = ["README.md", "docs/local-development.md", "docs/deploying.md"];

/// The blocks that do not run here, each with the reason.
const NOT_RUN: [(&str, &str); 2] = [
    ("cargo test", "this test is a part of it"),
    ("sam build && sam deploy --config-env dev", "it deploys to AWS"),
];

/// The commands that run until Ctrl-C, each with the text after which the reader goes on.
const IN_OWN_TERMINAL: [(&str, &str); 2] = [
    ("cargo dev\n", "Ctrl-C stops everything"),
    ("cargo dev listen ", "Ctrl-C ends and removes the endpoint"),
];

/// A fenced block of a document.
struct Block {
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read_blocks(document: &str) -> Vec<Block> {
    let document = fs::read_to_string(root().join(document)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in document.lines() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                blocks.push(Block { language: language.to_owned(), text: String::new() });
            }
            None if is_open => blocks.last_mut().unwrap().text.extend([line, "\n"]),
            None => {}
        }
    }
    assert!(!is_open && !blocks.is_empty());
    blocks
}

/// A folder with the command `cargo`, which knows `cargo dev` alone: the program that cargo built, with a state directory
/// and a port of this test.
struct Cargo(PathBuf);

impl Cargo {
    fn new(stack: &StateDir) -> Self {
        let alias = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
        assert!(alias.contains("dev = \"run --package dev --\"\n"), "`cargo dev` is this program");
        let folder = env::temp_dir().join(format!("triggers-readme-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = dev ] || exit 99\nshift\n[ $# = 0 ] && set -- --port 0\nexec '{}' \"$@\" --dir '{}'\n",
            env!("CARGO_BIN_EXE_dev"),
            stack.0.display(),
        );
        fs::write(folder.join("cargo"), script).unwrap();
        fs::set_permissions(folder.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join(".curlrc"), "silent\nshow-error\n").unwrap(); // in a terminal, it shows no progress either
        Self(folder)
    }

    /// Returns a shell in the folder of the project.
    fn shell(&self) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.0.clone()).chain(env::split_paths(&path));
        let mut command = Command::new("sh");
        command.current_dir(root()).env("PATH", env::join_paths(folders).unwrap()).env("CURL_HOME", &self.0);
        command
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        let _already_absent = fs::remove_dir_all(&self.0);
    }
}

/// The reader's second terminal: a shell that keeps its variables.
struct Terminal {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Terminal {
    fn open(mut shell: Command) -> Self {
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));
        Self { shell, input, output }
    }

    /// Runs a block, which must succeed. Returns its output.
    fn run(&mut self, block: &str) -> String {
        writeln!(self.input, "{{ {block}\n}} </dev/null; printf '\\n<end %s>\\n' $?").unwrap();
        let mut output = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the shell ended in {block}: {output}");
            if line.starts_with("<end ") {
                assert_eq!(line, "<end 0>\n", "{block}{output}");
                return output.trim_end().to_owned();
            }
            output.push_str(&line);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _already_ended = self.shell.kill();
        let _status = self.shell.wait();
    }
}

/// Replaces what differs at each run: ids, times, ports and the path of a `listen`.
fn mask(text: &str) -> String {
    let separators = [' ', '\n', '"', ',', '{', '}', '/'];
    let mask_word = |word: &str| {
        let is_hex = |digits: &str| digits.chars().all(|c| c.is_ascii_hexdigit());
        for (prefix, length) in [("evt_", 32), ("ep_", 32), ("", 16)] {
            if word.strip_prefix(prefix).is_some_and(|digits| digits.len() == length && is_hex(digits)) {
                return format!("{prefix}<hex>");
            }
        }
        let is_time = word.contains(':') && word.chars().all(|c| c.is_ascii_digit() || "T:-.Z".contains(c));
        if is_time && word.len() >= 12 { "<time or address>".to_owned() } else { word.to_owned() }
    };
    let parts = text.split_inclusive(separators).map(|part| {
        let word = part.trim_end_matches(separators);
        mask_word(word) + &part[word.len()..]
    });
    parts.collect()
}

#[test]
fn the_mask_hides_ids_and_times_and_nothing_else() {
    let line = "16:53:39.250  order.created  evt_01a22839fe71704fb5d3d6e1c5910d07  attempt 1  verified {\"a\":79.90}";
    assert_eq!(mask(line), "<time or address>  order.created  evt_<hex>  attempt 1  verified {\"a\":79.90}");
    assert_eq!(mask("http://127.0.0.1:34275/e2eb09878b7ac58f"), "http://<time or address>/<hex>");
}

#[test]
fn every_block_of_the_documentation_does_what_it_says() {
    let stack = StateDir::new("readme");
    let cargo = Cargo::new(&stack);
    let mut terminal = Terminal::open(cargo.shell());
    let mut own_terminals: Vec<(Running, Vec<String>)> = Vec::new();
    let (mut skipped, mut shown, mut outputs) = (Vec::new(), 0, Vec::new());
    for block in DOCUMENTS.into_iter().flat_map(read_blocks) {
        let own = IN_OWN_TERMINAL.iter().find(|(command, _)| block.text.starts_with(command));
        match block.language.as_str() {
            "sh" if NOT_RUN.iter().any(|(command, _)| block.text.trim() == *command) => {
                skipped.push(block.text);
            }
            "sh" if own.is_some() => {
                let running = Running::start(cargo.shell().arg("-c").arg(format!("exec {}", block.text)));
                let lines = running.read_until(own.unwrap().1);
                own_terminals.push((running, lines));
            }
            "sh" => outputs.push(run_as_reader(&mut terminal, &block.text, outputs.last())),
            "json" => {
                assert_eq!(mask(outputs.last().unwrap()), mask(block.text.trim()));
                shown += 1;
            }
            "text" if block.text.contains("verified") => {
                let (running, lines) = own_terminals.last_mut().unwrap();
                lines.extend(running.read_until("mug-blue"));
                assert_eq!(mask(&lines.join("\n")), mask(block.text.trim_end()));
                shown += 1;
            }
            "text" => assert!(block.text.contains("ingest ─> queue"), "only the picture is not compared"),
            other => panic!("a block is `sh`, `json` or `text`, not `{other}`"),
        }
    }
    assert_eq!(skipped.len(), NOT_RUN.len(), "{skipped:?}");
    assert_eq!((own_terminals.len(), shown), (3, 2));

    let console =
        outputs.iter().find_map(|output| output.split_once("/console ")).expect("the URL of the console").0;
    assert_eq!(ureq::get(format!("{console}/console")).call().unwrap().status(), 200);
    let acknowledged = outputs.iter().rev().nth(1).expect("the answer before the demo");
    let acknowledged: Value = serde_json::from_str(acknowledged).unwrap();
    assert_eq!(acknowledged["acked"].as_array().unwrap().len(), 1, "{acknowledged}");
    for (mut running, _) in own_terminals.into_iter().rev() {
        assert!(running.end_by("INT").success());
    }
}

/// Runs a block, with the lease that the last answer showed. A reader who leases before the event is stored leases again.
fn run_as_reader(terminal: &mut Terminal, block: &str, last: Option<&String>) -> String {
    let lease = last.and_then(|output| {
        serde_json::from_str::<Value>(output).ok()?["lease_id"].as_str().map(str::to_owned)
    });
    let block = lease.map_or_else(|| block.to_owned(), |lease| block.replace("lse_...", &lease));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = terminal.run(&block);
        assert!(!output.contains("urn:triggers:problem"), "{block}{output}");
        if !output.contains("\"results\":[]") {
            return output;
        }
        assert!(Instant::now() < deadline, "no event was leased within 60 s");
    }
}
