//! Questions and answers as JSON: what webhooks give, and what cases hold.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use switchhook_core::policy::{
    Grants,
    json::{Answered, Asked},
    nat::Decided,
    registration::Transition,
    route::Routed,
};

/// Whatever can be read as a record is written so that it reads back as the same.
pub fn records(bytes: &[u8]) -> bool {
    let read = [
        reads_back::<Asked>(bytes),
        reads_back::<Answered<Routed>>(bytes),
        reads_back::<Answered<Decided>>(bytes),
        reads_back::<Answered<Transition>>(bytes),
        reads_back::<Grants>(bytes),
    ];
    read.contains(&true)
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else {
        return false;
    };
    let written = serde_json::to_string(&read).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(again, read, "{written}");
    true
}
