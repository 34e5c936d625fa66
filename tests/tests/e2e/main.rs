//! End to end: the real server, the real client, real sockets.

mod health;
mod invitation;
mod registration;
