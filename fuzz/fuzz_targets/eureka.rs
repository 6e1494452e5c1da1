//! Any bytes as a registration, in either format: it is read or refused with a text, and read in the same way twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trellis_eureka::check;

fuzz_target!(|bytes: &[u8]| {
    for is_json in [true, false] {
        let outcome = |checked: Result<(), trellis_core::Error>| checked.map_err(|refused| refused.to_string());
        let first = outcome(check(is_json, bytes));
        assert!(first.as_ref().err().is_none_or(|text| !text.is_empty()));
        assert_eq!(outcome(check(is_json, bytes)), first);
    }
});
