//! The admin API, the requests of devices and those of applications as an `OpenAPI` 3.1 document, made from the code.
//!
//! Each handler says its method, path, bodies and success; what is the same for all is added here:
//! the parameters that the path names, the problem that every failure is answered with, the token.

use std::sync::LazyLock;

use axum::{http::header, response::IntoResponse};
use utoipa::{
    OpenApi,
    openapi::{
        Components, Content, ContentBuilder, InfoBuilder, ObjectBuilder, PathItem, Ref, RefOr, Required,
        ResponseBuilder, SecurityRequirement, Server,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::Type,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::routes::Operations;
use crate::http::{
    open::{registrations, validations},
    problem::Details,
    signed,
};

/// Where the admin API lies.
pub(crate) const BASE: &str = "/admin/v1";

/// The name of the way by which administrators say who they are.
const TOKEN: &str = "token";

/// The name of the way by which devices do.
const SIGNATURE: &str = "signature";

/// What devices ask without a socket.
#[derive(Debug, OpenApi)]
#[openapi(paths(signed::request))]
struct Requests;

/// What applications ask.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    registrations::register,
    registrations::find,
    registrations::revoke,
    validations::begin,
    validations::show
))]
struct Open;

/// The parts that all operations refer to.
#[derive(Debug, OpenApi)]
#[openapi(components(schemas(Details)))]
struct Shared;

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_pretty_json().unwrap_or_default() + "\n");

/// The document.
pub(crate) fn text() -> &'static str {
    &TEXT
}

/// Shows this document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "show_openapi", security(()),
    responses((status = OK, body = Object, description = "The API as OpenAPI 3.1.")))]
pub(crate) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}

fn document() -> utoipa::openapi::OpenApi {
    let mut document = Operations::openapi().merge_from(Shared::openapi());
    document.info = InfoBuilder::new()
        .title("Switchhook")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Tenants, tokens, gateways and plugins; what devices ask without a socket, what applications register for them, and mail addresses that they have validated. Every failure is a problem with a published code.",
        ))
        .build();
    document.servers = Some(vec![Server::new(BASE)]);
    document.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(TOKEN, bearer());
    components.add_security_scheme(SIGNATURE, signature());
    add_public(&mut document, Requests::openapi(), SIGNATURE);
    add_public(&mut document, Open::openapi(), TOKEN);
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            complete(path, operation);
        }
    }
    document
}

/// What is not below [`BASE`], with the way to say who one is.
fn add_public(document: &mut utoipa::openapi::OpenApi, mut public: utoipa::openapi::OpenApi, by: &str) {
    for operation in public.paths.paths.values_mut().flat_map(operations) {
        operation.servers = Some(vec![Server::new("/")]);
        operation.security = Some(vec![SecurityRequirement::new(by, Vec::<String>::new())]);
    }
    document.merge(public);
}

fn bearer() -> SecurityScheme {
    SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build())
}

fn signature() -> SecurityScheme {
    let words =
        "HTTP message signature (RFC 9421) by the device's key, with `Signature-Input` and `Content-Digest`.";
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("Signature", words)))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Adds what the path and the API as a whole say of an operation.
fn complete(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.extend(names(path).map(|name| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    }));
    operation.responses.responses.insert("default".to_owned(), RefOr::T(failed()));
}

fn failed() -> utoipa::openapi::Response {
    let problem: Content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description("It failed.").content("application/problem+json", problem).build()
}

/// The names in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::routes::ROUTES, *};

    #[test]
    fn every_admin_route_stands_in_the_document_beside_those_of_devices_and_applications() {
        let read = oas3::from_json(text()).unwrap();

        let described: BTreeSet<(String, String)> =
            read.operations().map(|(path, method, _)| (method.as_str().to_lowercase(), path)).collect();

        let public = [
            ("post", "/v1/{tenant}/requests/{op}"),
            ("post", "/v1/{tenant}/registrations"),
            ("post", "/v1/{tenant}/registrations/find"),
            ("post", "/v1/{tenant}/registrations/revoke"),
            ("put", "/v1/{tenant}/applications/{application}/validations/{validation}"),
            ("get", "/v1/{tenant}/applications/{application}/validations/{validation}"),
        ];
        let answered = ROUTES.iter().chain(&public);
        let answered: BTreeSet<(String, String)> =
            answered.map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(described, answered);
    }

    #[test]
    fn another_reader_of_openapi_3_1_understands_it() {
        let read = oas3::from_json(text()).unwrap();

        assert!(read.validate_version().unwrap().to_string().starts_with("3.1."));
        for (path, _, operation) in read.operations() {
            let named: BTreeSet<String> = operation
                .parameters(&read)
                .unwrap()
                .into_iter()
                .filter(|parameter| parameter.location == oas3::spec::ParameterIn::Path)
                .map(|parameter| parameter.name)
                .collect();
            assert_eq!(named, names(&path).map(str::to_owned).collect(), "{path}");
        }
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_and_answers_failures_with_a_problem() {
        let read = oas3::from_json(text()).unwrap();
        let mut seen = BTreeSet::new();
        for (path, _, operation) in read.operations() {
            let id = operation.operation_id.clone().unwrap();
            assert!(seen.insert(id.clone()), "two are named {id}");
            let failed = operation.responses(&read).remove("default").unwrap();
            assert!(failed.content.contains_key("application/problem+json"), "{path}");
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there() {
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        let mut missing = BTreeSet::new();
        dangling(&document, &document, &mut missing);
        assert_eq!(missing, BTreeSet::new());
    }

    fn dangling(all: &serde_json::Value, part: &serde_json::Value, missing: &mut BTreeSet<String>) {
        if let Some(reference) = part.get("$ref").and_then(serde_json::Value::as_str)
            && all.pointer(reference.trim_start_matches('#')).is_none()
        {
            missing.insert(reference.to_owned());
        }
        let fields = part.as_object().into_iter().flat_map(serde_json::Map::values);
        let items = part.as_array().into_iter().flatten();
        fields.chain(items).for_each(|each| dangling(all, each, missing));
    }
}
