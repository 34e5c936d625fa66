//! Fuzzes [`switchhook_fuzz::relay_host`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::relay_host(bytes);
});
