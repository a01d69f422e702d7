//! The numbers of a stack, read as Prometheus reads them.

use std::collections::HashMap;

/// Prometheus' text: every sample by its name and labels.
///
/// # Panics
/// When a line is none of the format, a sample comes before the TYPE of its family, or twice.
pub(crate) fn samples(text: &str) -> HashMap<String, f64> {
    let (mut samples, mut families) = (HashMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').expect("a name and a kind");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(!families.contains(&name), "{line}");
            families.push(name);
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.split_once(' ').is_some_and(|(_, text)| !text.is_empty()), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert_eq!(families.last().copied(), name.split('{').next(), "{line}");
            let value = value.parse().expect("a number");
            assert_eq!(samples.insert(name.to_owned(), value), None, "{line}");
        }
    }
    samples
}
