//! The description of the REST interface is the interface: no route without a row, no row without a route, and shapes that answers keep to.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::Value;

use crate::app::{App, noise};

/// The routers' source: axum does not tell what routes a router has.
const ROUTERS: &str = include_str!("../../src/http/mod.rs");

/// `METHOD path` of every route but the one that answers where there is none.
fn routed() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for route in ROUTERS.split(".route(").skip(1) {
        let first = route.split([',', ')']).next().unwrap_or_default().trim();
        let literal = |text: &str| text.split('"').nth(1).expect("a path").replace("{*", "{");
        let path = match first.strip_prefix('"') {
            Some(_) => literal(first),
            None => literal(ROUTERS.split_once(&format!("const {first}: &str = ")).expect("its constant").1),
        };
        let methods = route.split_once(',').expect("a method").1;
        for method in ["get", "post", "put", "patch", "delete", "options", "head"] {
            let called = |start: &str| methods.contains(&format!("{start}{method}("));
            if called(" ") || called(".") || called("\n            ") {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

async fn document(app: &App) -> Value {
    let answer = app.get(None, "/api/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    answer.json()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("operations");
        item.iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    each.collect()
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let app = App::start().await;
    let document = document(&app).await;
    let described: BTreeSet<String> = operations(&document).iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(routed().difference(&described).collect::<Vec<_>>(), Vec::<&String>::new(), "routes without a row in openapi/routes.rs");
    assert_eq!(described.difference(&routed()).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a route");
    // And the router itself agrees.
    for (method, path, _) in operations(&document) {
        let path = path.replace("{number}", "1").replace("{playlist}", "x.m3u8");
        let path = path.split('/').map(|piece| if piece.starts_with('{') { "x" } else { piece }).collect::<Vec<_>>().join("/");
        if path == "/api/v1/events" {
            continue;
        }
        let answer = app.ask(None, Method::from_bytes(method.as_bytes()).expect("a method"), &path, &[], Body::empty()).await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(!answer.text().contains("no such address"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_description_is_whole() {
    let app = App::start().await;
    let document = document(&app).await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
        let name = reference.strip_prefix("#/components/schemas/").unwrap_or_else(|| panic!("{reference} leads elsewhere"));
        assert!(schemas.contains_key(name), "{name} has no schema");
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('4')) {
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{method} {path} {status}");
        }
        let needs_account =
            operation["security"].as_array().is_some_and(|ways| ways.iter().all(|way| way.as_object().is_some_and(|way| !way.is_empty())));
        // Of these, one is for everybody who says nothing wrong, the other for who has the operator's token.
        let elsewise = ["/api/v1/playback/{playback_id}", "/metrics"].contains(&path.as_str());
        assert_eq!(needs_account, responses.contains_key("401") && !elsewise, "{method} {path}");
        // Whoever has no account gets what the description says.
        if needs_account {
            let path = path.replace("{number}", "1").replace("{upload}", &uuid::Uuid::nil().to_string());
            let answer = app.ask(None, Method::from_bytes(method.as_bytes()).expect("a method"), &path, &[], Body::empty()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text());
        }
    }
}

/// Every field that an answer has is described, and every field that must be there is.
fn keeps_to(document: &Value, name: &str, answer: &Value) {
    let schema = &document["components"]["schemas"][name];
    let (mut properties, mut required) = (BTreeSet::new(), BTreeSet::new());
    for piece in [schema].into_iter().chain(schema["allOf"].as_array().into_iter().flatten()) {
        let piece = match piece["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(name) => &document["components"]["schemas"][name],
            None => piece,
        };
        properties.extend(piece["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
        required.extend(piece["required"].as_array().into_iter().flatten().filter_map(|field| field.as_str().map(str::to_owned)));
    }
    let fields: BTreeSet<String> = answer.as_object().expect("an object").keys().cloned().collect();
    assert!(fields.is_subset(&properties), "{name} does not describe {:?}", fields.difference(&properties).collect::<Vec<_>>());
    assert!(required.is_subset(&fields), "{name} promises {:?}", required.difference(&fields).collect::<Vec<_>>());
}

#[tokio::test]
async fn answers_have_the_shape_that_is_described() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let document = document(&app).await;
    let json = [("content-type", "application/json")];
    let begun = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &json, r#"{"fileName":"a.mp4","size":10}"#).await;
    keeps_to(&document, "UploadTicket", &begun.json());
    let ticket = serde_json::from_slice(&begun.body).expect("a ticket");
    let missing = app.complete(&ada, &ticket).await;
    keeps_to(&document, "Problem", &missing.json());
    let bytes = noise(10);
    let receipt = app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await;
    keeps_to(&document, "PartReceipt", &receipt.json());
    keeps_to(&document, "Accepted", &app.complete(&ada, &ticket).await.json());
    let list = app.get(Some(&ada), "/api/v1/videos?q=A&limit=1").await.json();
    keeps_to(&document, "VideoList", &list);
    keeps_to(&document, "ListedVideo", &list["videos"][0]);
    keeps_to(&document, "StatusAnswer", &app.status(&ada, &ticket.video_id.to_string()).await);
    let video = app.state.videos.get(ada.user, ticket.video_id).await.expect("a video");
    keeps_to(&document, "Playback", &app.get(None, &format!("/api/v1/playback/{}", video.playback_id)).await.json());
    let question = format!("/oembed?url={}/watch/{}", app.state.settings.public_url, video.playback_id);
    keeps_to(&document, "Embeddable", &app.get(None, &question).await.json());
}

#[tokio::test]
async fn the_reference_is_a_page_without_a_script() {
    let app = App::start().await;
    let answer = app.get(None, "/api/docs").await;
    let page = answer.text();
    assert!(answer.headers[header::CONTENT_TYPE].to_str().is_ok_and(|kind| kind.starts_with("text/html")));
    assert!(
        !page.contains("<script")
            && !page.contains(" style=")
            && !page.contains("<style")
            && !page.contains("src=")
            && !page.contains("href=\"http"),
        "{page:.500}"
    );
    for (_, path, _) in operations(&document(&app).await) {
        assert!(page.contains(&path), "{path} is not on the page");
    }
}
