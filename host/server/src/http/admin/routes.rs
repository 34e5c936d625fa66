//! Every route of the admin API: this one table makes the router and the `OpenAPI` document, so
//! nothing is answered that the document does not describe.

use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get, post, put},
};
use utoipa::OpenApi;

use super::{
    audit, carriers, client_authority, explain, gateways, limits, mail_server, mails, may_ring, openapi,
    person,
    plugins::{built_in, changes, secrets, show, upload},
    registering, registrations, relay_hosts, sessions, tenants, text_policy, texts, tokens, users,
};
use crate::app::App;

macro_rules! routes {
    ($($method:ident $path:literal => $($segment:ident)::+;)+) => {
        /// The admin API, below [`openapi::BASE`].
        pub(crate) fn router() -> Router<Arc<App>> {
            Router::new()$(.route($path, $method($($segment)::+)))+
        }

        /// What the handlers say of themselves.
        #[derive(Debug, OpenApi)]
        #[openapi(paths($($($segment)::+),+))]
        pub(super) struct Operations;

        /// Method and path of each.
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];
    };
}

routes! {
    get "/openapi.json" => openapi::show;
    get "/tenants" => tenants::list;
    post "/tenants" => tenants::create;
    get "/tenants/{tenant}/client-authority" => client_authority::show;
    put "/tenants/{tenant}/client-authority" => client_authority::put;
    delete "/tenants/{tenant}/client-authority" => client_authority::remove;
    get "/tenants/{tenant}/gateways" => gateways::list;
    put "/tenants/{tenant}/gateways/{gateway}" => gateways::put;
    delete "/tenants/{tenant}/gateways/{gateway}" => gateways::remove;
    get "/tenants/{tenant}/mail-server" => mail_server::show;
    put "/tenants/{tenant}/mail-server" => mail_server::put;
    delete "/tenants/{tenant}/mail-server" => mail_server::remove;
    put "/tenants/{tenant}/carriers" => carriers::put;
    get "/tenants/{tenant}/text-policy" => text_policy::show;
    put "/tenants/{tenant}/text-policy" => text_policy::put;
    get "/tenants/{tenant}/tokens" => tokens::list;
    post "/tenants/{tenant}/tokens" => tokens::create;
    delete "/tenants/{tenant}/tokens/{id}" => tokens::revoke;
    get "/tokens" => tokens::operators;
    post "/tokens" => tokens::create_operators;
    delete "/tokens/{id}" => tokens::revoke_operators;
    get "/relay-hosts" => relay_hosts::list;
    delete "/relay-hosts/{host}" => relay_hosts::remove;
    put "/relay-hosts/{host}/drain" => relay_hosts::drain;
    get "/relay-host" => relay_hosts::enter;
    put "/relay-host" => relay_hosts::beat;
    post "/relay-host/taking-part" => relay_hosts::taking_part;
    get "/tenants/{tenant}/plugins" => show::all;
    post "/tenants/{tenant}/built-in-plugins" => built_in::offer;
    get "/tenants/{tenant}/plugins/{slot}/{name}" => show::one;
    post "/tenants/{tenant}/plugins/{slot}/{name}/versions" => upload::upload;
    get "/tenants/{tenant}/plugins/{slot}/{name}/versions/{version}" => show::version;
    post "/tenants/{tenant}/plugins/{slot}/{name}/activate" => changes::activate;
    post "/tenants/{tenant}/plugins/{slot}/{name}/rollback" => changes::rollback;
    post "/tenants/{tenant}/plugins/{slot}/{name}/deactivate" => changes::deactivate;
    get "/tenants/{tenant}/plugins/{slot}/{name}/configuration" => show::configuration;
    put "/tenants/{tenant}/plugins/{slot}/{name}/configuration" => changes::configure;
    get "/tenants/{tenant}/plugins/{slot}/{name}/grants" => show::grants;
    put "/tenants/{tenant}/plugins/{slot}/{name}/grants" => changes::grant;
    get "/tenants/{tenant}/plugins/{slot}/{name}/secrets" => secrets::list;
    put "/tenants/{tenant}/plugins/{slot}/{name}/secrets/{secret}" => secrets::put;
    delete "/tenants/{tenant}/plugins/{slot}/{name}/secrets/{secret}" => secrets::remove;
    get "/tenants/{tenant}/plugins/{slot}/{name}/logs" => show::logs;
    get "/tenants/{tenant}/plugins/{slot}/{name}/metrics" => show::metrics;
    get "/tenants/{tenant}/limits" => limits::show;
    put "/tenants/{tenant}/limits" => limits::put;
    get "/tenants/{tenant}/may-ring" => may_ring::show;
    put "/tenants/{tenant}/may-ring" => may_ring::put;
    get "/tenants/{tenant}/registrations" => registrations::list;
    delete "/tenants/{tenant}/registrations/{device}" => registrations::revoke;
    get "/tenants/{tenant}/registering" => registering::show;
    put "/tenants/{tenant}/registering" => registering::put;
    get "/tenants/{tenant}/users" => users::list;
    post "/tenants/{tenant}/users" => users::create;
    get "/tenants/{tenant}/user" => users::show;
    put "/tenants/{tenant}/user" => users::put;
    delete "/tenants/{tenant}/user" => users::remove;
    put "/tenants/{tenant}/user/password" => users::set_password;
    delete "/tenants/{tenant}/user/credentials" => users::revoke_credentials;
    get "/tenants/{tenant}/person" => person::export;
    delete "/tenants/{tenant}/person" => person::erase;
    get "/tenants/{tenant}/audit" => audit::list;
    get "/audit" => audit::operators;
    get "/tenants/{tenant}/decisions" => sessions::decisions;
    get "/tenants/{tenant}/explain" => explain::explain;
    get "/tenants/{tenant}/sessions/{session}" => sessions::show;
    get "/tenants/{tenant}/texts/in-doubt" => texts::in_doubt;
    post "/tenants/{tenant}/texts/{text}/resend" => texts::resend;
    get "/tenants/{tenant}/mails/in-doubt" => mails::in_doubt;
    post "/tenants/{tenant}/mails/{mail}/resend" => mails::resend;
}
