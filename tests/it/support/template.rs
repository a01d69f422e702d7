//! The values of `template.yaml`, as the local stack deploys it.

use std::str::FromStr;
use std::sync::LazyLock;

use dev::stack::PARAMETERS;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The local stack passes this parameter besides [`PARAMETERS`].
const LOOPBACK_ENDPOINTS: (&str, &str) = ("LoopbackEndpoints", "allowed");

/// One method of one path of the API, and the resource of the function that handles it.
struct Route {
    path: &'static str,
    method: &'static str,
    function: &'static str,
}

/// Returns the value of a setting of a resource.
///
/// # Panics
/// When the resource has no such setting, or its value has another form.
pub(crate) fn setting<T: FromStr>(resource: &str, name: &str) -> T {
    settings(resource, name).into_iter().next().unwrap_or_else(|| panic!("{resource} has no {name}"))
}

/// Returns every value of a setting that a resource has more than once, in the order of the template.
///
/// # Panics
/// When a value has another form.
pub(crate) fn settings<T: FromStr>(resource: &str, name: &str) -> Vec<T> {
    let values = block(resource).filter_map(|line| value(line, name)).map(resolve);
    values.map(|text| text.parse().unwrap_or_else(|_| panic!("{resource}: {name} is {text}"))).collect()
}

/// Returns the resource of the function that handles a method of a path. Returns `None` where API Gateway itself answers.
pub(crate) fn find_function(method: &str, path: &str) -> Option<&'static str> {
    let path = if ROUTES.iter().any(|route| route.path == path) { path } else { "/{proxy+}" };
    let is_for = |route: &&Route| route.path == path && route.method.eq_ignore_ascii_case(method);
    ROUTES.iter().find(is_for).map(|route| route.function)
}

/// Every route of the API.
static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let of_function = |function| {
        let events = block(function).filter(|line| line.contains("{ Type: Api,"));
        events.map(move |line| Route {
            path: value(line, "Path").expect("a path").trim_matches('\''),
            method: value(line, "Method").expect("a method"),
            function,
        })
    };
    ["IngestFunction", "ApiFunction"].into_iter().flat_map(of_function).collect()
});

/// Returns the lines of a parameter or of a resource.
fn block(name: &str) -> impl Iterator<Item = &'static str> {
    let head = format!("  {name}:");
    let lines = TEMPLATE.lines().skip_while(move |line| *line != head).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with("    "))
}

/// Returns the value that a line gives to a name.
fn value(line: &'static str, name: &str) -> Option<&'static str> {
    let (before, rest) = line.split_once(&format!("{name}: "))?;
    let is_whole_name = before.ends_with([' ', '{']) || before.is_empty();
    let end = rest.find([',', '}', '#']).unwrap_or(rest.len());
    let proxy = "'/{proxy+}'";
    let text = if rest.starts_with(proxy) { proxy } else { &rest[..end] };
    is_whole_name.then_some(text.trim())
}

/// Returns a value, or that of the parameter that it refers to.
fn resolve(text: &'static str) -> &'static str {
    let Some(name) = text.strip_prefix("!Ref ") else { return text };
    let local = PARAMETERS.iter().chain([&LOOPBACK_ENDPOINTS]).find(|(known, _)| *known == name);
    let default = || block(name).find_map(|line| value(line, "Default"));
    local.map(|(_, value)| *value).or_else(default).unwrap_or_else(|| panic!("no parameter {name}"))
}

#[test]
fn the_settings_and_routes_of_the_template_are_found() {
    assert_eq!(settings::<usize>("ConsumerFunction", "BatchSize"), [10, 1]);
    assert_eq!(setting::<u64>("ApiFunction", "QUARANTINE_AFTER_LEASES"), 10, "a default");
    assert_eq!(setting::<String>("ApiFunction", "SIGNUP"), "open", "a parameter of the local stack");
    let found = |method, path| find_function(method, path);
    assert_eq!(found("POST", "/api/events"), Some("IngestFunction"));
    assert_eq!(found("GET", "/api/events"), Some("ApiFunction"));
    assert_eq!((found("POST", "/"), found("POST", "/a/b")), (Some("ApiFunction"), Some("ApiFunction")));
    assert_eq!((found("TRACE", "/a"), found("TRACE", "/api/events")), (None, None));
}
