//! Sends arbitrary raw events of API Gateway to api.

#![no_main]

use fuzz::mutation::mutate;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| fuzz::gateway_api(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate(data, size, max_size, seed) });
