//! `switchhook registration settings`: when devices register again, what becomes of what another proves, and numbers for
//! tests (REG-13).

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use switchhook_protocol::endpoint::EndpointId;

use super::super::at_tenant::AtTenant;

/// Shows how a tenant's devices register, or changes what is named.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// When they register again without a person: each-power-on, each-start, first-time or on-wish.
    #[arg(long)]
    again: Option<String>,
    /// What becomes of an identifier on devices that have it, when another proves it: tell, share or move.
    #[arg(long, value_name = "WHAT")]
    proven_elsewhere: Option<String>,
    /// Let a number be proven by a fixed code, without a text; only a number that nobody has.
    #[arg(long, num_args = 2, value_names = ["NUMBER", "CODE"])]
    add_test_number: Vec<String>,
    /// Take a test number off the list.
    #[arg(long, value_name = "NUMBER")]
    remove_test_number: Vec<EndpointId>,
    #[command(flatten)]
    at: AtTenant,
}

impl Settings {
    pub(super) async fn run(self) -> Result<()> {
        let (admin, path) = (self.at.admin()?, self.at.path("registering"));
        let (known, tag): (Value, _) = admin.get_tagged(&path).await?;
        let wanted = self.changed(known.clone())?;
        if wanted != known {
            admin.replace(&path, tag, &wanted).await?;
        }
        self.at.form.answer(&wanted, words)
    }

    fn changed(&self, mut settings: Value) -> Result<Value> {
        for (name, wanted) in [("again", &self.again), ("proven_elsewhere", &self.proven_elsewhere)] {
            if let (Some(wanted), Some(settings)) = (wanted, settings.as_object_mut()) {
                settings.insert(name.to_owned(), json!(wanted));
            }
        }
        let numbers = settings.get_mut("test_numbers").and_then(Value::as_array_mut);
        let numbers = numbers.context("the server's answer has no test numbers")?;
        for gone in &self.remove_test_number {
            let before = numbers.len();
            numbers.retain(|test| test.get("number").and_then(Value::as_str) != Some(gone.reveal()));
            ensure!(numbers.len() < before, "{} is not on the list", gone.reveal());
        }
        for added in self.add_test_number.chunks_exact(2) {
            if let [number, code] = added {
                numbers.push(json!({ "number": number, "code": code }));
            }
        }
        Ok(settings)
    }
}

fn words(settings: &Value) -> String {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tests = settings.get("test_numbers").and_then(Value::as_array).into_iter().flatten();
    let tests = tests
        .map(|test| format!("{} is for tests, its code is {}", text(test, "number"), text(test, "code")));
    let again = format!("devices register again: {}", text(settings, "again"));
    let elsewhere = format!("what another device proves: {}", text(settings, "proven_elsewhere"));
    [again, elsewhere].into_iter().chain(tests).collect::<Vec<_>>().join("\n")
}
