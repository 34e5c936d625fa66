//! Fuzzes [`switchhook_fuzz::relay_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::relay_request(bytes);
});
