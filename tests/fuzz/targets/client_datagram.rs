//! Fuzzes [`switchhook_fuzz::client_datagram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    switchhook_fuzz::client_datagram(bytes);
});
