//! Passwords: hashed and compared by Argon2id, off the threads that serve sockets, a few at once (REG-6).
//!
//! Each costs 19 MiB and some tens of milliseconds of a core: that is what makes guessing dear, and what a flood of
//! sign-ins would take from everybody. So as many run as there are places, who waits too long for one is told to come
//! again, and the place is given back by the thread that computes, not by whoever gave up waiting. A user that does
//! not exist costs one comparison too: nobody learns by the time who exists.

use std::sync::{Arc, LazyLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task, time};
use zeroize::Zeroizing;

use crate::{limits, metrics::Count};

/// The places, and how many have been used.
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    compared: Count,
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotComputed {
    /// There was no place in time.
    #[error("too many passwords are being compared")]
    Busy,
    /// The host could not.
    #[error("the password cannot be hashed")]
    Failed,
}

/// Compared where there is no user: nobody knows a password to it.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c3dpdGNoaG9vay5ub2JvZA$CzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYY";

static ARGON2: LazyLock<Option<Argon2<'static>>> = LazyLock::new(|| {
    let (memory, passes, lanes) = limits::PASSWORD_COST;
    let params = Params::new(memory, passes, lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
});

impl Passwords {
    /// Comparisons are counted here.
    pub(crate) fn new(compared: Count) -> Self {
        Self { places: Arc::new(Semaphore::new(limits::PASSWORDS_AT_ONCE)), compared }
    }

    /// The hash of a new password, as a PHC string.
    pub(crate) async fn hash(
        &self,
        password: Zeroizing<String>,
        salt: [u8; 16],
    ) -> Result<String, NotComputed> {
        let hash = move || {
            let argon2 = ARGON2.as_ref().ok_or(NotComputed::Failed)?;
            let hash: PasswordHash =
                argon2.hash_password_with_salt(password.as_bytes(), &salt).or(Err(NotComputed::Failed))?;
            Ok(hash.to_string())
        };
        self.compute(hash).await?
    }

    /// Whether what was typed is the password of this hash; without a hash it is not, at the same cost.
    pub(crate) async fn is_right(
        &self,
        typed: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, NotComputed> {
        self.compared.inc();
        let compare = move || {
            let argon2 = ARGON2.as_ref().ok_or(NotComputed::Failed)?;
            let against = hash.as_deref().unwrap_or(NOBODY);
            Ok(argon2.verify_password(typed.as_bytes(), against).is_ok() && hash.is_some())
        };
        self.compute(compare).await?
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotComputed> {
        let place = time::timeout(limits::PASSWORD_WAIT, Arc::clone(&self.places).acquire_owned());
        let place = place.await.or(Err(NotComputed::Busy))?.or(Err(NotComputed::Busy))?;
        let computed = task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        computed.await.or(Err(NotComputed::Failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.to_owned())
    }

    #[tokio::test]
    async fn reg_6_the_right_password_is_right_and_nobodys_password_is_compared_too() {
        let passwords = Passwords::new(Count::default());
        let hash = passwords.hash(typed("correct horse"), [7; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");

        assert_eq!(passwords.is_right(typed("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.is_right(typed("wrong horse"), Some(hash)).await, Ok(false));
        assert_eq!(passwords.is_right(typed("correct horse"), None).await, Ok(false));
        assert_eq!(passwords.compared.get(), 3);
    }

    #[test]
    fn reg_6_nobodys_hash_costs_what_a_users_does() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), limits::PASSWORD_COST);
        let real: PasswordHash = ARGON2.as_ref().unwrap().hash_password_with_salt(b"any", &[7; 16]).unwrap();
        assert_eq!(hash.to_string().len(), real.to_string().len());
    }

    #[tokio::test(start_paused = true)]
    async fn reg_6_who_waits_too_long_for_a_place_is_told_so() {
        let passwords = Passwords::new(Count::default());
        let taken = passwords.places.clone().acquire_many_owned(2).await;
        assert_eq!(passwords.is_right(typed("any"), None).await, Err(NotComputed::Busy));
        drop(taken);
    }
}
