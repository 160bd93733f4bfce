//! What makes renditions of a source. Start, poll, cancel: a child process and a remote job look alike from here.

use std::fmt::Debug;

use domain::{
    failure::FailureCode,
    ids::{GenerationId, JobId, VideoId},
    ladder::Ladder,
    playlist::Rendition,
    source::SourceFacts,
    storage_key::StorageKey,
};
use serde::{Deserialize, Serialize};

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
    /// There is no room for what it makes. Once there is, trying again helps.
    #[error("there is no room to work in: {0}")]
    Full(String),
    /// Something that is needed does not answer just now. What runs elsewhere goes on; asking again later helps.
    #[error("transcoding has to wait: {0}")]
    Passing(String),
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
        /// What is finished and stored since it was last asked, of every rendition some or nothing of any yet. Engines that cannot tell
        /// say nothing.
        grown: Vec<Grown>,
    },
    /// All objects are stored below the generation.
    Done {
        /// What was made.
        renditions: Vec<Rendition>,
        /// Whether there is a poster.
        poster: bool,
    },
}

/// Finished segments of a rendition whose encode is still running.
#[derive(Debug, Clone, PartialEq)]
pub struct Grown {
    /// The rendition; its playlist names nothing but the init segment and what is new.
    pub rendition: Rendition,
    /// How many segments it had before these.
    pub first: usize,
    /// Seconds that no segment of the generation exceeds, rounded, as long as more of it is told of.
    pub target_seconds: u64,
}

/// What an engine tells by itself about an encode that runs elsewhere. It may be lost, doubled, late or out of order, and may reach another
/// process than the one that waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// The job it was started for.
    pub job: JobId,
    /// The encode.
    pub encode: TranscodeId,
    /// When the engine wrote it, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// What it says.
    pub news: EncodeNews,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EncodeNews {
    /// So many percent of the whole encode are done.
    Progress {
        /// 0 to 100.
        percent: u8,
    },
    /// All objects are stored.
    Done,
    /// It ended badly.
    Failed {
        /// The engine's own code.
        code: String,
        /// What it said.
        detail: String,
    },
    /// Somebody stopped it.
    Canceled,
}

impl EncodeNews {
    /// Whether nothing comes after it.
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Progress { .. })
    }
}

/// An engine that looks at sources and encodes them.
#[async_trait::async_trait]
pub trait Transcoder: Debug + Send + Sync {
    /// Why no work may be given to this engine now, as a sentence for the operator; `None` where it may. Jobs wait meanwhile and lose no
    /// try; it is asked again before each.
    async fn refusal(&self) -> Option<String> {
        None
    }

    /// Whether a plan may leave to the source itself what would be copied ([`Ladder::beside`]).
    fn keeps_sources(&self) -> bool {
        false
    }

    /// Looks at a source.
    async fn probe(&self, source: &StorageKey) -> Result<SourceFacts, TranscodeError>;

    /// Starts an encode and returns at once. Starting the same job and generation again, because the answer was lost, does not encode twice
    /// where the engine runs elsewhere.
    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError>;

    /// Whether encodes go on when this process ends. Then a process that ends leaves them, and the next one [`Transcoder::resume`]s them.
    fn outlives_process(&self) -> bool {
        false
    }

    /// Goes on with an encode that another process started for this job and generation; `known` is its name, where it was noted. `None` where
    /// there is none to go on with.
    async fn resume(&self, request: &TranscodeRequest, known: Option<&TranscodeId>) -> Result<Option<TranscodeId>, TranscodeError> {
        let _ = (request, known);
        Ok(None)
    }

    /// Takes note of a report; [`Transcoder::poll`] says what came of it. Reports of encodes that are not this process's are ignored.
    fn hear(&self, report: &EncodeReport) {
        let _ = report;
    }

    /// What encodes left behind outside the store whose process died, as paths for whoever runs the server; with `remove`, it is removed.
    async fn leftovers(&self, remove: bool) -> Result<Vec<String>, TranscodeError> {
        let _ = remove;
        Ok(Vec::new())
    }

    /// How far an encode is. An error means that it is over. After `Done` or an error the engine has forgotten the encode.
    async fn poll(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError>;

    /// Stops an encode and frees what it holds outside the store. Nothing happens where there is none.
    ///
    /// # Errors
    /// It may still run; trying again may help.
    async fn cancel(&self, id: &TranscodeId) -> Result<(), TranscodeError>;

    /// The same for whatever encode was started for a generation, where nobody came to note its name.
    async fn cancel_generation(&self, generation: GenerationId) -> Result<(), TranscodeError> {
        let _ = generation;
        Ok(())
    }
}
