//! An engine that runs elsewhere, made of memory: one [`Engine`] for all processes, one [`FakeTranscoder`] a process. Tests say when it
//! answers, how far it is, and what it tells.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{
    container::Container,
    ids::{GenerationId, JobId},
    playlist::{MediaPlaylist, Rendition, Segment, Track},
    source::{FrameRate, SourceFacts, VideoFacts},
    storage_key::StorageKey,
};
use server::ports::transcoder::{EncodeNews, EncodeReport, TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder};
use tokio::sync::watch;

/// How it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// Encodes go on when a process ends.
    pub(crate) outlives: bool,
    /// Encodes are done as soon as they have started.
    pub(crate) at_once: bool,
    /// Nobody gets to know an encode's state but by reports.
    pub(crate) silent: bool,
}

/// The engine, as all processes share it.
#[derive(Debug)]
pub(crate) struct Engine {
    manners: Manners,
    /// Whether sources can be looked at: until then a look lasts.
    pub(crate) looks: watch::Sender<bool>,
    /// Whether an answer to a start arrives.
    pub(crate) answers: watch::Sender<bool>,
    /// Whether what it makes is not fit to be published.
    pub(crate) spoil: AtomicBool,
    /// Whether it cannot be reached at this time.
    pub(crate) away: AtomicBool,
    /// Whether it refuses to work.
    pub(crate) refuses: AtomicBool,
    seen: Mutex<Seen>,
}

/// What it did, for tests to read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Looks begun.
    pub(crate) looks: usize,
    /// Encodes by name, in the order they started.
    pub(crate) started: Vec<(TranscodeId, JobId, GenerationId)>,
    /// What was asked to go on with.
    pub(crate) resumed: Vec<(JobId, Option<TranscodeId>)>,
    /// What was asked to stop.
    pub(crate) canceled: Vec<TranscodeId>,
    /// Where encodes are.
    pub(crate) news: HashMap<TranscodeId, EncodeNews>,
    /// Objects by generation, with their sizes.
    pub(crate) objects: HashMap<GenerationId, HashMap<String, u64>>,
}

