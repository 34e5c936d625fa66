//! Fuzzes [`switchhook_fuzz::rollout`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::rollout(bytes);
});
