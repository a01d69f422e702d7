//! What generators make of the `OpenAPI` document is used against the deployed template, and linters find nothing in it.

use std::fs;
use std::path::{Path, PathBuf};

use dev::stack::find_python;

use crate::tools::root;
use crate::{node, stack};

/// The folder with the stories, and with the versions of the generators.
const FOLDER: &str = "tests/clients";

/// Copies the stories to `target`, installs the generators there, and adds the document as the stack serves it.
fn prepare(name: &str) -> PathBuf {
    let folder = root().join("target").join(name);
    let _absent = fs::remove_dir_all(folder.join("generated"));
    node::copy_sources(&root().join(FOLDER), &folder);
    let url = format!("{}/openapi.json", stack::shared().summary().url);
    let document = ureq::get(&url).call().expect("an answer").body_mut().read_to_string().expect("a text");
    fs::create_dir_all(folder.join("generated")).expect("a folder");
    fs::write(folder.join("generated/openapi.json"), document).expect("a file");
    folder
}

/// Returns the variables that the stories need.
fn variables() -> [(&'static str, &'static str); 2] {
    let summary = stack::shared().summary();
    [("URL", summary.url.as_str()), ("ADMIN_TOKEN", summary.admin_token.as_str())]
}

#[test]
fn linters_accept_the_document_and_typescript_clients_use_all_of_it() {
    if !node::is_found("no TypeScript client is made of the OpenAPI document") {
        return;
    }
    let folder = prepare("clients");
    node::install(&folder);
    for script in ["lint", "generate", "test"] {
        node::run(&folder, &["npm", "run", "--silent", script], &variables());
    }
}

#[test]
fn a_python_client_uses_the_document_from_the_key_to_the_export() {
    let folder = prepare("python-client");
    let python = find_python().unwrap_or_else(|error| panic!("no Python: {error}"));
    let generator = python.with_file_name("openapi-python-client");
    let words = ["generate", "--meta", "none", "--overwrite", "--path", "generated/openapi.json"];
    let target =
        ["--output-path", "generated/triggers_client", "--config", "python.yaml", "--fail-on-warning"];
    let generator = path(&generator);
    node::run(&folder, &[&[generator], &words[..], &target[..]].concat(), &[]);
    let generated = folder.join("generated");
    let [url, admin_token] = variables();
    node::run(&folder, &[path(&python), "story.py"], &[url, admin_token, ("PYTHONPATH", path(&generated))]);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
