//! Fuzzes [`switchhook_fuzz::backup_manifest`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::backup_manifest(bytes);
});
