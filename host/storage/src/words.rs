//! The words that stand for our enums in rows.
//!
//! The same words as in their JSON. A word that is stored is never reused for another meaning.

use switchhook_core::{
    policy::Slot,
    row::{
        InvitationState, LegState, OutboxKind, OutboxState, SecretKind, TimerKind, UserState, VersionState,
    },
};
use switchhook_protocol::{
    device_key::Algorithm,
    invitation::TakeMode,
    registration::{AddressState, Scope},
};

/// An enum that is stored as a word.
pub(crate) trait Word: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// Its word.
    fn word(self) -> &'static str;

    /// The enum of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.word() == word)
    }
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }
    )*};
}

words! {
    AddressState { Asked = "asked", Validated = "validated", Declined = "declined" }
    Scope { Profile = "profile", Address = "address", Login = "login" }
    UserState { Active = "active", Blocked = "blocked" }
    Algorithm { Ed25519 = "ed25519", P256 = "p256" }
    SecretKind { Signature = "signature", Code = "code", Link = "link" }
    InvitationState {
        Ringing = "ringing",
        Taken = "taken",
        Declined = "declined",
        Cancelled = "cancelled",
        NoAnswer = "no-answer",
    }
    LegState {
        Planned = "planned",
        Queued = "queued",
        Pushed = "pushed",
        Rang = "rang",
        Offered = "offered",
        Taken = "taken",
        Declined = "declined",
        Busy = "busy",
        Stopped = "stopped",
        StopConfirmed = "stop-confirmed",
    }
    OutboxState {
        Queued = "queued",
        Performing = "performing",
        Sent = "sent",
        Delivered = "delivered",
        Failed = "failed",
        InDoubt = "in-doubt",
    }
    OutboxKind { Text = "text", Mail = "mail", Fetch = "fetch" }
    TakeMode { First = "first", Choose = "choose" }
    VersionState { Inactive = "inactive", Active = "active", Draining = "draining", Killed = "killed" }
    Slot { RegistrationMethod = "registration-method", NatPolicy = "nat-policy", InviteRouter = "invite-router" }
}

/// A timer's kind as its two columns.
pub(crate) fn of_timer(kind: TimerKind) -> (&'static str, u16) {
    match kind {
        TimerKind::Wave(wave) => ("wave", wave),
        TimerKind::RingEnd(user) => ("ring-end", user),
        TimerKind::Reroute(user) => ("reroute", user),
        TimerKind::Late(user) => ("late", user),
    }
}

/// The kind of a timer's two columns.
pub(crate) fn timer_of(word: &str, number: u16) -> Option<TimerKind> {
    match word {
        "wave" => Some(TimerKind::Wave(number)),
        "ring-end" => Some(TimerKind::RingEnd(number)),
        "reroute" => Some(TimerKind::Reroute(number)),
        "late" => Some(TimerKind::Late(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_for_one_state() {
        fn check<T: Word + PartialEq + std::fmt::Debug>() {
            for each in T::ALL {
                assert_eq!(T::from_word(each.word()), Some(*each));
            }
            assert_eq!(T::from_word("?"), None);
        }
        check::<AddressState>();
        check::<Scope>();
        check::<UserState>();
        check::<Algorithm>();
        check::<SecretKind>();
        check::<InvitationState>();
        check::<LegState>();
        check::<TakeMode>();
        check::<OutboxState>();
        check::<OutboxKind>();
        check::<Slot>();
        check::<VersionState>();
    }

    #[test]
    fn a_timer_comes_back_as_it_was() {
        for kind in
            [TimerKind::Wave(65_535), TimerKind::RingEnd(65_535), TimerKind::Reroute(1), TimerKind::Late(2)]
        {
            let (word, number) = of_timer(kind);
            assert_eq!(timer_of(word, number), Some(kind));
        }
        assert_eq!(timer_of("?", 0), None);
    }
}
