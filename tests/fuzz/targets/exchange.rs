//! Fuzzes [`switchhook_fuzz::exchange`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::exchange(bytes);
});
