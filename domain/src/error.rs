//! What the wire says when a request is refused: a stable code, an HTTP status and a sentence for people. Both
//! server functions and REST answer with [`Problem`]; adapters and services map their own errors to it once.

use serde::{Deserialize, Serialize};

/// Stable codes of refused requests. The spelling on the wire (snake case) is promised to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No or wrong credentials.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// The key is right, and not allowed this.
    ForbiddenScope,
    /// No such thing, or not the caller's.
    NotFound,
    /// The address does not take the method.
    MethodNotAllowed,
    /// A field has a value that cannot be taken.
    InvalidInput,
    /// The request does not fit the state the thing is in.
    Conflict,
    /// Nothing of the video can be played yet.
    NotPlayable,
    /// The upload lacks parts.
    PartsMissing,
    /// A part's bytes differ from the checksum sent with it.
    ChecksumMismatch,
    /// A part has another length than its place in the plan.
    PartSizeMismatch,
    /// An upload by tus goes on at another byte than the server.
    OffsetMismatch,
    /// A piece of an upload by tus differs from the checksum sent with it.
    PieceMismatch,
    /// Another request has the upload and does not let go of it.
    Locked,
    /// The client speaks a version of a protocol that the server does not.
    UnsupportedVersion,
    /// The body is of a type that the address does not take.
    UnsupportedMediaType,
    /// This server, as it is set up, does not have what was asked for.
    NotOffered,
    /// The file or body is larger than allowed.
    TooLarge,
    /// The file has no bytes.
    EmptyFile,
    /// Too many tries; wait.
    RateLimited,
    /// The body came in too slowly.
    TooSlow,
    /// The link or grant has expired or was never valid.
    GrantRefused,
    /// The account may store no more; deleting makes room.
    QuotaExceeded,
    /// The account has too many uploads that are not complete.
    TooManyUploads,
    /// The store is out of space.
    StorageFull,
    /// Signing up is closed on this server.
    RegistrationClosed,
    /// The account exists.
    EmailTaken,
    /// Something that is needed does not answer just now; the same request works again in a moment.
    Unavailable,
    /// Our fault; the log knows more.
    Internal,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::ForbiddenScope | Self::GrantRefused | Self::RegistrationClosed => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::InvalidInput | Self::EmptyFile => 400,
            Self::Conflict | Self::NotPlayable | Self::PartsMissing | Self::OffsetMismatch | Self::EmailTaken | Self::TooManyUploads => 409,
            Self::UnsupportedVersion => 412,
            Self::UnsupportedMediaType => 415,
            Self::Locked => 423,
            // As tus has it.
            Self::PieceMismatch => 460,
            Self::NotOffered => 501,
            Self::ChecksumMismatch | Self::PartSizeMismatch => 422,
            Self::TooLarge | Self::QuotaExceeded => 413,
            Self::TooSlow => 408,
            Self::RateLimited => 429,
            Self::StorageFull => 507,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// The code as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::ForbiddenScope => "forbidden_scope",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidInput => "invalid_input",
            Self::Conflict => "conflict",
            Self::NotPlayable => "not_playable",
            Self::PartsMissing => "parts_missing",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::PartSizeMismatch => "part_size_mismatch",
            Self::OffsetMismatch => "offset_mismatch",
            Self::PieceMismatch => "piece_mismatch",
            Self::Locked => "locked",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotOffered => "not_offered",
            Self::TooLarge => "too_large",
            Self::EmptyFile => "empty_file",
            Self::TooSlow => "too_slow",
            Self::RateLimited => "rate_limited",
            Self::GrantRefused => "grant_refused",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooManyUploads => "too_many_uploads",
            Self::StorageFull => "storage_full",
            Self::RegistrationClosed => "registration_closed",
            Self::EmailTaken => "email_taken",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// When to ask again what could not be answered: short, since most outages are, and long enough for a restart.
const UNAVAILABLE_FOR_SECONDS: u64 = 3;

/// A refused request: RFC 9457 with our code as an extension member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// What a program acts on.
    pub code: Code,
    /// What a person reads: one sentence that says what is wrong and, where it can, what to do.
    pub detail: String,
    /// Seconds after which a new try makes sense (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// Numbers of the parts that have not arrived, for [`Code::PartsMissing`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<u32>,
}

impl Problem {
    /// A problem with this code and sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_seconds: None, missing: Vec::new() }
    }

    /// The one answer for things that do not exist and things of somebody else.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here, or it is not yours.")
    }

    /// The answer to missing or wrong credentials.
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "Sign in, or send an API key.")
    }

    /// The answer for faults of ours, which say nothing about the inside.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on the server. Try again in a moment.")
    }

    /// The answer while something that is needed does not answer: nothing is lost, and asking again soon helps.
    pub fn unavailable() -> Self {
        let detail = "The server cannot reach its database or its storage at the moment. Nothing is lost: try again in a few seconds.";
        Self { retry_after_seconds: Some(UNAVAILABLE_FOR_SECONDS), ..Self::new(Code::Unavailable, detail) }
    }

    /// A field that cannot be taken.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_spelling_is_the_serde_spelling() {
        for code in [Code::Unauthenticated, Code::PartsMissing, Code::GrantRefused, Code::EmailTaken, Code::Unavailable, Code::Internal] {
            assert_eq!(serde_json::to_value(code).expect("a code is a string"), code.as_str());
        }
    }
}
