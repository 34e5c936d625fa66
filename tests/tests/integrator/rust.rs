//! In Rust.

use anyhow::{Result, ensure};
use serde_json::json;

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
    walk::uploaded_activated_and_rolled_back_under_load(&project).await
}

#[test]
fn plug_3_the_examples_of_the_other_slots_pass_their_own_cases() -> Result<()> {
    for slot in ["nat-policy", "registration-method"] {
        let project = Project::new(slot, "rust", &format!("my-{slot}"))?;
        project.run(&["build"])?.well()?;
        let tested = project.run(&["test"])?.well()?;
        ensure!(tested["passed"] == 2, "{tested:#}");
    }
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
