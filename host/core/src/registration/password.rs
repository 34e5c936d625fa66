//! Passwords on their way through a method: it holds a handle, the host what is behind it (REG-6).
//!
//! A handle is the password itself with the user who gave it, sealed for the attempt. So nothing is stored, any node
//! opens it, and neither another attempt nor another user is served by it. A method lets the host compare it
//! (`check-password`), or has it put into a request to its tenant's own directory: `{password:HANDLE}` in a body.

use alloc::{string::String, vec::Vec};
use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::id::AttemptId;
use zeroize::Zeroizing;

use crate::seal::{KeyRing, Purpose};

/// The field that names the user of a password beside it.
pub const USER: &str = "user";

const BEGIN: &str = "{password:";

/// What is behind a handle.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// Who signs in, as the field [`USER`] beside it said; empty if there was none.
    pub user: String,
    /// What was typed.
    pub typed: Zeroizing<String>,
}

/// Masked: it is a secret.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").finish_non_exhaustive()
    }
}

/// A handle stands for no password of this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such password")]
pub struct NoSuchPassword;

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    attempt: &'a str,
    user: &'a str,
    typed: &'a str,
}

/// Makes a handle for a password of an attempt.
pub fn hide(
    keys: &KeyRing,
    attempt: &AttemptId,
    (user, typed): (&str, &str),
    rng: &mut impl CryptoRng,
) -> String {
    keys.seal(Purpose::Password, &Sealed { attempt: attempt.as_str(), user, typed }, rng)
}

/// Opens a handle of an attempt.
pub fn open(keys: &KeyRing, attempt: &AttemptId, handle: &str) -> Result<Password, NoSuchPassword> {
    let opened: (String, String, String) = keys.open(Purpose::Password, handle).or(Err(NoSuchPassword))?;
    let (of, user, typed) = opened;
    let typed = Zeroizing::new(typed);
    if of == attempt.as_str() { Ok(Password { user, typed }) } else { Err(NoSuchPassword) }
}

/// Whether a body names a password.
pub fn names_one(body: &str) -> bool {
    body.contains(BEGIN)
}

/// Whose passwords a body names.
pub fn users(keys: &KeyRing, attempt: &AttemptId, body: &str) -> Result<Vec<String>, NoSuchPassword> {
    let named = body.split(BEGIN).skip(1).map(|rest| rest.split_once('}').ok_or(NoSuchPassword));
    named.map(|named| Ok(open(keys, attempt, named?.0)?.user)).collect()
}

/// Puts passwords in where a body names them, as they stand within a string of JSON. What was put in is not looked at
/// again.
pub fn fill(keys: &KeyRing, attempt: &AttemptId, body: &str) -> Result<Zeroizing<String>, NoSuchPassword> {
    let mut filled = Zeroizing::new(String::new());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (handle, after) = after.split_once('}').ok_or(NoSuchPassword)?;
        let password = open(keys, attempt, handle)?;
        let quoted = Zeroizing::new(serde_json::to_string(&*password.typed).or(Err(NoSuchPassword))?);
        filled.push_str(before);
        filled.push_str(quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use switchhook_protocol::id::TenantId;

    use super::*;
    use crate::{
        policy::registration::MAX_HANDLE,
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    fn keys() -> KeyRing {
        let tenant: TenantId = "acme".parse().unwrap();
        RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant))
    }

    fn attempt(name: &str) -> AttemptId {
        name.parse().unwrap()
    }

    #[test]
    fn reg_6_a_handle_stands_for_the_password_of_one_user_in_one_attempt() {
        let handle = hide(&keys(), &attempt("a-1"), ("alice", "s3cret"), &mut TestRng(1));
        assert!(!handle.contains("s3cret"));
        let opened = open(&keys(), &attempt("a-1"), &handle).unwrap();
        assert_eq!((opened.user.as_str(), opened.typed.as_str()), ("alice", "s3cret"));
        assert_eq!(open(&keys(), &attempt("a-2"), &handle), Err(NoSuchPassword));
        assert_eq!(open(&keys(), &attempt("a-1"), "s3cret"), Err(NoSuchPassword));
    }

    #[test]
    fn reg_6_the_longest_password_has_a_handle_that_a_method_may_give_back() {
        let longest = "x".repeat(512);
        let handle = hide(&keys(), &attempt(&"a".repeat(64)), (&longest, &longest), &mut TestRng(1));
        assert!(handle.len() <= MAX_HANDLE, "{}", handle.len());
    }

    #[test]
    fn reg_6_a_password_is_put_into_a_body_as_json_has_it() {
        let (keys, attempt) = (keys(), attempt("a-1"));
        let handle = hide(&keys, &attempt, ("alice", "a\"b{password:x}"), &mut TestRng(1));
        let filled = fill(&keys, &attempt, &format!("{{\"password\":\"{{password:{handle}}}\"}}"));
        assert_eq!(filled.unwrap().as_str(), r#"{"password":"a\"b{password:x}"}"#);
        let twice = format!("{{password:{handle}}} and {{password:{handle}}}");
        assert_eq!(users(&keys, &attempt, &twice), Ok(alloc::vec!["alice".into(), "alice".into()]));
        assert_eq!(users(&keys, &attempt, "{}"), Ok(alloc::vec![]));
        assert_eq!(users(&keys, &attempt, "{password:x}"), Err(NoSuchPassword));
        assert_eq!(fill(&keys, &attempt, "{password:x}"), Err(NoSuchPassword));
        assert_eq!(fill(&keys, &attempt, "{password:"), Err(NoSuchPassword));
        assert_eq!(fill(&keys, &attempt, "{}").unwrap().as_str(), "{}");
    }
}
