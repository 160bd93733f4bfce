//! What makes renditions of a source. Start, poll, cancel: a child process and a remote job look alike from here.

use std::fmt::Debug;

use domain::{
    ids::{GenerationId, JobId, VideoId},
    ladder::Ladder,
    playlist::Rendition,
    source::SourceFacts,
    storage_key::StorageKey,
    video::FailureCode,
};

/// File name of the poster below its generation.
pub const POSTER_FILE: &str = "poster.jpg";

/// Why there are no facts or no renditions.
#[derive(Debug, thiserror::Error)]
pub enum TranscodeError {
    /// The file is to blame: trying again ends the same way.
    #[error("the source cannot be used ({}): {detail}", .code.as_str())]
    Source {
        /// What is wrong with it.
        code: FailureCode,
        /// What the engine said, for the log and the owner's details.
        detail: String,
    },
    /// The machinery is to blame: a new try may help.
    #[error("transcoding failed: {0}")]
    Engine(String),
}

/// One encode of one source.
#[derive(Debug, Clone)]
pub struct TranscodeRequest {
    /// The job it is done for; with `generation` it names the attempt.
    pub job: JobId,
    /// The video it is done for.
    pub video: VideoId,
    /// Where results go: objects are stored below this generation's prefix and nowhere else.
    pub generation: GenerationId,
    /// The bytes to encode.
    pub source: StorageKey,
    /// What [`Transcoder::probe`] found.
    pub facts: SourceFacts,
    /// What to make.
    pub ladder: Ladder,
}

/// An engine's name for a running encode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscodeId(pub String);

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
pub enum TranscodeState {
    /// Still running.
    Running {
        /// Percent of the source's length that is encoded, 0 to 100.
        percent: u8,
        /// Whether the poster is stored already.
        poster: bool,
    },
    /// All objects are stored below the generation.
    Done {
        /// What was made.
        renditions: Vec<Rendition>,
        /// Whether there is a poster.
        poster: bool,
    },
}

/// An engine that looks at sources and encodes them.
#[async_trait::async_trait]
pub trait Transcoder: Debug + Send + Sync {
    /// Looks at a source.
    async fn probe(&self, source: &StorageKey) -> Result<SourceFacts, TranscodeError>;

    /// Starts an encode and returns at once.
    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError>;

    /// How far an encode is. An error means that it is over. After `Done` or an error the engine has forgotten the encode.
    async fn poll(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError>;

    /// Stops an encode and frees what it holds outside the store. No error where there is none.
    async fn cancel(&self, id: &TranscodeId);
}
