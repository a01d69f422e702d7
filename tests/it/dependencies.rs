//! What we depend on: permissive licences, and no source besides the registries that the lock files pin.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq};

use crate::support::python::run;
use crate::support::root;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The rules for licences and sources.
const RULES: &str = include_str!("../../deny.toml");

/// The lock files of npm.
const LOCK_FILES: [&str; 4] = [
    "functions/api/console/package-lock.json",
    "functions/api/reference/package-lock.json",
    "tests/console/package-lock.json",
    "tests/clients/package-lock.json",
];

/// Returns the licences that `deny.toml` allows.
fn allowed() -> BTreeSet<&'static str> {
    let (_, list) = RULES.split_once("\nallow = [").expect("a list");
    let (list, _) = list.split_once("\n]").expect("its end");
    let found: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(found.contains("MIT") && found.len() > 5, "{found:?}");
    found
}

/// Returns whether the allowed licences are enough for an expression of SPDX.
fn is_allowed(text: &str, allowed: &BTreeSet<&str>) -> bool {
    let text = text.replace('/', " OR "); // the form of old manifests
    let expression = Expression::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    expression.evaluate(|licence: &LicenseReq| allowed.contains(licence.to_string().as_str()))
}

/// Returns the packages of `Cargo.lock`. Cargo fetches those that the build did not need.
fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn every_crate_is_from_the_registry_and_has_a_permissive_licence() {
    let allowed = allowed();
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    for package in &packages {
        let name = &package["name"];
        let Some(source) = package["source"].as_str() else { continue }; // a crate of this workspace
        assert_eq!(source, REGISTRY, "{name}");
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(is_allowed(licence, &allowed), "{name}: {licence}");
    }
}

#[test]
fn every_npm_package_is_pinned_by_its_hash_and_names_no_host() {
    for file in LOCK_FILES {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let lock: Value = serde_json::from_str(&text).expect("JSON");
        let packages = lock["packages"].as_object().expect("packages");
        assert!(packages.len() > 2, "{file}");
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package["integrity"].is_string() || package["link"] == true, "{file}: {name}");
            assert!(package.get("resolved").is_none(), "{file}: {name} names a host");
        }
    }
}

/// What is compiled into `api` for browsers must be as free as the rest. Build tools are not shipped.
#[test]
fn what_the_pages_ship_has_a_permissive_licence() {
    let allowed = allowed();
    for file in &LOCK_FILES[..2] {
        let text = fs::read_to_string(root().join(file)).expect("a lock file");
        let lock: Value = serde_json::from_str(&text).expect("JSON");
        let packages = lock["packages"].as_object().expect("packages").iter();
        let shipped: Vec<_> = packages.filter(|(name, one)| !name.is_empty() && one["dev"] != true).collect();
        assert!(!shipped.is_empty(), "{file}");
        for (name, package) in shipped {
            let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
            assert!(is_allowed(licence, &allowed), "{name}: {licence}");
        }
    }
}

#[test]
fn every_python_package_is_pinned_by_its_hash() {
    for file in ["infra/dev/requirements.txt", "tests/requirements.txt"] {
        let text = fs::read_to_string(root().join(file)).expect("a file").replace("\\\n", "");
        let pinned: Vec<&str> = text.lines().filter(|line| line.contains("==")).collect();
        assert!(pinned.len() > 5, "{file}");
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{file}: {line}");
        }
    }
}

/// A tag of an action can be moved to other code; a commit cannot.
#[test]
fn every_action_is_pinned_by_the_hash_of_a_commit() {
    let workflow = include_str!("../../.github/workflows/ci.yml");
    let actions: Vec<&str> =
        workflow.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, one)| one).collect();
    assert!(actions.len() > 2, "{actions:?}");
    for action in actions {
        let (name, commit) = action.split_once('@').expect("a commit");
        let (commit, version) =
            commit.split_once(" # v").unwrap_or_else(|| panic!("{action} names no version"));
        let is_hash = commit.len() == 40 && commit.chars().all(|one| one.is_ascii_hexdigit());
        assert!(name.starts_with("actions/") && is_hash && !version.is_empty(), "{action}");
    }
}

#[test]
fn a_licence_that_is_not_permissive_is_refused() {
    let allowed = allowed();
    for refused in ["GPL-3.0-only", "MIT AND LGPL-2.1-or-later", "SSPL-1.0", "AGPL-3.0-or-later OR BUSL-1.1"]
    {
        assert!(!is_allowed(refused, &allowed), "{refused}");
    }
    for fine in ["MIT OR GPL-3.0-only", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
}

/// Returns what `infra/supply/sbom.py` prints.
fn bill_of_materials() -> String {
    let script = root().join("infra/supply/sbom.py");
    let output =
        Command::new("python3").arg(script).env("CARGO", env!("CARGO")).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_bill_of_materials_lists_what_is_deployed() {
    let text = bill_of_materials();
    assert_eq!(text, bill_of_materials(), "the same sources give the same bytes");
    let bill: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let (packages, allowed) = (packages(), allowed());
    let mut references = BTreeSet::new();
    for component in bill["components"].as_array().expect("components") {
        let text = |name: &str| component[name].as_str().unwrap_or_else(|| panic!("{name}: {component}"));
        assert!(references.insert(text("bom-ref")), "{component}");
        let licence = component["licenses"][0]["expression"].as_str().expect("a licence");
        assert!(is_allowed(licence, &allowed), "{component}");
        let package =
            packages.iter().find(|one| one["name"] == text("name") && one["version"] == text("version"));
        let is_ours = package.is_some_and(|one| one["source"].is_null());
        assert!(is_ours || component["hashes"][0]["content"].is_string(), "{component}");
    }
    let has = |name: &str| references.iter().any(|one| one.starts_with(&format!("pkg:{name}@")));
    for name in ["cargo/ingest", "cargo/ring", "cargo/aws-sdk-dynamodb", "npm/swagger-ui-dist"] {
        assert!(has(name), "{name} is deployed");
    }
    for name in ["cargo/tests", "cargo/dev", "cargo/proptest", "cargo/openssl", "npm/vite"] {
        assert!(!has(name), "{name} is not deployed");
    }
    let guide = include_str!("../../docs/dependencies.md");
    assert!(guide.contains(&format!("It has {} components", references.len())), "{}", references.len());
    for dependency in bill["dependencies"].as_array().expect("dependencies") {
        let needs = dependency["dependsOn"].as_array().expect("a list").iter().chain([&dependency["ref"]]);
        for one in needs.filter_map(Value::as_str) {
            assert!(references.contains(one), "{one}");
        }
    }
}

/// Prints what the JSON schema of `CycloneDX` 1.5 refuses, one fault a line. Members that the schema does not name are faults.
const FAULTS: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
faults = JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read(), all_errors=True)
for fault in faults or ():
    print(fault.data.message)
";

#[test]
fn the_bill_of_materials_is_valid_by_the_schema_of_cyclonedx() {
    let mut bill: Value = serde_json::from_str(&bill_of_materials()).expect("JSON");
    assert_eq!(run(FAULTS, &bill).expect("a check"), "");
    bill["components"][0]["type"] = "crate".into();
    bill["components"][1]["licence"] = "MIT".into();
    let faults = run(FAULTS, &bill).expect("a check");
    assert_eq!(faults.lines().count(), 2, "{faults}");
    assert!(
        faults.contains("'crate' is not one of") && faults.contains("'licence' was unexpected"),
        "{faults}"
    );
}
