//! Fuzzes [`switchhook_fuzz::texts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::texts(bytes);
});
