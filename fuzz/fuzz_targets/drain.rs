//! Sends arbitrary raw events of SQS to drain.

#![no_main]

use fuzz::mutation::mutate;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| fuzz::drain(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate(data, size, max_size, seed) });
