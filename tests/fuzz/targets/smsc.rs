//! Fuzzes [`switchhook_fuzz::smsc`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::smsc(bytes);
});
