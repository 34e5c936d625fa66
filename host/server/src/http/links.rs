//! The links in mails: `GET /v1/{tenant}/links/{token}` shows a page and changes nothing, its button posts (REG-8).
//!
//! Programs that look through mail open every link in it, so that opening one must not count. The page has one form
//! and no script. `POST /v1/{tenant}/links` takes address and token as JSON, for programs that read mail on behalf of
//! their user (REG-18). Whoever asks for HTML hears of a failure in HTML, anybody else as a problem.

mod page;

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use switchhook_protocol::{endpoint::EndpointId, id::TenantId, registration::RegisterLink};

use self::page::Page;
use super::{
    extract::{Body, Path},
    problem::Problem,
};
use crate::{app::App, flows::registration::link, settings::PublicUrl, tenants};

/// Which link.
#[derive(Deserialize)]
pub(crate) struct Linked {
    tenant: String,
    token: String,
}

/// Whose links.
#[derive(Deserialize)]
pub(crate) struct Whose {
    tenant: String,
}

/// What a token has proven.
#[derive(Debug, Serialize)]
struct Confirmed {
    address: EndpointId,
}

/// Where a token leads to.
pub(crate) fn url(web_url: &PublicUrl, tenant: &TenantId, token: &str) -> String {
    web_url.of(&format!("/v1/{tenant}/links/{token}"))
}

/// Shows what the link is for.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(Linked { tenant, token }): Path<Linked>,
    headers: HeaderMap,
) -> Response {
    let looked = async {
        let tenant = tenants::known(&app, &tenant).await?;
        Ok::<_, Problem>(link::look(&app, &tenant, &token).await?)
    };
    match looked.await {
        Ok(open) => Page::Ask(open.address()).response(&mut app.rng()),
        Err(problem) => failed(&app, &headers, problem),
    }
}

/// The page's button.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path(Linked { tenant, token }): Path<Linked>,
    headers: HeaderMap,
) -> Response {
    match opened(&app, &tenant, &token, None).await {
        Ok(address) if wants_html(&headers) => Page::Confirmed(&address).response(&mut app.rng()),
        Ok(address) => Json(Confirmed { address }).into_response(),
        Err(problem) => failed(&app, &headers, problem),
    }
}

/// Address and token, from a program.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(Whose { tenant }): Path<Whose>,
    Body(RegisterLink { address, token }): Body<RegisterLink>,
) -> Result<Response, Problem> {
    let address = opened(&app, &tenant, &token, Some(&address)).await?;
    Ok(Json(Confirmed { address }).into_response())
}

async fn opened(
    app: &App,
    tenant: &str,
    token: &str,
    address: Option<&EndpointId>,
) -> Result<EndpointId, Problem> {
    let tenant = tenants::known(app, tenant).await?;
    Ok(link::open(app, &tenant, token, address).await?)
}

fn failed(app: &App, headers: &HeaderMap, problem: Problem) -> Response {
    if wants_html(headers) {
        Page::Failed(problem.code()).response(&mut app.rng())
    } else {
        problem.into_response()
    }
}

/// Browsers say so; programs that take anything get no page.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
