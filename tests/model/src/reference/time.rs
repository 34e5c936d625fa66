//! What time brings: waves, the end of ring times, and the router asked again.

use switchhook_core::policy::route::Plan;

use super::{Heard, Leg, Session, Time};
use crate::people::{CAROL, Device, INVITER, devices_of};

impl Session {
    /// When something is next due.
    pub(crate) fn due(&self) -> Option<Time> {
        let ends = self.users.iter().filter_map(|user| user.ring_end);
        self.waves.iter().map(|(due, _)| *due).chain(ends).min()
    }

    /// Everything that is due happens.
    pub(crate) fn pass(&mut self, now: Time) -> Heard {
        let mut heard = Heard::new();
        let (due, later): (Vec<_>, Vec<_>) = self.waves.iter().partition(|(due, _)| *due <= now);
        self.waves = later;
        for (_, wave) in due {
            self.begin_wave(wave, &mut heard);
        }
        for user in 0..self.users.len() {
            if self.users[user].ring_end.is_some_and(|due| due <= now) {
                self.users[user].ring_end = None;
                self.ring_time_over(user, &mut heard);
            }
        }
        self.settle(now, &mut heard);
        heard
    }

    /// Routers that are to be asked are asked.
    fn settle(&mut self, now: Time, heard: &mut Heard) {
        for user in 0..self.users.len() {
            if std::mem::take(&mut self.users[user].reroute) && self.users[user].state == "ringing" {
                if !self.rung_at(user, now) && self.users[user].goes_on() {
                    self.users[user].forwarded = true;
                    self.users[user].known.extend(devices_of(CAROL));
                }
                self.go_on(user, now, heard);
            }
        }
    }

    /// The first rings of a user.
    pub(super) fn ring(&mut self, user: usize, now: Time, heard: &mut Heard) {
        let plan = self.ask(user);
        self.open(user, &plan, now, heard);
    }

    fn go_on(&mut self, user: usize, now: Time, heard: &mut Heard) {
        let plan = self.ask(user);
        let rung = self.open(user, &plan, now, heard);
        if let Some((devices, longest)) = rung {
            heard.push((INVITER, format!("rerouted to {devices} for {longest} ms")));
        } else if !self.rung_at(user, now) {
            self.over(user, heard);
        }
    }

    fn ask(&mut self, user: usize) -> Plan {
        let plan = self.router.plan(&self.seen(user));
        self.users[user].ask_again = plan.ask_again;
        self.users[user].finally = plan.finally.clone();
        plan
    }

    /// Opens the legs of a plan; says how many, and how long they ring. None if nobody rings.
    fn open(&mut self, user: usize, plan: &Plan, now: Time, heard: &mut Heard) -> Option<(usize, Time)> {
        let known = self.users[user].known.clone();
        let first_wave = self.legs.values().map(|leg| leg.wave + 1).max().unwrap_or(0);
        let (mut devices, mut longest) = (0, 0);
        for (wave, of_plan) in (first_wave..).zip(&plan.waves) {
            let starts = u64::try_from(of_plan.starts_after.as_millis()).unwrap();
            for ring in &of_plan.rings {
                let device = known[usize::from(ring.target.0)];
                let ends = starts + u64::try_from(ring.ring_time.as_millis()).unwrap();
                let state = if starts == 0 { "queued" } else { "planned" };
                self.legs.insert(device, Leg { user, state, wave, lease_until: now + ends });
                if starts == 0 {
                    self.rung(device, heard);
                } else {
                    self.waves.push((now + starts, wave));
                }
                devices += 1;
                longest = longest.max(ends);
            }
        }
        let until = self.users[user].rings_until.max(now + longest);
        (devices > 0).then(|| {
            self.users[user].rings_until = until;
            self.users[user].ring_end = Some(until);
            (devices, longest)
        })
    }

    fn rung(&mut self, device: Device, heard: &mut Heard) {
        // Its key is that of the invite, whoever has left since.
        self.tickets.insert(device, 1);
        heard.push((device, "invite".to_owned()));
    }

    fn begin_wave(&mut self, wave: u8, heard: &mut Heard) {
        for device in self.legs.keys().copied().collect::<Vec<_>>() {
            let leg = self.leg(device);
            let begins = leg.wave == wave && leg.state == "planned";
            let user = leg.user;
            if begins && self.users[user].state == "ringing" {
                self.leg(device).state = "queued";
                self.rung(device, heard);
            }
        }
    }

    fn ring_time_over(&mut self, user: usize, heard: &mut Heard) {
        if self.users[user].state != "ringing" {
            return;
        }
        self.stop(user, "no-answer", heard);
        if self.users[user].ask_again.no_answer || self.users[user].goes_on() {
            self.users[user].reroute = true;
        } else {
            self.users[user].state = "no-answer";
            heard.push((INVITER, self.users[user].outcome("no-answer")));
        }
    }
}
