//! Deaths: where the process of a flow dies, one run for each place, and what it leaves behind there.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Runs at once; each is a process that mostly waits.
const AT_ONCE: usize = 4;

/// What a process leaves behind that dies at a point.
pub(crate) struct Death<Left> {
    pub(crate) point: &'static str,
    pub(crate) left: Left,
}

pub(crate) const fn death<Left>(point: &'static str, left: Left) -> Death<Left> {
    Death { point, left }
}

/// Has a process die in each of these ways, which are to be those of all points that such a flow has passed.
pub(crate) async fn at_each<Left>(
    deaths: &[Death<Left>],
    passed: &BTreeSet<String>,
    die_and_go_on: impl AsyncFn(&Death<Left>) -> Result<()>,
) -> Result<()> {
    assert_eq!(passed, &deaths.iter().map(|death| death.point.to_owned()).collect());
    let die_and_go_on = &die_and_go_on;
    stream::iter(deaths)
        .map(|death| async move { die_and_go_on(death).await.context(death.point) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
