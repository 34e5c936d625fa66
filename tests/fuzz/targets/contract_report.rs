//! Fuzzes [`switchhook_fuzz::contract_report`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::contract_report(bytes);
});
