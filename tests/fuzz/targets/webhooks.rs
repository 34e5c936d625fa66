//! Fuzzes [`switchhook_fuzz::webhooks`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::webhooks(bytes);
});
