//! The console and the API reference: that their committed files are what their sources build, and their stories in a browser.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::tools::root;
use crate::{node, stack};

#[test]
fn the_committed_console_is_what_its_sources_build() {
    let files = ["index.html", "console/app.js", "console/app.css", "console/icon.svg"];
    check_build("functions/api/console", files);
}

#[test]
fn the_committed_reference_is_what_its_sources_build() {
    let files = ["index.html", "docs/app.js.gz", "docs/app.css.gz", "docs/icon.svg"];
    check_build("functions/api/reference", files);
}

/// Builds the page in a folder again and compares the files in its `dist`.
fn check_build(page: &str, files: [&str; 4]) {
    if !node::is_found(&format!("{page} is not built again")) {
        return;
    }
    // A copy, so that neither the committed files nor installed packages are touched. It has the same neighbours.
    let copy = root().join("target/built").join(page.replace('/', "-"));
    let _absent = fs::remove_dir_all(&copy);
    for folder in ["functions/api/console", "functions/api/reference", "events"] {
        node::copy_sources(&root().join(folder), &copy.join(folder));
    }
    let folder = copy.join(page);
    node::install(&folder);
    node::run(&folder, &["npm", "run", "build"], &[]);
    for file in files {
        let is_same = read(&folder, file) == read(&root().join(page), file);
        assert!(is_same, "`npm ci && npm run build` in {page} changes {file}: commit what it builds");
    }
}

/// Reads a built file. One in gzip is decompressed: versions of Node.js compress the same text to other bytes.
fn read(page: &Path, file: &str) -> Vec<u8> {
    let bytes = fs::read(page.join("dist").join(file)).expect("a built file");
    if Path::new(file).extension().is_none_or(|end| end != "gz") {
        return bytes;
    }
    let mut text = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut text).expect("gzip");
    text
}

#[test]
fn the_stories_of_the_console_hold_in_a_browser() {
    let consequence = "the stories in tests/console do not run";
    if !node::is_found(consequence) {
        return;
    }
    let Some(browser) = node::find_browser(consequence) else { return };
    let summary = stack::shared().summary();
    let folder = root().join("tests/console");
    node::install(&folder);
    let variables = [
        ("URL", summary.url.as_str()),
        ("ADMIN_TOKEN", summary.admin_token.as_str()),
        ("CHROMIUM", browser.to_str().expect("a path in UTF-8")),
    ];
    let _turn = stack::take_turn();
    node::run(&folder, &["npm", "test"], &variables);
}
