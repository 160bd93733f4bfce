//! What pages ask the server: each function is who → one service call → map. The same types as in REST and the event stream.

pub mod accounts;
pub mod alerts;
pub mod audit_log;
pub mod grants;
pub mod jobs;
pub mod keys;
pub mod people;
pub mod sessions;
pub mod storage;
pub mod videos;

use domain::error::{Code, Problem};
use leptos::{
    prelude::{FromServerFnError, ServerFnErrorErr},
    server_fn::codec::JsonEncoding,
};
use serde::{Deserialize, Serialize};

/// The error of every server function: a problem, and what was typed where a form has to be filled again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{problem}")]
pub struct AppError {
    /// What is wrong.
    pub problem: Problem,
    /// What was typed; never a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

impl AppError {
    /// Keeps what was typed, so that the page can show it again when it had to be drawn anew.
    #[must_use]
    pub fn keeping(self, typed: &str) -> Self {
        Self { kept: Some(typed.to_owned()), ..self }
    }

    /// Whether nobody is signed in.
    pub fn signed_out(&self) -> bool {
        self.problem.code == Code::Unauthenticated
    }
}

impl From<Problem> for AppError {
    fn from(problem: Problem) -> Self {
        Self { problem, kept: None }
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self::from(match error {
            ServerFnErrorErr::Request(_) => Problem::new(Code::Internal, "The server cannot be reached. Check the network and try again."),
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_) => {
                let problem = Problem::invalid("The form came in incomplete. Fill it in and send it again.");
                // No function has begun that could say so.
                crate::answer_status(problem.code.http_status());
                problem
            }
            _ => Problem::internal(),
        })
    }
}
