//! Who runs next, when more calls want to run than there are instances.
//!
//! Tenants take turns: of those that wait, each gets one place before any gets a second. A tenant
//! has at most its part of the places, so that however much it asks for, others find one; and it
//! has at most so many calls waiting, beyond which it is told at once.
//!
//! Fuel has a share as well. What a tenant burned is paid off at a constant rate; who owes more than
//! the burst allows runs one call at a time until it owes less. Nothing has to wake it then: a
//! tenant that waits has a call running or finds no place free, and the end of either looks again.
//!
//! Fuel that brought no answer (a loop, a trap) is counted apart, at the same rate and burst. Who owes
//! more of that is *spent*: it has no turn at all until it owes less, since the declared default is
//! what its calls would end with anyway, and the burning is what its neighbours would feel.
//!
//! [`Turns`] is the decision: no task, no clock. [`places`](crate::places) makes calls wait.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::limits::Share;

/// The places, who has them and who waits. `K` is who asks, `W` is what wakes a call that waits.
#[derive(Debug)]
pub(crate) struct Turns<K, W> {
    free: u32,
    part: u32,
    share: Share,
    askers: BTreeMap<K, Asker<W>>,
    /// Those of whom calls wait, each once, the next one first.
    round: VecDeque<K>,
    tickets: u64,
}

/// Names a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Why a call may not even wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// As many calls of this asker wait as may.
    Full,
    /// It burned its share in vain.
    Spent,
}

/// What a call cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Burned {
    pub(crate) fuel: u64,
    /// It brought no answer.
    pub(crate) in_vain: bool,
}

#[derive(Debug)]
struct Asker<W> {
    running: u32,
    waiting: VecDeque<(Ticket, W)>,
    /// When all that it burned is paid off.
    paid: Duration,
    /// When all that it burned in vain is paid off.
    atoned: Duration,
}

impl<K: Ord + Clone, W> Turns<K, W> {
    /// `part` is how many of the `places` one asker has at most.
    pub(crate) const fn new(places: u32, part: u32, share: Share) -> Self {
        Self { free: places, part, share, askers: BTreeMap::new(), round: VecDeque::new(), tickets: 0 }
    }

    /// Takes a place if one is this asker's now.
    pub(crate) fn take(&mut self, who: &K, now: Duration) -> bool {
        let (part, share) = (self.part, self.share);
        let asker = self.askers.entry(who.clone()).or_default();
        let takes = self.free > 0 && asker.waiting.is_empty() && asker.may_run(part, share, now);
        if takes {
            asker.running += 1;
            self.free -= 1;
        }
        takes
    }

    /// Waits for a turn.
    pub(crate) fn wait(&mut self, who: &K, waker: W, now: Duration) -> Result<Ticket, NoTurn> {
        let asker = self.askers.entry(who.clone()).or_default();
        if asker.is_spent(self.share, now) {
            return Err(NoTurn::Spent);
        }
        if asker.waiting.len() >= self.share.waiting {
            return Err(NoTurn::Full);
        }
        if asker.waiting.is_empty() {
            self.round.push_back(who.clone());
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        asker.waiting.push_back((ticket, waker));
        Ok(ticket)
    }

    /// No longer waits. One that has its place already keeps it.
    pub(crate) fn withdraw(&mut self, who: &K, ticket: Ticket) {
        let Some(asker) = self.askers.get_mut(who) else { return };
        asker.waiting.retain(|(waiting, _)| *waiting != ticket);
        if asker.waiting.is_empty() {
            self.round.retain(|waiting| waiting != who);
        }
    }

    /// Whose turn is next; it has its place with that. To be called until there is none.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(K, W)> {
        if self.free == 0 {
            return None;
        }
        let (askers, part, share) = (&self.askers, self.part, self.share);
        let may_run = |who: &K| askers.get(who).is_some_and(|asker| asker.may_run(part, share, now));
        let who = self.round.iter().position(may_run).and_then(|turn| self.round.remove(turn))?;
        let asker = self.askers.get_mut(&who)?;
        let (_, waker) = asker.waiting.pop_front()?;
        asker.running += 1;
        self.free -= 1;
        if !asker.waiting.is_empty() {
            self.round.push_back(who.clone());
        }
        Some((who, waker))
    }

    /// A call has ended and gives its place back. Who is spent by it waits no longer: those wakers are dropped.
    pub(crate) fn end(&mut self, who: &K, burned: Burned, now: Duration) {
        self.free += 1;
        let share = self.share;
        let Some(asker) = self.askers.get_mut(who) else { return };
        asker.running = asker.running.saturating_sub(1);
        let price = share.pays(burned.fuel);
        asker.paid = asker.paid.max(now).saturating_add(price);
        if burned.in_vain {
            asker.atoned = asker.atoned.max(now).saturating_add(price);
        }
        if asker.is_spent(share, now) && !asker.waiting.is_empty() {
            asker.waiting.clear();
            self.round.retain(|waiting| waiting != who);
        }
    }

    /// Forgets who neither runs nor waits nor owes.
    pub(crate) fn forget_idle(&mut self, now: Duration) {
        // What was burned in vain is part of what was burned.
        self.askers.retain(|_, asker| asker.running > 0 || !asker.waiting.is_empty() || asker.paid > now);
    }

    /// How many are remembered.
    pub(crate) fn known(&self) -> usize {
        self.askers.len()
    }
}

impl<W> Asker<W> {
    fn may_run(&self, part: u32, share: Share, now: Duration) -> bool {
        let owes_too_much = self.paid.saturating_sub(now) > share.burst;
        self.running < if owes_too_much { 1 } else { part } && !self.is_spent(share, now)
    }

