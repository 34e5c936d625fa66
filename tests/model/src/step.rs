//! What may happen next.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::{
    people::{BOB, DAVE, DEVICES, Device},
    router::Router,
};

/// One thing that happens; a session is named by its place in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Invite {
        invited: Vec<&'static str>,
        router: Router,
        choose: bool,
    },
    By {
        session: usize,
        device: Device,
        what: Does,
    },
    /// So many milliseconds pass.
    Time(u64),
    /// A device vanishes.
    Vanish(Device),
    /// The one that vanished comes back.
    Return,
    /// The node dies, and another starts on what it left.
    Death,
}

/// What a device does about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Rings,
    Accepts,
    Declines,
    IsBusy,
    Stops,
    Cancels,
    Takes(Device),
    Tells,
    Ends,
}

/// A step, and whether the node dies in the middle of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) step: Step,
    /// It is looked at so many times, and dropped.
    pub(crate) dies_after: Option<u32>,
}

/// The next thing that happens, after so many sessions.
pub(crate) fn next(sessions: usize, dice: &mut StdRng) -> Event {
    let step = step(sessions, dice);
    let may_die = matches!(step, Step::Invite { .. } | Step::By { .. } | Step::Time(_));
    let dies_after = (may_die && dice.random_ratio(1, 8)).then(|| dice.random_range(1..12));
    Event { step, dies_after }
}

fn step(sessions: usize, dice: &mut StdRng) -> Step {
    if sessions == 0 || (sessions < 2 && dice.random_ratio(1, 12)) {
        return invite(dice);
    }
    match dice.random_range(0..100) {
        0..80 => {
            let session = dice.random_range(0..sessions);
            let device = *DEVICES.choose(dice).unwrap();
            let what = does(dice);
            let device = if matches!(what, Does::Cancels | Does::Takes(_)) { DEVICES[0] } else { device };
            Step::By { session, device, what }
        }
        80..92 => Step::Time(*[1, 500, 2_000, 3_000, 3_000, 5_000, 9_000, 61_000].choose(dice).unwrap()),
        92..97 => Step::Vanish(*DEVICES.choose(dice).unwrap()),
        97..99 => Step::Return,
        // A node takes its time to start.
        _ if dice.random_ratio(1, 4) => Step::Death,
        _ => Step::Time(1),
    }
}

fn invite(dice: &mut StdRng) -> Step {
    let router = *Router::ALL.choose(dice).unwrap();
    // Two users that go on to one Carol would ring one device for both.
    let one = router == Router::Forward || dice.random_bool(0.5);
    let invited = if one { vec![BOB] } else { vec![BOB, DAVE] };
    Step::Invite { invited, router, choose: dice.random_ratio(1, 3) }
}

fn does(dice: &mut StdRng) -> Does {
    match dice.random_range(0..40) {
        0..6 => Does::Rings,
        6..16 => Does::Accepts,
        16..19 => Does::Declines,
        19..22 => Does::IsBusy,
        22..24 => Does::Stops,
        24 => Does::Cancels,
        25..34 => Does::Takes(*DEVICES.choose(dice).unwrap()),
        34..37 => Does::Tells,
        _ => Does::Ends,
    }
}
