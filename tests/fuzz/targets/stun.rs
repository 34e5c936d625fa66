//! Fuzzes [`switchhook_fuzz::stun`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::stun(bytes);
});
