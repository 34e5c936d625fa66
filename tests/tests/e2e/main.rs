//! End to end: the real server, the real client, real sockets.

mod bad_input;
mod call;
mod crash;
mod health;
mod invitation;
mod nat;
mod registration;
mod walls;
