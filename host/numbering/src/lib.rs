//! Numbers as people dial them.
