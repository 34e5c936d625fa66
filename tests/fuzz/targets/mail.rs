//! Fuzzes [`switchhook_fuzz::mail`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::mail(bytes);
});
