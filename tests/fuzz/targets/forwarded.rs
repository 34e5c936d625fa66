//! Fuzzes [`switchhook_fuzz::forwarded`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::forwarded(bytes);
});
