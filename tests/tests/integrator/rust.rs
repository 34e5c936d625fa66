//! In Rust.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{project::Project, walk};

#[tokio::test]
async fn plug_3_an_integrators_router_is_made_changed_built_checked_tested_and_rolled_out() -> Result<()> {
    let project = Project::new("invite-router", "rust", "my-router")?;

    // Nothing is built yet, and the command says what to do.
    let early = project.run(&["test"])?;
    ensure!(!early.well && early.complaint.contains("switchhook plugin build"), "{}", early.complaint);

    // Hunt: the phone first, 20 seconds later the tablet, and nothing else.
    let (rest, tablet) = (r#"target.kind != "phone""#, r#"target.kind == "tablet""#);
    project.edit("src/lib.rs", rest, tablet)?;
    let built = project.run(&["build"])?.well()?;
    ensure!(built["description"]["name"] == "my-router", "{built:#}");

    let checked = project.run(&["check"])?.well()?;
    ensure!(checked["findings"] == json!([]), "{checked:#}");

    // The case that rings a browser is now wrong, and the other one right.
    let tested = project.run(&["test"])?;
    ensure!(!tested.well, "a case that is wrong passed");
    ensure!(
        (&tested.answer["passed"], &tested.answer["failed"]) == (&json!(1), &json!(1)),
        "{:#}",
        tested.answer
    );
    project.edit("tests/no-phone.json", r#""kind": "browser""#, r#""kind": "tablet""#)?;
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 2, "{tested:#}");

    let measured = project.run(&["bench", "--calls", "20"])?.well()?;
    ensure!(measured["fuel"].as_u64() > Some(0), "{measured:#}");
    Box::pin(walk::uploaded_activated_and_rolled_back_under_load(&project)).await
}

/// As `docs/PLUGINS.md` tells it.
#[test]
fn plug_3_a_nat_policy_learns_that_two_symmetric_gateways_need_a_relay() -> Result<()> {
    let project = Project::new("nat-policy", "rust", "my-policy")?;
    project.edit("src/lib.rs", "nat::{NatPolicy, Patience,", "nat::{Mapping, NatPolicy, Party, Patience,")?;
    let decide = "        if question.attempt.direct_failures > 0";
    let hard = "
        let hard = |party: &Party| party.mapping == Mapping::AddressAndPortDependent;
        if hard(&question.a) && hard(&question.b) {
            return Ok(Verdict::Relay(RelayHint { region: None }));
        }
";
    project.edit("src/lib.rs", decide, &format!("{hard}{decide}"))?;
    project.run(&["build"])?.well()?;

    let text = std::fs::read_to_string(project.path("tests/directly-first.json"))?;
    let mut case: Value = serde_json::from_str(&text)?;
    case["name"] = json!("two symmetric gateways need a relay");
    for side in ["a", "b"] {
        case["decide"][side]["mapping"]["value"] = json!("address-and-port-dependent");
    }
    case["expect"] = json!({ "verdict": { "relay": { "region": null } } });
    project.write("tests/symmetric.json", &case)?;
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 3, "{tested:#}");
    Ok(())
}

/// As `docs/PLUGINS.md` tells it.
#[test]
fn plug_3_a_registration_method_learns_to_refuse_numbers_of_strangers() -> Result<()> {
    let project = Project::new("registration-method", "rust", "my-method")?;
    let send = "        let to = number.value.clone();";
    let ours = r#"
        if !number.value.starts_with("+1555") {
            return Err(Refusal::new("not-ours", "Only numbers of the company register here."));
        }
"#;
    project.edit("src/lib.rs", send, &format!("{ours}{send}"))?;
    project.run(&["build"])?.well()?;

    let begun = json!({ "begun": [{ "name": "number", "value": "+442071838750" }] });
    let refused = json!({ "refused": { "code": "not-ours" } });
    let attempt = json!([{ "event": begun, "expect": refused }]);
    let case = json!({ "name": "a stranger's number is refused", "configuration": {}, "attempt": attempt });
    project.write("tests/stranger.json", &case)?;
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 3, "{tested:#}");
    Ok(())
}

#[test]
fn plug_4_a_plugin_that_does_not_end_is_told_in_the_test_that_it_ran_out_of_fuel() -> Result<()> {
    let project = Project::new("nat-policy", "rust", "my-loop")?;
    let decide = "        if question.attempt.direct_failures > 0";
    project.edit(
        "src/lib.rs",
        decide,
        &format!("        while std::hint::black_box(true) {{}}\n{decide}"),
    )?;
    project.run(&["build"])?.well()?;
    let tested = project.run(&["test"])?;
    let answer = &tested.answer["cases"][0]["steps"][0]["answer"];
    ensure!(!tested.well && answer["failure"] == "out-of-fuel", "{:#}", tested.answer);
    Ok(())
}

#[test]
fn plug_4_a_core_module_and_a_wrong_slot_are_refused_with_the_reason() -> Result<()> {
    let project = Project::new("nat-policy", "rust", "my-policy")?;
    project.run(&["build"])?.well()?;
    let wrong = project.run(&["check", "--slot", "invite-router"])?;
    ensure!(!wrong.well && wrong.answer["findings"][0]["severity"] == "error", "{:#}", wrong.answer);

    std::fs::write(project.path("module.wasm"), b"\0asm\x01\0\0\0")?;
    let module = project.run(&["check", "module.wasm", "--slot", "nat-policy"])?;
    let says = module.answer["findings"][0]["says"].as_str().unwrap_or_default();
    ensure!(!module.well && says.contains("switchhook plugin build"), "{:#}", module.answer);
    Ok(())
}
