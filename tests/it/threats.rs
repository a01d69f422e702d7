//! `docs/THREATS.md` names stories. Each of them exists.

use std::fs;
use std::path::Path;

const THREATS: &str = include_str!("../../docs/THREATS.md");

/// Returns what the document writes as `file::test`: the parts of its spans of code that hold a path of names.
fn stories() -> Vec<(&'static str, &'static str)> {
    let spans = THREATS.split('`').skip(1).step_by(2);
    spans.filter(|span| *span != "file::test").filter_map(|span| span.rsplit_once("::")).collect()
}

#[test]
fn every_story_that_is_named_exists() {
    let stories = stories();
    assert!(stories.len() > 50, "{stories:?}");
    for (file, test) in stories {
        let name = format!("{}.rs", file.replace("::", "/"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = if name.starts_with("web/") { folder.join(name) } else { folder.join("it").join(name) };
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}::{test}: {error}"));
        let is_test = source.split("#[test]").skip(1).chain(source.split("#[tokio::test").skip(1));
        let mut heads = is_test.filter_map(|rest| rest.split('(').find(|part| part.contains("fn ")));
        let function = format!("fn {test}");
        assert!(heads.any(|head| head.ends_with(&function)), "no test {test} in {}", path.display());
    }
}

#[test]
fn the_document_has_at_most_150_lines() {
    assert!(THREATS.lines().count() <= 150);
}
