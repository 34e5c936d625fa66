//! Fuzzes [`switchhook_fuzz::handshake`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::handshake(bytes);
});
