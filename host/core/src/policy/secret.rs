//! Secrets in requests: a plugin names them, the host puts them in, on the way out.
//!
//! `{secret:NAME}` in the address or body of a request stands for the tenant's secret of that name. The
//! plugin, its log and the decision's record never hold the secret itself.

use alloc::{borrow::ToOwned as _, collections::BTreeMap, string::String};

/// A request names a secret that its plugin does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret {0:?}")]
pub struct NoSuchSecret(pub String);

const BEGIN: &str = "{secret:";

/// Whether a text names a secret.
pub fn names_one(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Puts the secrets in. What was put in is not looked at again.
pub fn fill(text: &str, secrets: &BTreeMap<String, String>) -> Result<String, NoSuchSecret> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push_str(BEGIN);
            rest = after;
            continue;
        };
        let secret = secrets.get(name).ok_or_else(|| NoSuchSecret(name.to_owned()))?;
        filled.push_str(secret);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> BTreeMap<String, String> {
        [("crm".into(), "s3cret".into()), ("odd".into(), "{secret:crm}".into())].into()
    }

    #[test]
    fn a_named_secret_is_put_in_wherever_it_stands() {
        let filled = fill("https://crm.test/?key={secret:crm}&again={secret:crm}", &secrets());
        assert_eq!(filled.as_deref(), Ok("https://crm.test/?key=s3cret&again=s3cret"));
        assert_eq!(fill("{}", &secrets()).as_deref(), Ok("{}"));
        assert_eq!(fill("{secret:crm", &secrets()).as_deref(), Ok("{secret:crm"));
    }

    #[test]
    fn plug_4_a_secret_that_looks_like_a_name_is_not_looked_up_and_an_unknown_one_is_refused() {
        assert_eq!(fill("{secret:odd}", &secrets()).as_deref(), Ok("{secret:crm}"));
        assert_eq!(fill("{secret:mine}", &secrets()), Err(NoSuchSecret("mine".into())));
    }
}
