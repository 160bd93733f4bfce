//! The one error of the services. A [`Problem`] is an answer to the caller; everything else is ours, is logged once where it
//! turns into a problem, and tells the caller nothing about the inside.

use domain::{
    error::{Code, Problem},
    failure::FailureCode,
};

use crate::{
    db::outage::is_outage,
    ports::{blob_store::BlobError, cdn::CdnError, job_queue::QueueError, transcoder::TranscodeError},
    services::storage::no_room,
};

/// What a service can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's doing.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sea_orm::DbErr),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] BlobError),
    /// The CDN.
    #[error("CDN: {0}")]
    Cdn(#[from] CdnError),
    /// The queue.
    #[error("queue: {0}")]
    Queue(#[from] QueueError),
    /// The transcoder.
    #[error("transcoder: {0}")]
    Transcode(#[from] TranscodeError),
    /// The session store.
    #[error("session: {0}")]
    Session(#[from] tower_sessions::session::Error),
    /// An encode that is not fit to be published.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A stored value that cannot be read back, or another broken promise of our own.
    #[error("{0}")]
    Broken(String),
}

/// The services' result.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with an encode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encode is not fit to be published: {0}")]
pub struct Unfit(pub String);

impl Error {
    /// Whether something that is needed does not answer just now: no fault of whoever asked, and worth waiting for.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Database(_)
                | Self::Queue(_)
                | Self::Cdn(_)
                | Self::Store(BlobError::Unavailable(_) | BlobError::Full)
                | Self::Transcode(TranscodeError::Passing(_) | TranscodeError::Full(_))
        )
    }

    /// Whether the database does not answer just now, so that nothing can be read or written down.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Database(error) if is_outage(error))
    }

    /// What a video says while its job waits for this to pass, where there is something to say.
    pub const fn waiting_code(&self) -> Option<FailureCode> {
        match self {
            Self::Store(BlobError::Full) | Self::Transcode(TranscodeError::Full(_)) => Some(FailureCode::WaitingForSpace),
            Self::Store(BlobError::Unavailable(_)) => Some(FailureCode::WaitingForStorage),
            Self::Transcode(TranscodeError::Passing(_)) => Some(FailureCode::WaitingForEngine),
            _ => None,
        }
    }

    /// A stored value that cannot be read back.
    pub fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => problem,
            Error::Store(error) => blob_problem(error),
            // Sessions are rows: that they cannot be had says the same.
            Error::Session(_) | Error::Queue(_) | Error::Cdn(_) | Error::Transcode(TranscodeError::Passing(_)) => unavailable(&error),
            Error::Database(ref cause) if is_outage(cause) => unavailable(&error),
            other => {
                tracing::error!(error = %other, "a request failed on our side");
                Self::internal()
            }
        }
    }
}

/// Something that is needed does not answer: a new request in a moment does better.
fn unavailable(error: &impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "something that is needed does not answer");
    Problem::unavailable()
}

/// When to ask again for an upload that another request has.
const BUSY_FOR_SECONDS: u64 = 2;

fn blob_problem(error: BlobError) -> Problem {
    match error {
        BlobError::NotFound => Problem::not_found(),
        BlobError::ChecksumMismatch => Problem::new(Code::ChecksumMismatch, "The part's bytes differ from its checksum. Send it again."),
        BlobError::SizeMismatch => Problem::new(Code::PartSizeMismatch, "The body has not the length it should have."),
        BlobError::PartsMissing(missing) => {
            let mut problem = Problem::new(Code::PartsMissing, format!("{} parts of the file have not arrived yet.", missing.len()));
            problem.missing = missing;
            problem
        }
        BlobError::RangeNotSatisfiable(size) => Problem::invalid(format!("The range starts behind the end, at {size} bytes.")),
        BlobError::BodyInterrupted(_) => Problem::invalid("The connection broke before the whole body had arrived. Send it again."),
        BlobError::OffsetMismatch(safe) => {
            Problem::new(Code::OffsetMismatch, format!("{safe} bytes of the file are safe here. Go on with the byte after them."))
        }
        BlobError::BegunOtherwise => {
            Problem::new(Code::Conflict, "An upload that was begun in parts goes on in parts, and one that was begun by tus by tus.")
        }
        BlobError::Busy => {
            let problem = Problem::new(Code::Locked, "Another request still writes to this upload. Try again in a moment.");
            Problem { retry_after_seconds: Some(BUSY_FOR_SECONDS), ..problem }
        }
        BlobError::Full => no_room(),
        BlobError::Unavailable(error) => unavailable(&error),
    }
}
