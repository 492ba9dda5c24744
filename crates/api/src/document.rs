//! The OpenAPI document and its page.

use std::collections::HashSet;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use utoipa::PartialSchema as _;
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder, Schema, Type,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::App;
use crate::problem::{MEDIA_TYPE, ProblemJson};

const BEARER: &str = "token";

const ABOUT: &str = "\
Every call, e-mail and chat of a client on one timeline, live.

Errors are `application/problem+json`. Lists page by an opaque `cursor`. Send your token as \
`Authorization: Bearer`. Every write takes an `Idempotency-Key`: sent again within a day it is answered \
as before, and done once.";

/// The document, as `/openapi.json` serves it.
pub fn openapi() -> OpenApi {
    complete(crate::routes().into_openapi())
}

/// An empty document for the routes to fill.
pub(crate) fn router() -> OpenApiRouter<App> {
    let info = InfoBuilder::new().title("Frontdesk").version("1").description(Some(ABOUT));
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description =
        Some("A token of `[A-Za-z0-9_-]`, made by `frontdesk token create` or `POST /v1/tokens`.".to_owned());
    let components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(scheme))
        .schema(ProblemJson::name(), ProblemJson::schema());
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]));
    OpenApiRouter::with_openapi(document.build())
}

/// Adds what is true of every operation, so that no handler has to say it.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    always_there(&mut document);
    for (path, item) in &mut document.paths.paths {
        let by_id = path.contains('{');
        let closed = path.starts_with("/v1/");
        for (operation, writes) in operations(item) {
            if !closed {
                continue;
            }
            problem(operation, "400", "A parameter, header or field is wrong; it is named.");
            problem(operation, "401", "There is no valid token.");
            problem(operation, "403", "The token's role is not enough; the one it needs is named.");
            if by_id {
                problem(operation, "404", "There is no such thing.");
            }
            problem(operation, "500", "It failed on our side.");
            problem(operation, "503", "Something is away; try again after `Retry-After` seconds.");
            if writes {
                problem(
                    operation,
                    "409",
                    "It cannot be done in this state, or a write with this key is being done.",
                );
                problem(operation, "413", "The body is too large.");
                problem(operation, "422", "The idempotency key was used for another request.");
                let key = ParameterBuilder::new()
                    .name("Idempotency-Key")
                    .parameter_in(ParameterIn::Header)
                    .description(Some("1 to 255 printable ASCII letters. The same request sent again under it within a day is answered as before (`Idempotency-Replayed: true`), and done once."))
                    .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
                operation.parameters.get_or_insert_default().push(RefOr::T(key.build()));
            }
        }
    }
    document
}

/// A field that can be null is there and null, so every field of an answer is there; only a problem
/// leaves out the field it has not, and what a body may leave out it says itself.
fn always_there(document: &mut OpenApi) {
    let asked = bodies(document);
    let Some(components) = &mut document.components else { return };
    for (name, schema) in &mut components.schemas {
        if *name == ProblemJson::name() || asked.contains(name) {
            continue;
        }
        let mut parts = match schema {
            RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().collect(),
            whole => vec![whole],
        };
        for part in &mut parts {
            if let RefOr::T(Schema::Object(object)) = part {
                object.required = object.properties.keys().cloned().collect();
            }
        }
    }
}

/// The schemas that requests are made of.
fn bodies(document: &mut OpenApi) -> HashSet<String> {
    let mut names = HashSet::new();
    for item in document.paths.paths.values_mut() {
        for (operation, _) in operations(item) {
            let Some(RefOr::T(body)) = &operation.request_body else { continue };
            for content in body.content.values() {
                if let RefOr::T(Content { schema: Some(RefOr::Ref(reference)), .. }) = content {
                    names.extend(reference.ref_location.rsplit('/').next().map(str::to_owned));
                }
            }
        }
    }
    names
}

/// Every operation of a path, and whether it writes.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reads = [&mut item.get, &mut item.head].map(|operation| (operation, false));
    let writes =
        [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].map(|operation| (operation, true));
    reads.into_iter().chain(writes).filter_map(|(operation, writes)| Some((operation.as_mut()?, writes)))
}

/// Documents a problem; a response the handler described itself keeps its words.
fn problem(operation: &mut Operation, status: &str, description: &str) {
    let said = match operation.responses.responses.get(status) {
        Some(RefOr::T(response)) => response.description.clone(),
        _ => description.to_owned(),
    };
    let content = Content::new(Some(Ref::from_schema_name(ProblemJson::name())));
    let response = ResponseBuilder::new().description(said).content(MEDIA_TYPE, content).build();
    operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
}

/// `/openapi.json` and `/docs`, both from our own bytes.
pub(crate) fn serve(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(serde_json::to_vec(document).expect("the document is JSON"));
    let document = async move || ([(header::CONTENT_TYPE, "application/json")], json.clone());
    let page: Router<App> = SwaggerUi::new("/docs").config(Config::from("/openapi.json")).into();
    Router::new()
        .route("/openapi.json", axum::routing::get(document))
        .merge(page.layer(axum::middleware::from_fn(fenced)))
}

/// The page runs only what we serve.
async fn fenced(request: Request, next: Next) -> Response {
    let policy =
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
