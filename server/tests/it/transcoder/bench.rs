//! A bench to put a file on: a store, a transcoder, and ffmpeg for making inputs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use domain::{
    failure::FailureCode,
    ids::{GenerationId, JobId, UploadId, VideoId},
    ladder::{self, Ladder},
    source::SourceFacts,
    storage_key::StorageKey,
};
use server::{
    adapters::{
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
    },
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use super::outcome::Outcome;

pub(super) struct Bench {
    folder: TempDir,
    pub(super) store: Arc<FsStore>,
    pub(super) settings: FfmpegSettings,
    pub(super) transcoder: FfmpegTranscoder,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(SandboxMode::Auto, Limits::default()).await
    }

    pub(super) async fn with(sandbox: SandboxMode, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
        let settings = FfmpegSettings {
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            scratch: folder.path().join("scratch"),
            helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
            sandbox,
            // Tests run side by side: one thread each is what the machine has for them.
            limits: Limits { threads: 2, ..limits },
        };
        let transcoder = FfmpegTranscoder::new(settings.clone(), store.clone());
        Self { folder, store, settings, transcoder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file with ffmpeg; `arguments` are separated by spaces.
    pub(super) fn make(&self, arguments: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(arguments.split_whitespace())
            .arg(&path)
            .output()
            .expect("ffmpeg runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// A file in `tests/media`.
    pub(super) fn clip(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media").join(name)
    }

    /// Puts a copy of a file into the store.
    pub(super) async fn upload(&self, file: &Path) -> StorageKey {
        let key = StorageKey::Source { upload: UploadId(Uuid::new_v4()) };
        let copy = self.path(&format!("upload-{}", Uuid::new_v4()));
        std::fs::copy(file, &copy).expect("a copy");
        self.store.put_file(&key, &copy).await.expect("the store takes it");
        key
    }

    pub(super) async fn probe(&self, file: &Path) -> Result<SourceFacts, TranscodeError> {
        let key = self.upload(file).await;
        self.transcoder.probe(&key).await
    }

    /// The reason why a file is refused by the probe.
    pub(super) async fn refusal(&self, file: &Path) -> FailureCode {
        match self.probe(file).await {
            Err(TranscodeError::Source { code, .. }) => code,
            other => panic!("{} is not refused: {other:?}", file.display()),
        }
    }

    pub(super) async fn start(&self, source: StorageKey, facts: &SourceFacts, ladder: &Ladder) -> (TranscodeId, GenerationId) {
        let generation = GenerationId(Uuid::new_v4());
        let request = TranscodeRequest {
            job: JobId(Uuid::new_v4()),
            video: VideoId(Uuid::new_v4()),
            generation,
            source,
            facts: facts.clone(),
            ladder: ladder.clone(),
        };
        (self.transcoder.start(request).await.expect("it starts"), generation)
    }

    pub(super) async fn finish(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError> {
        loop {
            match self.transcoder.poll(id).await? {
                TranscodeState::Running { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
                done => return Ok(done),
            }
        }
    }

    /// The whole way of a file.
    pub(super) async fn transcode(&self, file: &Path) -> Result<Outcome, TranscodeError> {
        let key = self.upload(file).await;
        let facts = self.transcoder.probe(&key).await?;
        let ladder = ladder::plan(&facts);
        let (id, generation) = self.start(key, &facts, &ladder).await;
        let TranscodeState::Done { renditions, poster } = self.finish(&id).await? else { panic!("finish() waits for the end") };
        let published = self.folder.path().join("store").join(StorageKey::generation_prefix(generation));
        let outcome = Outcome { facts, ladder, renditions, poster, published };
        outcome.write_playlists();
        assert_eq!(self.scratch_entries(), 0, "the scratch folder is empty again");
        Ok(outcome)
    }

    /// Folders left below the scratch folder, once those on their way out had a moment.
    pub(super) fn scratch_entries(&self) -> usize {
        let count = || std::fs::read_dir(self.path("scratch")).map_or(0, Iterator::count);
        for _ in 0..1_500 {
            if count() == 0 {
                return 0;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        count()
    }
}
