//! In JavaScript, by `ComponentizeJS` from npm.

use anyhow::{Result, ensure};

use crate::{
    project::{Project, has},
    walk,
};

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
    walk::uploaded_activated_and_rolled_back_under_load(&project).await
}
