//! Fuzzes [`switchhook_fuzz::outbound`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::outbound(bytes);
});
