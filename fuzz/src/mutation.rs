//! Mutations that keep an input JSON: one value of it is changed, also in JSON that is a text in it, as the body of a request or
//! of a message is.

use libfuzzer_sys::fuzzer_mutate;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// The largest text that one mutation makes.
const MAX_TEXT: usize = 2048;

/// Changes the input in place and returns its new size. One input in eight is changed as bytes.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut rng = StdRng::seed_from_u64(u64::from(seed));
    let parsed = serde_json::from_slice::<Value>(&data[..size]);
    let Some(mut value) = parsed.ok().filter(|_| rng.random_range(0..8) > 0) else {
        return fuzzer_mutate(data, size, max_size);
    };
    for _ in 0..rng.random_range(1..4) {
        change(&mut value, &mut rng);
    }
    let text = value.to_string();
    if text.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

/// Changes one value at a random place.
fn change(value: &mut Value, rng: &mut StdRng) {
    if rng.random_range(0..24) == 0 {
        *value = other(rng);
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() => {
            let chosen = rng.random_range(0..members.len());
            let name = members.keys().nth(chosen).cloned().unwrap_or_default();
            match rng.random_range(0..12) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(text(&name), other(rng))),
                _ => members.values_mut().nth(chosen).into_iter().for_each(|member| change(member, rng)),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let chosen = rng.random_range(0..items.len());
            match rng.random_range(0..12) {
                0 => drop(items.remove(chosen)),
                1 | 2 => items.push(items[chosen].clone()),
                _ => change(&mut items[chosen], rng),
            }
        }
        Value::String(old) => match serde_json::from_str::<Value>(old) {
            Ok(mut inner) if rng.random_range(0..6) > 0 => {
                change(&mut inner, rng);
                *old = inner.to_string();
            }
            _ => *old = text(old),
        },
        other_kind => *other_kind = other(rng),
    }
}

/// Returns the text after one mutation of libFuzzer, which knows the dictionary.
fn text(old: &str) -> String {
    let mut bytes = old.as_bytes().to_vec();
    bytes.truncate(MAX_TEXT);
    let size = bytes.len();
    bytes.resize(MAX_TEXT, 0);
    let size = fuzzer_mutate(&mut bytes, size, MAX_TEXT);
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

/// Returns a value of any kind.
fn other(rng: &mut StdRng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!("18446744073709551616"),
        json!("99999999999999999999999999"),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[[[[[]]]]]]),
        json!({"a": {"a": []}}),
    ];
    values[rng.random_range(0..values.len())].clone()
}
