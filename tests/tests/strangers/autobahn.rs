//! The cases of the Autobahn test suite, against the real endpoint.
//!
//! The endpoint is no echo: it answers each text message, and closes on a binary one and on what is larger than its
//! limit. So the cases of framing, control frames, fragmentation, UTF-8 and closing are run; those of
//! large messages and of compression, which is not offered, are not.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_tests::{host::Host, python::Python};

/// The suite's own words for an outcome that keeps the standard.
const GOOD: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

/// Text messages of 64 KiB and more, and binary ones: above the limit of a frame.
const TOO_LARGE: [&str; 6] = ["1.1.6", "1.1.7", "1.1.8", "1.2.6", "1.2.7", "1.2.8"];

/// Of these the ones that come in many small pieces: who still sends when the server closes may lose its last word.
const IN_PIECES: [&str; 2] = ["1.1.8", "1.2.8"];

/// Binary messages, which are not of the protocol.
const BINARY: [&str; 5] = ["1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5"];

#[tokio::test]
async fn the_cases_of_the_autobahn_suite_hold_and_limits_close_as_published() -> Result<()> {
    let Some(python) = Python::of("the_cases_of_the_autobahn_suite") else { return Ok(()) };
    // Each case is a device of its own, and all have one address.
    let host = Host::with(|settings| settings.limits.enrolments_of_address = 60_000).await?;
    let http = host.addresses().http;
    let asked = json!({ "host": http.ip().to_string(), "port": http.port(), "at_once": 16 });

    let went = python.run("autobahn.py", &asked).await?;

    let went: BTreeMap<&str, &Value> =
        went.as_object().context("no cases")?.iter().map(|(name, went)| (name.as_str(), went)).collect();
    assert_eq!(went.len(), 246, "the suite has other cases than before");
    let mut wrong = BTreeMap::new();
    for (name, went) in went {
        let expected = if TOO_LARGE.contains(&name) {
            went["code"] == 1009 || (IN_PIECES.contains(&name) && went["code"].is_null())
        } else if BINARY.contains(&name) {
            went["code"] == 1008
        } else {
            ["behavior", "close"]
                .iter()
                .all(|part| went[part].as_str().is_some_and(|word| GOOD.contains(&word)))
        };
        if !expected {
            wrong.insert(name, went);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(host.stranger().await?.client.sync().await.is_ok(), "the server goes on");
    Ok(())
}
