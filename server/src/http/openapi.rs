//! The REST interface described for programs (OpenAPI 3.1 at `/api/openapi.json`) and for people (`/api/docs`, no script).
//!
//! What each address takes and answers stands in [`routes`]; a test holds that table and the router equal. The shapes are those of the
//! types that the handlers send and read.

use std::sync::LazyLock;

use axum::{
    Extension, Json,
    http::{HeaderName, header},
    response::Html,
};
use domain::upload::{BeginUpload, PartAnnouncement, PartReceipt, PartTarget, UnfinishedUpload, UnfinishedUploads, UploadTicket};
use utoipa::{
    OpenApi,
    openapi::{
        Components, Paths,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{api, grants, headers::Page, oembed, problem, videos};
use crate::services::readiness;

mod operations;
mod page;
mod routes;
mod tus_routes;

/// The security schemes' names.
const KEY: &str = "apiKey";
const SESSION: &str = "session";

const ABOUT: &str = "Upload videos, follow their processing, and play them.\n\nSend an API key as `Authorization: Bearer mr_…` (made in the \
                     settings, or by `millrace key add`). A thing of somebody else and a thing that does not exist get the same answer, 404. \
                     Every refusal is `application/problem+json` with a stable `code` and a sentence for people.";

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Millrace", description = ABOUT, license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(
        api::Accepted,
        api::StatusAnswer,
        api::StreamAnswer,
        BeginUpload,
        UploadTicket,
        UnfinishedUploads,
        UnfinishedUpload,
        PartReceipt,
        PartAnnouncement,
        PartTarget,
        domain::video::Playback,
        videos::VideoList,
        videos::ListedVideo,
        grants::CreateGrant,
        grants::GrantList,
        domain::grant::NamedGrant,
        oembed::Answer,
        readiness::Report,
        problem::Body,
    ))
)]
struct Schemas;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut document = Schemas::openapi();
    document.paths = routes::all().fold(Paths::new(), |mut paths, route| {
        paths.add_path_operation(route.path, vec![route.method.clone()], route.operation());
        paths
    });
    let components = document.components.get_or_insert_with(Components::new);
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `mr_` and 43 letters.")).build();
    components.add_security_scheme(KEY, SecurityScheme::Http(key));
    // Over HTTPS the name has the prefix `__Host-`.
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("millrace"))));
    document
});

/// The description of the REST interface.
pub fn document() -> &'static utoipa::openapi::OpenApi {
    &DOCUMENT
}

/// `GET /api/openapi.json`.
pub async fn openapi_json() -> Json<&'static utoipa::openapi::OpenApi> {
    Json(document())
}

/// `GET /api/docs`.
pub async fn docs() -> ([(HeaderName, &'static str); 1], Extension<Page>, Html<&'static str>) {
    static PAGE: LazyLock<String> = LazyLock::new(|| page::render(document()));
    ([(header::CACHE_CONTROL, "no-cache")], Extension(Page::Still), Html(PAGE.as_str()))
}