    fn is_spent(&self, share: Share, now: Duration) -> bool {
        self.atoned.saturating_sub(now) > share.burst
    }
}

impl<W> Default for Asker<W> {
    fn default() -> Self {
        Self { running: 0, waiting: VecDeque::new(), paid: Duration::ZERO, atoned: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share { fuel_per_second: 1_000, burst: Duration::from_secs(2), waiting: 3 };
    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn plug_4_tenants_that_wait_take_turns() {
        let mut turns = turns(1, 1);
        assert!(turns.take(&"first", NOW));
        for (who, call) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5)] {
            turns.wait(&who, call, NOW).unwrap();
        }

        let mut order = vec![];
        let mut last = "first";
        while let Some((who, call)) = after(&mut turns, last) {
            order.push((who, call));
            last = who;
        }

        assert_eq!(order, [("a", 1), ("b", 4), ("c", 5), ("a", 2), ("a", 3)]);
    }

    #[test]
    fn plug_4_a_tenant_has_at_most_its_part_and_others_find_a_place() {
        let mut turns = turns(4, 2);

        let taken =
            [turns.take(&"a", NOW), turns.take(&"a", NOW), turns.take(&"a", NOW), turns.take(&"b", NOW)];

        assert_eq!(taken, [true, true, false, true]);
    }

    #[test]
    fn plug_4_a_tenant_at_its_part_does_not_hold_up_those_behind_it() {
        let mut turns = turns(2, 1);
        assert!(turns.take(&"a", NOW) && turns.take(&"b", NOW));
        turns.wait(&"a", 1, NOW).unwrap();
        turns.wait(&"c", 2, NOW).unwrap();

        turns.end(&"b", burned(0), NOW);

        assert_eq!(turns.next(NOW), Some(("c", 2)));
        assert_eq!(turns.next(NOW), None);
    }

    #[test]
    fn plug_4_more_calls_than_may_wait_are_told_at_once() {
        let mut turns = turns(1, 1);
        for call in 0..3 {
            turns.wait(&"a", call, NOW).unwrap();
        }

        assert_eq!(turns.wait(&"a", 3, NOW), Err(NoTurn::Full));
        assert!(turns.wait(&"b", 4, NOW).is_ok());
    }

    #[test]
    fn plug_4_a_tenant_that_burned_its_share_runs_one_call_at_a_time_until_it_is_paid_off() {
        let mut turns = turns(4, 4);
        assert!(turns.take(&"a", NOW));
        turns.end(&"a", burned(5_000), NOW);
        let (owes, paid) = (NOW + Duration::from_millis(2_999), NOW + Duration::from_secs(3));

        assert!(turns.take(&"a", owes));
        assert!(!turns.take(&"a", owes), "5 s of its share are burned; 2 s may be");
        assert!(turns.take(&"b", owes) && turns.take(&"b", owes), "nobody else notices");
        assert!(turns.take(&"a", paid));
    }

    #[test]
    fn plug_4_a_tenant_that_burned_its_share_in_vain_has_no_turn_until_it_is_paid_off() {
        let mut turns = turns(4, 4);
        assert!(turns.take(&"a", NOW) && turns.take(&"a", NOW));
        turns.wait(&"a", 1, NOW).unwrap();
        turns.end(&"a", Burned { fuel: 5_000, in_vain: true }, NOW);
        let (owes, paid) = (NOW + Duration::from_millis(2_999), NOW + Duration::from_secs(3));

        assert_eq!(turns.next(NOW), None, "who waited waits no longer");
        turns.end(&"a", burned(0), NOW);
        assert!(!turns.take(&"a", owes));
        assert_eq!(turns.wait(&"a", 2, owes), Err(NoTurn::Spent));
        assert!(turns.take(&"b", owes), "nobody else notices");
        assert!(turns.take(&"a", paid));
    }

    #[test]
    fn a_call_that_gave_up_has_no_turn() {
        let mut turns = turns(1, 1);
        assert!(turns.take(&"a", NOW));
        let gone = turns.wait(&"b", 1, NOW).unwrap();
        turns.wait(&"c", 2, NOW).unwrap();

        turns.withdraw(&"b", gone);

        assert_eq!(after(&mut turns, "a"), Some(("c", 2)));
    }

    #[test]
    fn who_comes_while_its_own_calls_wait_waits_behind_them() {
        let mut turns = turns(1, 1);
        turns.wait(&"a", 1, NOW).unwrap();

        assert!(!turns.take(&"a", NOW));
        assert_eq!(turns.next(NOW), Some(("a", 1)));
    }

    #[test]
    fn only_who_owes_nothing_is_forgotten() {
        let mut turns = turns(2, 2);
        assert!(turns.take(&"owes", NOW) && turns.take(&"idle", NOW));
        turns.end(&"owes", burned(1_000), NOW);
        turns.end(&"idle", burned(0), NOW);

        turns.forget_idle(NOW);
        assert_eq!(turns.known(), 1);
        turns.forget_idle(NOW + Duration::from_secs(1));
        assert_eq!(turns.known(), 0);
    }

    fn turns(places: u32, part: u32) -> Turns<&'static str, u32> {
        Turns::new(places, part, SHARE)
    }

    fn burned(fuel: u64) -> Burned {
        Burned { fuel, in_vain: false }
    }

    /// Whose turn it is when a call of `who` has ended.
    fn after(turns: &mut Turns<&'static str, u32>, who: &'static str) -> Option<(&'static str, u32)> {
        turns.end(&who, burned(0), NOW);
        turns.next(NOW)
    }
}