impl Engine {
    pub(crate) fn new(manners: Manners) -> Arc<Self> {
        Arc::new(Self {
            manners,
            looks: watch::Sender::new(true),
            answers: watch::Sender::new(true),
            spoil: AtomicBool::new(false),
            away: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panicked with it")
    }

    /// How often a job's encode was started.
    pub(crate) fn starts(&self, job: JobId) -> usize {
        self.seen().started.iter().filter(|(_, of, _)| *of == job).count()
    }

    /// The one encode that was started for a job.
    pub(crate) fn encode_of(&self, job: JobId) -> Option<TranscodeId> {
        self.seen().started.iter().find(|(_, of, _)| *of == job).map(|(id, _, _)| id.clone())
    }

    /// Takes an encode further.
    pub(crate) fn set(&self, encode: &TranscodeId, news: EncodeNews) {
        self.seen().news.insert(encode.clone(), news);
    }

    fn reached(&self) -> Result<(), TranscodeError> {
        if self.away.load(Ordering::Relaxed) { Err(TranscodeError::Passing("nobody answers".into())) } else { Ok(()) }
    }

    fn start(&self, job: JobId, generation: GenerationId) -> TranscodeId {
        let mut seen = self.seen();
        let encode = TranscodeId(format!("encode-{}", seen.started.len() + 1));
        seen.started.push((encode.clone(), job, generation));
        let news = if self.manners.at_once { EncodeNews::Done } else { EncodeNews::Progress { percent: 0 } };
        seen.news.insert(encode.clone(), news);
        let files = rendition().playlist.segments.into_iter().map(|segment| (segment.file, segment.bytes));
        let more = u64::from(self.spoil.load(Ordering::Relaxed));
        let files = files
            .map(|(file, bytes)| (file, bytes + more))
            .chain([("init.mp4".to_owned(), 700)])
            .map(|(file, bytes)| (rendition().path(&file), bytes))
            .collect();
        seen.objects.insert(generation, files);
        encode
    }
}

/// One process's hold on the engine.
#[derive(Debug)]
pub(crate) struct FakeTranscoder {
    engine: Arc<Engine>,
    heard: Mutex<HashMap<TranscodeId, EncodeNews>>,
}

impl FakeTranscoder {
    pub(crate) fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), heard: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Transcoder for FakeTranscoder {
    async fn refusal(&self) -> Option<String> {
        self.engine.refuses.load(Ordering::Relaxed).then(|| "no sandbox works; videos wait".to_owned())
    }

    async fn probe(&self, _source: &StorageKey) -> Result<SourceFacts, TranscodeError> {
        self.engine.seen().looks += 1;
        opened(&self.engine.looks).await;
        Ok(facts())
    }

    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError> {
        self.engine.reached()?;
        let encode = self.engine.start(request.job, request.generation);
        opened(&self.engine.answers).await;
        Ok(encode)
    }

    fn outlives_process(&self) -> bool {
        self.engine.manners.outlives
    }

    async fn resume(&self, request: &TranscodeRequest, known: Option<&TranscodeId>) -> Result<Option<TranscodeId>, TranscodeError> {
        self.engine.reached()?;
        let mut seen = self.engine.seen();
        seen.resumed.push((request.job, known.cloned()));
        let same = seen.started.iter().find(|(_, job, generation)| (*job, *generation) == (request.job, request.generation));
        Ok(same.map(|(encode, _, _)| encode.clone()))
    }

    fn hear(&self, report: &EncodeReport) {
        self.heard.lock().expect("not poisoned").insert(report.encode.clone(), report.news.clone());
    }

    async fn poll(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError> {
        let asked = self.engine.seen().news.get(id).cloned().filter(|_| !self.engine.manners.silent);
        let news = self.heard.lock().expect("not poisoned").get(id).cloned().or(asked);
        match news {
            None => Ok(TranscodeState::Running { percent: 0, poster: false, grown: Vec::new() }),
            Some(EncodeNews::Progress { percent }) => Ok(TranscodeState::Running { percent, poster: false, grown: Vec::new() }),
            Some(EncodeNews::Done) => Ok(TranscodeState::Done { renditions: vec![rendition()], poster: false }),
            Some(EncodeNews::Failed { code, detail }) => Err(TranscodeError::Engine(format!("{code}: {detail}"))),
            Some(EncodeNews::Canceled) => Err(TranscodeError::Engine("somebody canceled it".into())),
        }
    }

    async fn cancel_generation(&self, generation: GenerationId) -> Result<(), TranscodeError> {
        let same = self.engine.seen().started.iter().find(|(_, _, of)| *of == generation).map(|(encode, _, _)| encode.clone());
        match same {
            Some(encode) => self.cancel(&encode).await,
            None => self.engine.reached(),
        }
    }

    async fn cancel(&self, id: &TranscodeId) -> Result<(), TranscodeError> {
        self.engine.reached()?;
        let mut seen = self.engine.seen();
        seen.canceled.push(id.clone());
        seen.news.insert(id.clone(), EncodeNews::Canceled);
        Ok(())
    }
}

/// Waits until a gate is open.
async fn opened(gate: &watch::Sender<bool>) {
    gate.subscribe().wait_for(|open| *open).await.expect("the engine lives as long as its gates");
}

/// Four silent seconds.
pub(crate) fn facts() -> SourceFacts {
    SourceFacts {
        container: Container::Mp4,
        duration_ms: 4_000,
        video: VideoFacts {
            stream_index: 0,
            codec: "h264".into(),
            profile: Some("High".into()),
            pixel_format: "yuv420p".into(),
            coded_width: 640,
            coded_height: 360,
            display_width: 640,
            display_height: 360,
            square_samples: true,
            rotation: 0,
            frame_rate: FrameRate { numerator: 25, denominator: 1 },
            variable_frame_rate: false,
            full_range: false,
            interlaced: false,
            transfer: None,
            bit_rate: Some(500_000),
            longest_gop_ms: 2_000,
            open_gop: false,
            stands_ms: 0,
            lively_interval_ms: 0,
        },
        audio: None,
    }
}

pub(crate) fn rendition() -> Rendition {
    Rendition {
        name: "360p".into(),
        track: Track::Video { width: 640, height: 360, frame_rate: FrameRate { numerator: 25, denominator: 1 } },
        codec: "avc1.64001f".into(),
        copied: false,
        flat: false,
        generation: None,
        playlist: MediaPlaylist {
            init: "init.mp4".into(),
            segments: vec![Segment { file: "00001.m4s".into(), duration_us: 4_000_000, bytes: 250_000 }],
        },
    }
}
