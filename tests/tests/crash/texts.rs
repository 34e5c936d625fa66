//! Texts of a registration: the one in which the process dies, and somebody else's, which was registered before.

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use switchhook_protocol::endpoint::EndpointId;
use switchhook_tests::waiting::in_time;

use crate::{
    deaths::{self, Death},
    stage::Stage,
};

/// Who registers when the process dies.
pub(crate) const ALICE: &str = "+15550100";

/// Whose registration is confirmed before that.
pub(crate) const BYSTANDER: &str = "+15550101";

/// The last point that a text passes, to the step in which the method hears of its sending.
pub(crate) const TEXT_IS_DONE: &str = "commit.register-sent.after";

/// What a process leaves behind.
pub(crate) struct Texted<Then> {
    /// Texts that Alice gets, nobody having asked for another one.
    pub(crate) texts: usize,
    /// How the registration goes on.
    pub(crate) then: Then,
}

pub(crate) const fn death<Then>(point: &'static str, texts: usize, then: Then) -> Death<Texted<Then>> {
    deaths::death(point, Texted { texts, then })
}

/// What is in doubt is reported, and not sent again while the outbox goes on with its work: `another` has the bystander
/// texted.
pub(crate) async fn check(
    stage: &Stage,
    texts: usize,
    is_in_doubt: bool,
    another: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let (number, in_doubt): (EndpointId, usize) = (ALICE.parse()?, usize::from(is_in_doubt));
    assert_eq!(stage.admin.in_doubt().await?.len(), in_doubt);
    if let Some(last) = texts.checked_sub(1) {
        in_time("the SMS", stage.transit.carrier.next_text(&number, last)).await?;
    }
    // Others' texts go on, and it stays where it is.
    another().await?;
    assert_eq!(stage.transit.count(&number), texts);
    assert_eq!(stage.admin.in_doubt().await?.len(), in_doubt);
    Ok(())
}

/// An administrator has the text in doubt sent again.
pub(crate) async fn resend(stage: &Stage) -> Result<()> {
    let in_doubt = stage.admin.in_doubt().await?;
    let text = in_doubt.first().context("nothing is in doubt")?;
    assert_eq!(stage.admin.resend(text).await?, StatusCode::ACCEPTED);
    assert_eq!(stage.admin.in_doubt().await?.len(), 0);
    Ok(())
}
