//! The reference as a page: made once from the same description, without a script, so that no policy for scripts has to allow it one.

use std::fmt::Write;

use utoipa::openapi::{OpenApi, RefOr, Required, path::Operation};

use super::{operations::method_name, routes};

/// The page.
pub(super) fn render(document: &OpenApi) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Millrace: the API</title><link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/pkg/millrace.css\"></head><body><main class=\"reference\"><h1>The API</h1>",
    );
    for paragraph in document.info.description.as_deref().unwrap_or_default().split("\n\n") {
        let _ = write!(page, "<p>{}</p>", words(paragraph));
    }
    page.push_str("<p>For programs: <a href=\"/api/openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>");
    let mut section = None;
    for route in routes::all() {
        let Some(operation) = document.paths.get_path_operation(route.path, route.method.clone()) else { continue };
        let tag = operation.tags.as_deref().and_then(<[String]>::first);
        if tag != section {
            let _ = write!(page, "<h2>{}</h2>", escape(tag.map_or("", String::as_str)));
            section = tag;
        }
        let heading = format!("{} {}", method_name(&route.method).to_uppercase(), route.path);
        let _ = write!(page, "<h3><code>{}</code></h3>", escape(&heading));
        describe(&mut page, operation);
    }
    schemas(&mut page, document);
    page.push_str("</main></body></html>");
    page
}

fn describe(page: &mut String, operation: &Operation) {
    let known = operation.security.iter().flatten().all(|requirement| *requirement != utoipa::openapi::SecurityRequirement::default());
    let access = if known { "" } else { " Needs no account." };
    let _ = write!(page, "<p>{}.{access}</p>", words(operation.summary.as_deref().unwrap_or_default()));
    page.push_str("<ul>");
    for parameter in operation.parameters.iter().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let optional = if parameter.required == Required::True { "" } else { " (optional)" };
        let about = words(parameter.description.as_deref().unwrap_or_default());
        let _ = write!(page, "<li><code>{}</code>{optional}: {about}</li>", escape(&parameter.name));
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        for (kind, content) in &body.content {
            let _ = write!(page, "<li>Body: <code>{}</code>{}</li>", escape(kind), link(&serde_json::json!(content)));
        }
    }
    for (status, response) in &operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let shapes: String = response.content.values().map(|content| link(&serde_json::json!(content))).collect();
        let _ = write!(page, "<li>{status}: {}{shapes}</li>", words(&response.description));
    }
    page.push_str("</ul>");
}

/// A link to the shape that some content has, where the shape has a name.
fn link(content: &serde_json::Value) -> String {
    let name = content["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.map(|name| format!(" <a href=\"#{0}\">{0}</a>", escape(name))).unwrap_or_default()
}

fn schemas(page: &mut String, document: &OpenApi) {
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in document.components.iter().flat_map(|components| &components.schemas) {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(page, "<h3 id=\"{0}\">{0}</h3><pre><code>{1}</code></pre>", escape(name), escape(&text));
    }
}

/// Escaped, with `code` between backquotes.
fn words(text: &str) -> String {
    let pieces = text.split('`').map(escape).enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { piece }).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
