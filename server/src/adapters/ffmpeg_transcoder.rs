//! The transcoder on this machine: ffmpeg and ffprobe as child processes, sealed off and bounded. A source becomes all its
//! renditions in one process with one decode.
//!
//! Its one rule: no byte of a source is read by anything but our own sniffing before it is inside the sandbox, with the one
//! demuxer that the sniffing named. It needs the two programs and, to seal them off, bubblewrap or a kernel with Landlock; it
//! leaves objects below the request's generation and nothing else.

mod child;
mod codecs;
mod collect;
mod command;
pub mod doctor;
mod encode;
mod engine;
mod failure;
mod fetched;
mod ffprobe;
mod graph;
mod grow;
mod media_file;
mod origin;
mod packets;
mod poster;
mod probe;
mod progress;
mod sandbox;
mod scratch;
mod settings;
mod storing;
mod stragglers;
mod structure;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{source::SourceFacts, storage_key::StorageKey};
use tokio::{sync::OnceCell, task::JoinHandle};
use uuid::Uuid;

use self::{
    encode::Made,
    engine::{Engine, NotReady},
    failure::engine as engine_failure,
    fetched::Fetched,
    progress::Progress,
    storing::Storing,
};
pub use self::{
    sandbox::exec::role as sandbox_role,
    settings::{FfmpegSettings, Limits, SandboxMode},
};
use crate::ports::{
    blob_store::BlobStore,
    transcoder::{TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
};

/// Transcodes by local ffmpeg processes.
#[derive(Debug)]
pub struct FfmpegTranscoder {
    settings: FfmpegSettings,
    store: Arc<dyn BlobStore>,
    engine: OnceCell<Arc<Engine>>,
    encodes: Mutex<HashMap<String, Encode>>,
    fetched: Arc<Fetched>,
}

/// An encode that nobody has asked to its end yet.
#[derive(Debug)]
struct Encode {
    progress: Arc<Progress>,
    storing: Storing,
    task: JoinHandle<Result<Made, TranscodeError>>,
}

impl FfmpegTranscoder {
    /// A transcoder that reads sources from `store` and stores renditions there. The programs are looked for at first use.
    pub fn new(settings: FfmpegSettings, store: Arc<dyn BlobStore>) -> Self {
        Self { settings, store, engine: OnceCell::new(), encodes: Mutex::new(HashMap::new()), fetched: Arc::default() }
    }

    /// The programs, once they are found; a failure is tried again the next time.
    async fn engine(&self) -> Result<&Arc<Engine>, NotReady> {
        let find = async || {
            scratch::sweep(&self.settings.scratch).await.map_err(|error| engine_failure("the scratch folder cannot be used", error))?;
            Engine::find(&self.settings).await.map(Arc::new)
        };
        self.engine.get_or_try_init(find).await
    }

    fn encodes(&self) -> MutexGuard<'_, HashMap<String, Encode>> {
        // Nothing that can panic happens under the lock, and a map of handles is never half changed.
        self.encodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Transcoder for FfmpegTranscoder {
    fn keeps_sources(&self) -> bool {
        true
    }

    async fn refusal(&self) -> Option<String> {
        match self.engine().await {
            Err(NotReady::NoSandbox(reason)) => Some(reason),
            // Whatever else is wrong shows with the first job, as it may be that job's.
            Err(NotReady::Broken(_)) => None,
            Ok(engine) => engine.refusal().await,
        }
    }

    async fn probe(&self, source: &StorageKey) -> Result<SourceFacts, TranscodeError> {
        let engine = self.engine().await?;
        let file = self.fetched.get(self.store.as_ref(), source, &self.settings.scratch).await?;
        let facts = probe::probe(engine, file.path()).await?;
        self.fetched.keep(source, file);
        Ok(facts)
    }

    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError> {
        let engine = Arc::clone(self.engine().await?);
        let id = Uuid::new_v4().to_string();
        let (progress, storing) = (Arc::new(Progress::default()), Storing::new(&self.store));
        let (store, scratch) = (Arc::clone(&self.store), self.settings.scratch.clone());
        let by = (storing.clone(), Arc::clone(&progress));
        let task = tokio::spawn(encode::encode(engine, store, scratch, Arc::clone(&self.fetched), request, by));
        self.encodes().insert(id.clone(), Encode { progress, storing, task });
        Ok(TranscodeId(id))
    }

    async fn poll(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError> {
        let finished = {
            let mut encodes = self.encodes();
            match encodes.get(&id.0) {
                None => return Err(TranscodeError::Engine("there is no such encode in this process".to_owned())),
                Some(encode) if !encode.task.is_finished() => {
                    let progress = &encode.progress;
                    let (percent, poster, grown) = (progress.percent(), progress.poster(), progress.take_grown());
                    return Ok(TranscodeState::Running { percent, poster, grown });
                }
                Some(_) => encodes.remove(&id.0),
            }
        };
        let Some(encode) = finished else { return Err(TranscodeError::Engine("the encode is gone".to_owned())) };
        let made = encode.task.await.map_err(|error| engine_failure("the encode broke off", error))??;
        Ok(TranscodeState::Done { renditions: made.renditions, poster: made.poster })
    }

    async fn leftovers(&self, remove: bool) -> Result<Vec<String>, TranscodeError> {
        let found = scratch::abandoned(&self.settings.scratch, remove).await;
        let found = found.map_err(|error| engine_failure("the scratch folder cannot be used", error))?;
        Ok(found.into_iter().map(|path| path.display().to_string()).collect())
    }

    async fn cancel(&self, id: &TranscodeId) -> Result<(), TranscodeError> {
        let encode = self.encodes().remove(&id.0);
        if let Some(encode) = encode {
            encode.task.abort();
            // Waits until its process and folder are let go. What it came to in the end nobody wants to know.
            let _ = encode.task.await;
            encode.storing.settled().await;
        }
        Ok(())
    }
}

impl Drop for FfmpegTranscoder {
    fn drop(&mut self) {
        for encode in self.encodes().values() {
            encode.task.abort();
        }
    }
}
