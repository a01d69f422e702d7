//! The Zapier integration of `examples/zapier`, in its runner.

use std::process::Command;

use crate::api::Api;
use crate::node;
use crate::tools::{output_of, root};

#[test]
fn the_integration_does_what_the_documentation_of_zapier_asks() {
    if node::is_found("the runner of the Zapier integration does not run") {
        let api = Api::sign_up("zapier").with_scopes(&["events:write", "inbox:read", "endpoints:admin"]);
        let runner = root().join("examples/zapier/runner.mjs");
        let said = output_of(Command::new("node").arg(runner).envs(api.variables()));
        assert!(
            said.contains("7. The Zap is turned off") && said.contains("does what the documentation asks"),
            "{said}"
        );
    }
}
