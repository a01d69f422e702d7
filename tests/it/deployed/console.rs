//! The console in a browser, against the deployed template.

use crate::deployed::support::stack::shared;
use crate::support::node;

#[test]
fn the_stories_of_the_console_hold_in_a_browser() {
    let consequence = "the stories in tests/console do not run";
    if !node::is_found(consequence) {
        return;
    }
    let Some(browser) = node::find_browser(consequence) else { return };
    let summary = shared().summary();
    let folder = node::root().join("tests/console");
    node::run(&folder, &["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"], &[]);
    let variables = [
        ("URL", summary.url.as_str()),
        ("ADMIN_TOKEN", summary.admin_token.as_str()),
        ("CHROMIUM", browser.to_str().expect("a path in UTF-8")),
    ];
    node::run(&folder, &["npm", "test"], &variables);
}
