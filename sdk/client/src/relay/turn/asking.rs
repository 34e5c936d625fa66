//! What a relay is asked, and how that is written.

use std::time::Instant;

use stun_types::message::{MessageClass, MessageWrite as _};
use switchhook_protocol::relay::AddressFamily;

use super::{
    super::{
        requests::Asked,
        wire::{self, add, add_address},
    },
    Turn,
};
use crate::stun::begin_of;

impl Turn {
    pub(super) fn ask(&mut self, (asked, challenges): (Asked, u32), now: Instant) {
        let transaction = self.requests.transaction();
        // What no message holds is never answered.
        if let Some(bytes) = self.write(asked, transaction) {
            self.requests.begin((asked, challenges), transaction, bytes, now);
        } else {
            self.give_up(asked, now);
        }
    }

    fn write(&self, asked: Asked, transaction: u128) -> Option<Vec<u8>> {
        let method = match asked {
            Asked::Allocate => wire::ALLOCATE,
            Asked::Refresh | Asked::Follow | Asked::GiveBack => wire::REFRESH,
            Asked::Bind(_) => wire::CHANNEL_BIND,
        };
        let mut message = begin_of(MessageClass::Request, method, transaction);
        match asked {
            Asked::Allocate => {
                add(&mut message, wire::REQUESTED_TRANSPORT, &wire::UDP)?;
                let family = match self.family {
                    Some(AddressFamily::Ipv4) => Some(wire::IPV4),
                    Some(AddressFamily::Ipv6) => Some(wire::IPV6),
                    Some(AddressFamily::Unknown) | None => None,
                };
                if let Some(family) = family {
                    add(&mut message, wire::REQUESTED_ADDRESS_FAMILY, &family)?;
                }
                if self.mobile {
                    add(&mut message, wire::MOBILITY_TICKET, &[])?;
                }
            }
            Asked::Follow => add(&mut message, wire::MOBILITY_TICKET, self.ticket.as_deref()?)?,
            Asked::GiveBack => add(&mut message, wire::LIFETIME, &[0; 4])?,
            Asked::Bind(peer) => {
                let [high, low] = self.peers.channel(peer)?.to_be_bytes();
                add(&mut message, wire::CHANNEL_NUMBER, &[high, low, 0, 0])?;
                add_address(&mut message, wire::XOR_PEER_ADDRESS, peer)?;
            }
            Asked::Refresh => {}
        }
        self.login.sign(&mut message)?;
        Some(message.finish())
    }
}
