//! In Python, by componentize-py.

use anyhow::{Result, ensure};
use serde_json::json;
use switchhook_tests::skipped::has;

use crate::project::Project;

#[test]
fn plug_3_a_router_in_python_is_made_built_checked_and_tested() -> Result<()> {
    let test = "plug_3_a_router_in_python";
    if !has(test, "python3", 3) {
        return Ok(());
    }
    let project = Project::new("invite-router", "python", "my-router")?;
    let built = project.run(&["build"])?;
    if built.lacks(test, &["python3 -m venv", "pip "]) {
        return Ok(());
    }
    let built = built.well()?;
    ensure!(built["description"]["name"] == "my-router", "{built:#}");

    let refused = json!({
        "name": "a ring time out of its bounds is refused", "configuration": {"ring_seconds": 0},
        "route": {
            "invite": {"inviter": "+15550100", "invited": ["+15550101"], "purpose": "audio", "inviter_region": ""},
            "targets": [],
        },
        "expect": {"configuration_refused": "rest_after_seconds is 0 to 120, ring_seconds 1 to 120"},
    });
    project.write("tests/out-of-bounds.json", &refused)?;
    let tested = project.run(&["test"])?.well()?;
    ensure!(tested["passed"] == 3, "{tested:#}");
    Ok(())
}
