//! The relay over real sockets: by hand, with the crate's own client, and with coturn's.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "test harness"
)]

mod by_hand;
mod coturn;
mod data;
mod refusals;
mod running;
mod streams;
