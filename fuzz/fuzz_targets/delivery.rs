//! Sends arbitrary raw events of SQS to delivery.

#![no_main]

use fuzz::mutation::mutate;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| fuzz::delivery(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate(data, size, max_size, seed) });
