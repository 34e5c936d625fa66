//! What devices say of a ring, and the inviter of it: ringing, accept, decline, cancel, take.

use switchhook_protocol::error::ErrorCode;

use super::{Heard, Session, Time};
use crate::people::{Device, INVITER};

impl Session {
    pub(super) fn rings(&mut self, device: Device, now: Time, heard: &mut Heard) -> Result<(), ErrorCode> {
        let leg = self.leg(device);
        match leg.state {
            "queued" => {
                leg.state = "rang";
                // What is over is not told.
                if now < leg.lease_until {
                    heard.push((INVITER, format!("ringing of {}", device.endpoint)));
                }
                Ok(())
            }
            "rang" => Ok(()),
            _ => Err(ErrorCode::NoLongerRinging),
        }
    }

    pub(super) fn accept(&mut self, device: Device, now: Time, heard: &mut Heard) -> Result<(), ErrorCode> {
        let (choose, takes_part) = (self.choose, self.participants.contains(&device));
        let leg = self.leg(device).clone();
        let user = self.users[leg.user].state;
        let again = takes_part || (user == "ringing" && leg.state == "offered");
        let rings = ["queued", "rang"].contains(&leg.state) && now < leg.lease_until;
        if !again {
            match user {
                "ringing" if rings => {}
                "taken" if leg.state == "taken" => return Err(ErrorCode::NotRunning),
                "taken" => return Err(ErrorCode::AnsweredElsewhere),
                _ => return Err(ErrorCode::NoLongerRinging),
            }
            if choose {
                self.leg(device).state = "offered";
            } else {
                self.taken(device);
                self.stop(leg.user, "answered-elsewhere", heard);
            }
        }
        let waits = choose && !takes_part;
        heard.push((
            INVITER,
            format!("accept of {}{}", device.endpoint, if waits { ", to be taken" } else { "" }),
        ));
        self.accepted.insert(device, self.generation);
        self.tickets.insert(device, self.generation);
        self.tickets.insert(INVITER, self.generation);
        Ok(())
    }

    /// The inviter takes a device.
    pub(super) fn take(&mut self, device: Device, heard: &mut Heard) -> Result<(), ErrorCode> {
        let leg = self.leg(device).clone();
        match leg.state {
            "offered" if self.users[leg.user].state == "ringing" => {
                self.tell_taken(device, heard);
                self.taken(device);
                self.stop(leg.user, "answered-elsewhere", heard);
                Ok(())
            }
            "taken" => Ok(()),
            _ => Err(ErrorCode::NoLongerRinging),
        }
    }

    /// Who left since the accept knows its key: both sides go on with another.
    fn tell_taken(&mut self, device: Device, heard: &mut Heard) {
        if self.accepted[&device] == self.generation {
            heard.push((device, "taken".to_owned()));
            return;
        }
        for one in [INVITER, device] {
            heard.push((one, "taken, renewed".to_owned()));
            self.tickets.insert(one, self.generation);
        }
    }

    fn taken(&mut self, device: Device) {
        let user = self.leg(device).user;
        self.leg(device).state = "taken";
        self.users[user].state = "taken";
        for one in [INVITER, device] {
            if !self.participants.contains(&one) {
                self.participants.push(one);
            }
        }
    }

    pub(super) fn decline(
        &mut self,
        device: Device,
        (reason, now): (&'static str, Time),
        heard: &mut Heard,
    ) -> Result<(), ErrorCode> {
        let leg = self.leg(device).clone();
        if ["declined", "busy"].contains(&leg.state) {
            return Ok(());
        }
        let rings = ["queued", "rang", "offered"].contains(&leg.state);
        if self.users[leg.user].state != "ringing" || !rings {
            return Err(ErrorCode::NoLongerRinging);
        }
        heard.push((INVITER, format!("decline of {}: {reason}", device.endpoint)));
        self.leg(device).state = reason;
        let last = !self.rung_at(leg.user, now);
        let user = &mut self.users[leg.user];
        let again = if reason == "busy" { user.ask_again.busy } else { user.ask_again.declined };
        if again || (last && user.goes_on()) {
            user.reroute = true;
        } else if last {
            self.over(leg.user, heard);
        }
        Ok(())
    }

    pub(super) fn stopped(&mut self, device: Device) {
        let leg = self.leg(device);
        if ["planned", "queued", "rang", "stopped"].contains(&leg.state) {
            leg.state = "stop-confirmed";
        }
    }

    pub(super) fn cancel(&mut self, heard: &mut Heard) -> Result<(), ErrorCode> {
        let known = self.users.iter().any(|user| ["ringing", "cancelled"].contains(&user.state));
        self.cancel_ringing(heard);
        if known { Ok(()) } else { Err(ErrorCode::NoLongerRinging) }
    }

    pub(super) fn cancel_ringing(&mut self, heard: &mut Heard) {
        for user in 0..self.users.len() {
            if self.users[user].state == "ringing" {
                self.users[user].state = "cancelled";
                self.stop(user, "cancelled", heard);
            }
        }
    }
}
