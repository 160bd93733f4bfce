//! The addresses of tus, which speak by headers.

use domain::error::Code;
use utoipa::openapi::HttpMethod;

use super::{
    operations::{Access, Carries, Route, Takes},
    routes::UPLOAD,
};

const TUS: &str = "Uploads by tus";
const RESUMABLE: Takes = Takes::Header("Tus-Resumable", "The version of the protocol.", "^1\\.0\\.0$", true);
const UPLOAD_CHECKSUM: Takes = Takes::Header(
    "Upload-Checksum",
    "What the body's bytes come to: `sha1`, `sha256` or `crc32c`, a space, and Base64.",
    "^(sha1|sha256|crc32c) [A-Za-z0-9+/]+=*$",
    false,
);

/// Of a POST that sends bytes in disguise: as PATCH, and that it may mean another method.
const IN_DISGUISE: &[Code] = &[
    Code::MethodNotAllowed,
    Code::InvalidInput,
    Code::NotFound,
    Code::Conflict,
    Code::OffsetMismatch,
    Code::PieceMismatch,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::UnsupportedVersion,
    Code::Locked,
    Code::TooSlow,
    Code::StorageFull,
    Code::NotOffered,
];
const SENDING: &[Code] = match IN_DISGUISE {
    [_, sending @ ..] => sending,
    [] => &[],
};

/// What is the same at the addresses of all uploads.
const AT_AN_UPLOAD: Route = Route {
    method: HttpMethod::Head,
    path: "/api/v1/tus/{upload}",
    tag: TUS,
    summary: "",
    access: Access::Known,
    takes: &[UPLOAD, RESUMABLE],
    body: Carries::Nothing,
    answers: &[],
    refuses: &[],
};

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: HttpMethod::Post,
        path: "/api/v1/tus",
        summary: "Begin an upload by tus 1.0, maybe with its first bytes",
        takes: &[
            RESUMABLE,
            Takes::Header("Upload-Length", "Bytes in the file.", "^[0-9]{1,18}$", true),
            Takes::Header(
                "Upload-Metadata",
                "Names and Base64 values, by commas: `filename` or `name`, and `title`. Others are read past.",
                "^[a-z]+ [A-Za-z0-9+/]{4}$",
                false,
            ),
        ],
        answers: &[(201, "It has begun: `Location` says where it goes on, `Millrace-Video-Id` what it becomes.", Carries::Nothing)],
        refuses: &[
            Code::InvalidInput,
            Code::EmptyFile,
            Code::TooLarge,
            Code::QuotaExceeded,
            Code::TooManyUploads,
            Code::UnsupportedVersion,
            Code::TooSlow,
            Code::Locked,
            Code::StorageFull,
            Code::NotOffered,
        ],
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Options,
        path: "/api/v1/tus",
        summary: "Ask what of tus there is",
        access: Access::Link,
        takes: &[],
        answers: &[(204, "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size` and `Tus-Checksum-Algorithm` say it.", Carries::Nothing)],
        refuses: &[Code::NotOffered],
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Head,
        summary: "Ask how many bytes are safe (`Upload-Offset`)",
        answers: &[(200, "The answer's headers say it. Whoever was sending is stopped.", Carries::Nothing)],
        refuses: &[Code::NotFound, Code::Conflict, Code::UnsupportedVersion, Code::Locked, Code::NotOffered],
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Patch,
        summary: "Send more bytes; the last ones complete the upload",
        takes: &[UPLOAD, RESUMABLE, Takes::Header("Upload-Offset", "The byte that comes first.", "^[0-9]{1,18}$", true), UPLOAD_CHECKSUM],
        body: Carries::Bytes("application/offset+octet-stream"),
        answers: &[(204, "They are safe, up to `Upload-Offset`.", Carries::Nothing)],
        refuses: SENDING,
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Delete,
        summary: "Give up an upload",
        answers: &[(204, "It is gone, with its video.", Carries::Nothing)],
        refuses: &[Code::NotFound, Code::Conflict, Code::UnsupportedVersion],
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Post,
        summary: "PATCH, HEAD or DELETE in disguise, for networks that let POST alone through",
        takes: &[
            UPLOAD,
            RESUMABLE,
            Takes::Header("X-HTTP-Method-Override", "The method that is meant.", "^(PATCH|HEAD|DELETE)$", true),
            Takes::Header("Upload-Offset", "The byte that comes first, with PATCH.", "^[0-9]{1,18}$", false),
            UPLOAD_CHECKSUM,
        ],
        body: Carries::Bytes("application/offset+octet-stream"),
        answers: &[(200, "As HEAD.", Carries::Nothing), (204, "As PATCH and DELETE.", Carries::Nothing)],
        refuses: IN_DISGUISE,
        ..AT_AN_UPLOAD
    },
    Route {
        method: HttpMethod::Options,
        summary: "Ask what of tus there is",
        access: Access::Link,
        takes: &[UPLOAD],
        answers: &[(204, "As at `/api/v1/tus`.", Carries::Nothing)],
        refuses: &[Code::NotOffered],
        ..AT_AN_UPLOAD
    },
];
