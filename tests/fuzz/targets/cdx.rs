//! Fuzzes [`switchhook_fuzz::cdx`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::cdx(bytes);
});
