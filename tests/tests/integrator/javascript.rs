//! In JavaScript, by `ComponentizeJS` and by componentize-qjs from npm.

use anyhow::{Result, ensure};
use switchhook_tests::skipped::has;

use crate::{project::Project, walk};

#[tokio::test]
async fn plug_3_a_router_in_javascript_is_made_built_checked_tested_and_rolled_out() -> Result<()> {
    let test = "plug_3_a_router_in_javascript";
    if !has(test, "node", 20) || !has(test, "npm", 9) {
        return Ok(());
    }
    let project = Project::new("invite-router", "javascript", "my-router")?;
    let built = project.run(&["build"])?;
    if built.lacks(test, &["npm "]) {
        return Ok(());
    }
    let built = built.well()?;
    ensure!(built["description"]["name"] == "my-router", "{built:#}");
    ensure!(project.path("types/invite-router.d.ts").is_file(), "no types for an editor");

    let checked = project.run(&["check"])?.well()?;
    ensure!(checked["class"] == "large" && checked["language"] == "JavaScript", "{checked:#}");
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 2, "{tested:#}");
    Box::pin(walk::uploaded_activated_and_rolled_back_under_load(&project)).await
}

#[test]
fn plug_3_a_plugin_for_quickjs_is_made_built_checked_and_tested_in_every_slot() -> Result<()> {
    let test = "plug_3_a_plugin_for_quickjs";
    if !has(test, "node", 20) || !has(test, "npm", 9) {
        return Ok(());
    }
    for slot in ["invite-router", "nat-policy", "registration-method"] {
        let project = Project::new(slot, "quickjs", "my-plugin")?;
        let built = project.run(&["build"])?;
        if built.lacks(test, &["npm "]) {
            return Ok(());
        }
        let built = built.well()?;
        ensure!(built["description"]["name"] == "my-plugin" && built["class"] == "small", "{built:#}");
        let tested = project.run(&["test"])?.well()?;
        ensure!(tested["passed"] == 2, "{tested:#}");
    }
    Ok(())
}

/// What its engine asks of WASI is what the host says of the call.
#[test]
fn a_plugin_for_quickjs_has_the_calls_clock() -> Result<()> {
    let test = "a_plugin_for_quickjs_has_the_calls_clock";
    if !has(test, "node", 20) || !has(test, "npm", 9) {
        return Ok(());
    }
    let project = Project::new("nat-policy", "quickjs", "my-policy")?;
    let decides = "export function decide(context, a, b, attempt, history, answers) {\n";
    let asks = format!(
        "{decides}  if (Date.now() !== Number(context.now)) throw {{ code: \"late\", message: `${{Date.now()}}` }};\n"
    );
    project.edit("app.js", decides, &asks)?;
    let built = project.run(&["build"])?;
    if built.lacks(test, &["npm "]) {
        return Ok(());
    }
    built.well()?;
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 2, "{tested:#}");
    Ok(())
}
