//! The console: that its committed files are what its sources build, and its stories in a browser.

use std::fs;
use std::path::Path;

use crate::{node, stack};

/// The folder of the sources.
const FOLDER: &str = "functions/api/console";

#[test]
fn the_committed_console_is_what_its_sources_build() {
    if !node::is_found("the console is not built again") {
        return;
    }
    // A copy, so that neither the committed files nor installed packages are touched. It has the same neighbours.
    let copy = node::root().join("target/console-build");
    let _absent = fs::remove_dir_all(&copy);
    let folder = copy.join(FOLDER);
    node::copy_sources(&node::root().join(FOLDER), &folder);
    node::copy_sources(&node::root().join("events"), &copy.join("events"));
    node::install(&folder);
    node::run(&folder, &["npm", "run", "build"], &[]);
    for file in ["index.html", "console/app.js", "console/app.css", "console/icon.svg"] {
        let read = |root: &Path| fs::read(root.join(FOLDER).join("dist").join(file)).expect("a built file");
        let is_same = read(&copy) == read(node::root());
        assert!(is_same, "`npm ci && npm run build` in {FOLDER} changes {file}: commit what it builds");
    }
}

#[test]
fn the_stories_of_the_console_hold_in_a_browser() {
    let consequence = "the stories in tests/console do not run";
    if !node::is_found(consequence) {
        return;
    }
    let Some(browser) = node::find_browser(consequence) else { return };
    let summary = stack::shared().summary();
    let folder = node::root().join("tests/console");
    node::install(&folder);
    let variables = [
        ("URL", summary.url.as_str()),
        ("ADMIN_TOKEN", summary.admin_token.as_str()),
        ("CHROMIUM", browser.to_str().expect("a path in UTF-8")),
    ];
    let _turn = stack::take_turn();
    node::run(&folder, &["npm", "test"], &variables);
}
