//! The one error of the services. A [`Problem`] is an answer to the caller; everything else is ours, is logged once where it
//! turns into a problem, and tells the caller nothing about the inside.

use domain::error::{Code, Problem};

use crate::ports::{blob_store::BlobError, cdn::CdnError, job_queue::QueueError, transcoder::TranscodeError};

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
                | Self::Transcode(TranscodeError::Passing(_))
        )
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
            other => {
                tracing::error!(error = %other, "a request failed on our side");
                Self::internal()
            }
        }
    }
}

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
        BlobError::Full => {
            Problem::new(Code::StorageFull, "This server has no space left. Make room, or tell whoever runs it, and try again.")
        }
        BlobError::Unavailable(error) => {
            tracing::error!(error = %error, "the store failed");
            Problem::internal()
        }
    }
}
