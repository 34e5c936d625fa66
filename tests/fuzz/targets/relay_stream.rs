//! Fuzzes [`switchhook_fuzz::relay_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::relay_stream(bytes);
});
