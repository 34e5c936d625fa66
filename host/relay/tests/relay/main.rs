//! The relay over real sockets: by hand, with the client of the crate `turn`, and with coturn's.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "test harness"
)]

mod bad_input;
mod bounds;
mod by_hand;
mod by_stream;
mod connections;
mod connections_bounds;
mod connections_end;
mod connections_refused;
mod coturn;
mod data;
mod families;
mod losses;
mod moves;
mod pairs;
mod passwords;
mod refusals;
mod running;
mod streams;
mod tls;
