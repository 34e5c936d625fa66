//! Memory that was freed, and goes back to the system.
//!
//! glibc keeps what is freed between what is still in use, in the belief that it is wanted again soon. Thousands of
//! allocations were some hundred bytes each, so that without a word nearly all of it would stay resident.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "a function of C; the proof stands beside its call")
)]

/// Gives back all pages that nothing lies in. Other threads wait for memory meanwhile: some milliseconds.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes a number, and touches nothing but what the allocator itself holds free, each arena under that
        // arena's lock (malloc_trim(3): MT-Safe). What it says, whether there was anything to give back, changes nothing.
        let _anything = unsafe { libc::malloc_trim(0) };
    }
}
