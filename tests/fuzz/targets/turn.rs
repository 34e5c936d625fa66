//! Fuzzes [`switchhook_fuzz::turn`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::turn(bytes);
});
