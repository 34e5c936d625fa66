//! A session that runs: what participants tell, who leaves, who is lost.

use switchhook_protocol::error::ErrorCode;

use super::{Heard, Session};
use crate::{
    people::{Device, INVITER, devices_of},
    step::Does,
};

impl Session {
    pub(super) fn act_in_call(
        &mut self,
        device: Device,
        does: Does,
        heard: &mut Heard,
    ) -> Result<(), ErrorCode> {
        if self.participants.is_empty() {
            return Err(ErrorCode::NotRunning);
        }
        if !self.participants.contains(&device) {
            return Err(ErrorCode::WrongRole);
        }
        if self.tickets.get(&device) != Some(&self.generation) {
            return Err(ErrorCode::OldTicket);
        }
        if does == Does::Tells {
            self.tell_others(device, "told", heard);
        } else {
            self.leave(device, "hung-up", heard);
        }
        Ok(())
    }

    /// A participant leaves, or is lost.
    pub(crate) fn leave(&mut self, device: Device, reason: &str, heard: &mut Heard) {
        let stay: Vec<Device> = self.participants.iter().copied().filter(|one| *one != device).collect();
        if stay.len() > 1 && stay.contains(&INVITER) {
            self.go_on_without(device, reason, &stay, heard);
            return;
        }
        self.tell_others(device, &format!("ended: {reason}"), heard);
        self.participants.clear();
        self.cancel_ringing(heard);
        // Whatever was to come of it does not.
        self.waves.clear();
        for user in &mut self.users {
            user.ring_end = None;
            user.reroute = false;
        }
    }

    fn go_on_without(&mut self, device: Device, reason: &str, stay: &[Device], heard: &mut Heard) {
        self.generation += 1;
        for other in stay.iter().filter(|other| **other != INVITER) {
            for one in [INVITER, *other] {
                heard.push((one, format!("left {}: {reason}, renewed", device.endpoint)));
                self.tickets.insert(one, self.generation);
            }
        }
        for shown in self.shown() {
            heard.push((shown, format!("left {}: {reason}", device.endpoint)));
        }
        self.participants.retain(|one| *one != device);
    }

    fn tell_others(&self, by: Device, what: &str, heard: &mut Heard) {
        let others = self.participants.iter().copied().filter(|one| *one != by);
        let told = others.chain(self.shown()).map(|device| (device, format!("{what} by {}", by.endpoint)));
        heard.extend(told);
    }

    /// The other devices of everybody's identifiers.
    fn shown(&self) -> Vec<Device> {
        let of_all = self.participants.iter().flat_map(|one| devices_of(one.endpoint));
        let mut shown: Vec<Device> = of_all.filter(|device| !self.participants.contains(device)).collect();
        shown.dedup();
        shown
    }
}
