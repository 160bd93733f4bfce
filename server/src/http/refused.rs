//! Refusals before a handler has been reached, in the shape that whoever asked can read: a page for a form that was sent without scripts, the
//! error of a server function for our own pages, a problem for everybody else.

use axum::{
    Extension, Json,
    extract::Request,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use domain::error::Problem;
use serde::Serialize;

use super::{headers::Page, problem::Refusal};

/// Where the pages' server functions are.
pub const SERVER_FUNCTIONS: &str = "/app/";

/// How an asker reads a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A browser that shows what comes.
    Form,
    /// A page's own code.
    ServerFunction,
    /// Any other program.
    Program,
}

/// The error of a server function as it travels.
#[derive(Serialize)]
struct ServerFunctionError {
    problem: Problem,
}

impl Asker {
    /// Who sends this request.
    pub fn of(request: &Request) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("text/html") {
            Self::Form
        } else if request.uri().path().starts_with(SERVER_FUNCTIONS) {
            Self::ServerFunction
        } else {
            Self::Program
        }
    }

    /// The refusal.
    pub fn refuse(self, problem: Problem) -> Response {
        let refusal = Refusal(problem.clone()).into_response();
        if self == Self::Program {
            return refusal;
        }
        let (mut parts, _) = refusal.into_parts();
        parts.headers.remove(header::CONTENT_TYPE);
        match self {
            Self::ServerFunction => (parts, Json(ServerFunctionError { problem })).into_response(),
            _ => (parts, Extension(Page::Still), Html(page(&problem.detail))).into_response(),
        }
    }

    /// The refusal of a request whose body is not read to its end: the connection goes with it.
    pub fn refuse_and_close(self, problem: Problem) -> Response {
        let mut response = self.refuse(problem);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

fn page(detail: &str) -> String {
    let detail = detail.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>Not done · Millrace</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/pkg/player.css\"></head><body class=\"watch-page\"><main class=\"watch-missing\"><h1>Not done</h1>\
         <p>{detail}</p></main></body></html>"
    )
}
