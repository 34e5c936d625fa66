//! Three nodes on one PostgreSQL and a cluster of NATS: what one begins any other goes on with.

mod calls;
mod deaths;
mod flows;
mod operation;
mod people;
mod relays;
mod rotation;
mod stage;
