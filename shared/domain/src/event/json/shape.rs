//! Why a JSON text does not fit a type, in our own words.

use std::fmt;
use std::fmt::Display;

use serde::de::{Error, Expected, Unexpected};

use super::pointer::{Step, pointer, shortened};

/// Valid JSON that does not fit the type into which it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidShape {
    /// From the value at fault outwards; [`InvalidShape::pointer`] turns it around.
    steps: Vec<Step>,
    fault: Fault,
}

/// What does not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Fault {
    UnknownMember(&'static [&'static str]),
    MissingMember,
    RepeatedMember,
    WrongKind { found: &'static str, expected: Option<String> },
    UnknownValue(&'static [&'static str]),
    Other,
}

impl InvalidShape {
    /// Makes the fault of a value that has another kind than expected.
    pub(in crate::event) fn wrong_kind(found: &'static str, expected: &str) -> Self {
        Fault::WrongKind { found, expected: Some(expected.to_owned()) }.into()
    }

    /// Makes a fault of which only one fact is known: the text does not fit.
    pub(in crate::event) fn unknown() -> Self {
        Fault::Other.into()
    }

    /// Returns the JSON pointer (RFC 6901) of the value at fault. A missing member has the pointer that it would have.
    #[must_use]
    pub fn pointer(&self) -> String {
        pointer(self.steps.iter().rev())
    }

    /// Adds the array item that holds the value at fault.
    pub(super) fn within_item(mut self, index: usize) -> Self {
        self.steps.push(Step::Index(index));
        self
    }

    /// Adds the member that holds the value at fault.
    pub(in crate::event) fn within(mut self, key: &str) -> Self {
        self.steps.push(Step::Key(key.to_owned()));
        self
    }
}

impl From<Fault> for InvalidShape {
    fn from(fault: Fault) -> Self {
        Self { steps: Vec::new(), fault }
    }
}

impl Display for InvalidShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = self.pointer();
        if self.steps.is_empty() {
            f.write_str("the body")?;
        } else if pointer.is_empty() {
            f.write_str("a member with a very long name")?;
        } else {
            write!(f, "`{}`", shortened(&pointer))?;
        }
        match &self.fault {
            Fault::UnknownMember(allowed) => {
                let allowed = Names(allowed);
                write!(f, " is not a known member; allowed: {allowed}; remove it or correct its name")
            }
            Fault::MissingMember => f.write_str(" is missing; add it"),
            Fault::RepeatedMember => f.write_str(" is sent twice; send it once"),
            Fault::WrongKind { found, expected: Some(expected) } => write!(f, " is {found}; send {expected}"),
            Fault::WrongKind { found, expected: None } => {
                write!(f, " is {found}, which is not allowed here; send a value of the documented kind")
            }
            Fault::UnknownValue(allowed) => {
                write!(f, " has a value that is not known; send one of {}", Names(allowed))
            }
            Fault::Other => f.write_str(" does not have the documented form; correct it"),
        }
    }
}

impl std::error::Error for InvalidShape {}

/// Names in code style, with commas between them.
struct Names(&'static [&'static str]);

impl Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (place, name) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

impl Error for InvalidShape {
    /// Drops the text, because it can come from a library.
    fn custom<M: Display>(_: M) -> Self {
        Self::unknown()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::WrongKind { found: kind(found), expected: words(&expected.to_string()) }.into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number out of range",
            other => kind(other),
        };
        Fault::WrongKind { found, expected: words(&expected.to_string()) }.into()
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Fault::WrongKind { found: "an array of another length", expected: None }.into()
    }

    fn unknown_variant(_: &str, allowed: &'static [&'static str]) -> Self {
        Fault::UnknownValue(allowed).into()
    }

    fn unknown_field(name: &str, allowed: &'static [&'static str]) -> Self {
        Self::from(Fault::UnknownMember(allowed)).within(name)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::from(Fault::MissingMember).within(name)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::from(Fault::RepeatedMember).within(name)
    }
}

/// Returns the kind of a JSON value.
fn kind(value: Unexpected<'_>) -> &'static str {
    match value {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "a value of an unexpected kind",
    }
}

/// Returns our words for the name that Serde gives to an expected kind; `None` for a name that is not known here.
fn words(expected: &str) -> Option<String> {
    let integers = |least: &str, most: u64| format!("a whole number from {least} to {most}");
    Some(match expected {
        "a string" | "a borrowed string" | "a string or integer" => "a string".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "u8" => integers("0", u8::MAX.into()),
        "u16" => integers("0", u16::MAX.into()),
        "u32" => integers("0", u32::MAX.into()),
        "u64" | "usize" => integers("0", u64::MAX),
        "f32" | "f64" => "a number".to_owned(),
        other if other == "a map" || other.starts_with("struct ") => "an object".to_owned(),
        _ => return None,
    })
}
