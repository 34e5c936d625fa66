//! Fuzzes [`switchhook_fuzz::http_signature`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::http_signature(bytes);
});
