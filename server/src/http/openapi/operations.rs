//! What is said of an address, and how that becomes an operation of the description.

use domain::error::Code;
use utoipa::openapi::{
    Content, HttpMethod, ObjectBuilder, Ref, Required, Response, ResponseBuilder, Type,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
    schema::{KnownFormat, Schema, SchemaFormat},
    security::SecurityRequirement,
};

use super::{KEY, SESSION};

/// One address with one method.
pub(super) struct Route {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    /// What it does, for people.
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) takes: &'static [Takes],
    pub(super) body: Carries,
    /// Status, meaning and content where all goes well.
    pub(super) answers: &'static [(u16, &'static str, Carries)],
    pub(super) refuses: &'static [Code],
}

/// Who may ask.
pub(super) enum Access {
    /// Somebody known.
    Known,
    /// Anybody; somebody known may see more.
    Anybody,
    /// Whoever has the link: credentials are not read.
    Link,
}

/// What stands in the path, the query or a header.
pub(super) enum Takes {
    /// A UUID in the path.
    Id(&'static str, &'static str),
    /// A text in the path.
    Text(&'static str, &'static str),
    /// The part's number in the path.
    PartNumber,
    /// The video's UUID in the query.
    Video,
    /// An optional number of pixels in the query.
    Pixels(&'static str),
    /// An optional number in the query, and the largest that it may be.
    UpTo(&'static str, &'static str, u32),
    /// An optional UUID in the query.
    Behind(&'static str, &'static str),
    /// A text in the query, and whether it must be there.
    Query(&'static str, &'static str, bool),
    /// One of some words in the query.
    OneOf(&'static str, &'static str, &'static [&'static str]),
    /// The part's checksum in a header.
    Checksum,
    /// A header with its pattern, and whether it must be there.
    Header(&'static str, &'static str, &'static str, bool),
}

/// What a body holds.
pub(super) enum Carries {
    Nothing,
    /// The schema of this name as JSON.
    Json(&'static str),
    /// Bytes of this type.
    Bytes(&'static str),
    /// Text of this type.
    Plain(&'static str),
    /// The form of an upload in one request.
    Form,
}

impl Route {
    pub(super) fn operation(&self) -> Operation {
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(self.summary))
            .operation_id(Some(format!("{}{}", method_name(&self.method), self.path)))
            .request_body(request_body(&self.body))
            .securities(Some(self.access.requirements()));
        for takes in self.takes {
            operation = operation.parameter(takes.parameter());
        }
        for (status, meaning, carries) in self.answers {
            operation = operation.response(status.to_string(), answer(meaning, carries));
        }
        let own = self.access.refuses().iter().chain(self.refuses).copied();
        for (status, codes) in by_status(own) {
            operation = operation.response(status.to_string(), refusal(&codes));
        }
        operation.build()
    }
}

impl Access {
    fn requirements(&self) -> Vec<SecurityRequirement> {
        let nobody = SecurityRequirement::default();
        let known = [KEY, SESSION].map(|scheme| SecurityRequirement::new(scheme, [""; 0]));
        match self {
            Self::Known => known.into(),
            Self::Anybody => [nobody].into_iter().chain(known).collect(),
            Self::Link => vec![nobody],
        }
    }

    fn refuses(&self) -> &'static [Code] {
        match self {
            Self::Known => &[Code::Unauthenticated, Code::ForbiddenScope, Code::RateLimited, Code::Unavailable],
            Self::Anybody => &[Code::Unauthenticated, Code::RateLimited, Code::Unavailable],
            Self::Link => &[Code::RateLimited, Code::Unavailable],
        }
    }
}

/// The codes that share a status, which share a row of the description.
fn by_status(codes: impl Iterator<Item = Code>) -> std::collections::BTreeMap<u16, Vec<Code>> {
    let mut rows = std::collections::BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        rows.entry(code.http_status()).or_default().push(code);
    }
    rows
}

impl Takes {
    fn parameter(&self) -> Parameter {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let uuid = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        let whole = |most: u32| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most));
        let (place, name, about, required, schema) = match self {
            Self::Id(name, about) => (ParameterIn::Path, *name, *about, true, uuid()),
            Self::Text(name, about) => (ParameterIn::Path, *name, *about, true, text()),
            Self::PartNumber => (ParameterIn::Path, "number", "Parts are numbered from 1.", true, whole(10_000)),
            Self::Video => (ParameterIn::Query, "videoId", "The video.", true, uuid()),
            Self::Pixels(name) => (ParameterIn::Query, *name, "At most so many pixels.", false, whole(u32::MAX)),
            Self::UpTo(name, about, most) => (ParameterIn::Query, *name, *about, false, whole(*most)),
            Self::Behind(name, about) => (ParameterIn::Query, *name, *about, false, uuid()),
            Self::Query(name, about, required) => (ParameterIn::Query, *name, *about, *required, text()),
            Self::OneOf(name, about, words) => (ParameterIn::Query, *name, *about, false, text().enum_values(Some(words.iter().copied()))),
            Self::Header(name, about, pattern, required) => (ParameterIn::Header, *name, *about, *required, text().pattern(Some(*pattern))),
            Self::Checksum => {
                let hexadecimal = text().pattern(Some("^[0-9a-fA-F]{8}$"));
                let about = "CRC32C (Castagnoli) of the part's bytes, as eight hexadecimal digits.";
                (ParameterIn::Header, domain::upload::CHECKSUM_HEADER, about, true, hexadecimal)
            }
        };
        let required = if required { Required::True } else { Required::False };
        ParameterBuilder::new().name(name).parameter_in(place).description(Some(about)).required(required).schema(Some(schema)).build()
    }
}

impl Carries {
    /// Type and shape; `None` for an empty body.
    fn content(&self) -> Option<(&'static str, Content)> {
        match self {
            Self::Nothing => None,
            Self::Json(name) => Some(("application/json", Content::new(Some(Ref::from_schema_name(*name))))),
            Self::Bytes(kind) => Some((kind, Content::new::<Schema>(None))),
            Self::Plain(kind) => Some((kind, Content::new(Some(ObjectBuilder::new().schema_type(Type::String))))),
            Self::Form => {
                let text = || ObjectBuilder::new().schema_type(Type::String);
                let file = text().content_media_type("application/octet-stream").description(Some("The video."));
                let title = text().max_length(Some(4096)).description(Some("The file's name without its extension where absent."));
                let form = ObjectBuilder::new().property("file", file).property("title", title).required("file");
                Some(("multipart/form-data", Content::new(Some(form))))
            }
        }
    }
}

fn request_body(carries: &Carries) -> Option<RequestBody> {
    let (kind, content) = carries.content()?;
    Some(RequestBodyBuilder::new().required(Some(Required::True)).content(kind, content).build())
}

fn answer(meaning: &str, carries: &Carries) -> Response {
    let response = ResponseBuilder::new().description(meaning);
    match carries.content() {
        Some((kind, content)) => response.content(kind, content).build(),
        None => response.build(),
    }
}

fn refusal(codes: &[Code]) -> Response {
    let words: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(words.join(", ")).content("application/problem+json", content).build()
}

/// As it is written on the wire.
pub(super) fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        HttpMethod::Patch => "patch",
        HttpMethod::Head => "head",
        _ => "other",
    }
}
