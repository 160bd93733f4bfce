//! The contract of [`Transcoder`], as one suite that every adapter passes.

use std::{process::Command, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    container::Container,
    failure::FailureCode,
    ids::{GenerationId, JobId, UploadId, VideoId},
    ladder,
    playlist::Track,
    source::SourceFacts,
    storage_key::StorageKey,
};
use futures::StreamExt;
use server::{
    adapters::{
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
    },
    ports::{
        blob_store::BlobStore,
        transcoder::{POSTER_FILE, TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
    },
    services::publishing::Publishing,
};
use uuid::Uuid;

use crate::app::noise;

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");
/// Five seconds of moving picture and sound.
pub(crate) const ORDINARY: &str = "-f lavfi -i testsrc2=s=640x360:r=30000/1001:d=5 -f lavfi -i sine=d=5 \
    -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -c:a aac -ac 2";
/// The same as a phone takes it upright: lying, with a note to turn it, and without sound.
const UPRIGHT: &str = "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
/// Work for a while.
const LONG: &str = "-f lavfi -i testsrc2=s=1280x720:r=30:d=30 -c:v mpeg4 -q:v 4";

/// An adapter, the store that it works with, and a way to make another of it, as a second process would.
pub(crate) struct Subject {
    pub(crate) transcoder: Arc<dyn Transcoder>,
    pub(crate) another: Arc<dyn Transcoder>,
    pub(crate) store: Arc<dyn BlobStore>,
}

/// Makes a file with ffmpeg; `arguments` are separated by spaces.
pub(crate) fn make(arguments: &str, extension: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip").with_extension(extension);
    let command = Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(arguments.split_whitespace()).arg(&path).output();
    let output = command.expect("ffmpeg runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(path).expect("the clip")
}

/// A file whose picture the player has to turn by 90 degrees: the note stands in the track header's matrix.
fn make_upright() -> Vec<u8> {
    let mut file = make(UPRIGHT, "mp4");
    let header = file.windows(4).position(|window| window == b"tkhd").expect("a track header");
    // Behind the box's type: version and flags, two times, track, length and layout, 40 bytes in all.
    let matrix: [u32; 9] = [0, 1 << 16, 0, (-1_i32 << 16).cast_unsigned(), 0, 0, 360 << 16, 0, 1 << 30];
    for (place, value) in file[header + 44..].chunks_exact_mut(4).zip(matrix) {
        place.copy_from_slice(&value.to_be_bytes());
    }
    file
}

impl Subject {
    pub(crate) async fn upload(&self, bytes: &[u8]) -> StorageKey {
        let key = StorageKey::Source { upload: UploadId(Uuid::new_v4()) };
        let pieces: Vec<_> = bytes.chunks(1 << 20).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        self.store.put_stream(&key, futures::stream::iter(pieces).boxed(), bytes.len() as u64).await.expect("stored");
        key
    }

    pub(crate) async fn request(&self, bytes: &[u8]) -> TranscodeRequest {
        let source = self.upload(bytes).await;
        let facts = self.transcoder.probe(&source).await.expect("it can be used");
        let ladder = ladder::plan(&facts);
        let generation = GenerationId(Uuid::now_v7());
        TranscodeRequest { job: JobId(Uuid::now_v7()), video: VideoId(Uuid::now_v7()), generation, source, facts, ladder }
    }

    async fn refusal(&self, bytes: &[u8]) -> FailureCode {
        let source = self.upload(bytes).await;
        let refused = self.transcoder.probe(&source).await;
        self.store.delete(&source).await.expect("deleted");
        match refused {
            Err(TranscodeError::Source { code, .. }) => code,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// What is made of a source passes the check that everything passes before it is published.
    pub(crate) async fn check(&self, request: &TranscodeRequest, over: TranscodeState) {
        let TranscodeState::Done { renditions, poster } = over else { panic!("{over:?}") };
        let mut expected: Vec<&str> = request.ladder.rungs.iter().map(|rung| rung.name.as_str()).collect();
        expected.extend(request.facts.audio.as_ref().map(|_| "audio"));
        assert_eq!(renditions.iter().map(|rendition| rendition.name.as_str()).collect::<Vec<_>>(), expected);
        for (rendition, rung) in renditions.iter().zip(&request.ladder.rungs) {
            let Track::Video { width, height, .. } = rendition.track else { panic!("{rendition:?}") };
            assert_eq!((width, height), (rung.width, rung.height));
        }
        let database = sea_orm::Database::connect("sqlite::memory:").await.expect("a database");
        let publishing = Publishing::new(database, Arc::clone(&self.store));
        let checked = publishing.check(request.generation, &request.facts, &renditions).await.expect("the store answers");
        checked.expect("fit to be published");
        let stored = self.store.list_generation(request.generation).await.expect("listed");
        assert!(poster && stored.get(POSTER_FILE).is_some_and(|size| *size > 1_000), "{stored:?}");
    }

    pub(crate) async fn clean_up(&self, request: &TranscodeRequest) {
        self.store.delete(&request.source).await.expect("deleted");
        self.store.delete_prefix(&StorageKey::generation_prefix(request.generation)).await.expect("deleted");
    }
}

/// Asks until it is over; how far it was on the way.
pub(crate) async fn finish(transcoder: &dyn Transcoder, id: &TranscodeId) -> (Result<TranscodeState, TranscodeError>, Vec<u8>) {
    let mut seen = Vec::new();
    for _ in 0..30_000 {
        match transcoder.poll(id).await {
            Ok(TranscodeState::Running { percent, .. }) => seen.push(percent),
            over => return (over, seen),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come to an end: {seen:?}");
}

async fn a_recorded_clip_is_read(subject: &Subject) {
    let source = subject.upload(CARS).await;
    let facts = subject.transcoder.probe(&source).await.expect("it can be used");
    subject.store.delete(&source).await.expect("deleted");
    let SourceFacts { container, duration_ms, video, audio } = facts;
    assert_eq!((container, video.codec.as_str()), (Container::Mp4, "h264"));
    assert!(duration_ms.abs_diff(30_160) < 200, "{duration_ms}");
    assert_eq!((video.coded_width, video.coded_height, video.display_width, video.display_height), (768, 432, 768, 432));
    assert_eq!((video.rotation, video.square_samples, video.interlaced, video.high_dynamic_range()), (0, true, false, false));
    assert!((video.frame_rate.per_second() - 12.5).abs() < 0.01, "{:?}", video.frame_rate);
    let audio = audio.expect("there is sound");
    assert!(audio.codec == "aac" && (1..=2).contains(&audio.channels) && audio.sample_rate >= 8_000, "{audio:?}");
}

async fn bad_files_are_refused_with_the_reason(subject: &Subject) {
    assert_eq!(subject.refusal(&noise(50_000)).await, FailureCode::NotAVideo);
    assert_eq!(subject.refusal(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n").await, FailureCode::NotAVideo);
    let sound = make("-f lavfi -i sine=d=1 -c:a aac", "mp4");
    assert_eq!(subject.refusal(&sound).await, FailureCode::NoVideoStream);
    // The right first bytes and nothing behind them.
    let hollow = [&CARS[..24], &noise(50_000)].concat();
    let code = subject.refusal(&hollow).await;
    assert!(matches!(code, FailureCode::Damaged | FailureCode::Truncated), "{code:?}");
}

async fn an_ordinary_video_is_made(subject: &Subject) {
    let request = subject.request(&make(ORDINARY, "mp4")).await;
    let id = subject.transcoder.start(request.clone()).await.expect("it starts");
    let (over, seen) = finish(&*subject.transcoder, &id).await;
    assert!(seen.is_sorted() && seen.iter().all(|percent| *percent <= 99), "{seen:?}");
    subject.check(&request, over.expect("it works")).await;
    let forgotten = subject.transcoder.poll(&id).await;
    assert!(matches!(forgotten, Err(TranscodeError::Engine(_))), "told once, forgotten then: {forgotten:?}");
    subject.clean_up(&request).await;
}

async fn a_turned_and_silent_video_comes_out_upright(subject: &Subject) {
    let request = subject.request(&make_upright()).await;
    let video = &request.facts.video;
    assert_eq!((video.display_width, video.display_height, video.rotation % 180), (360, 640, 90));
    assert!(request.facts.audio.is_none());
    let id = subject.transcoder.start(request.clone()).await.expect("it starts");
    subject.check(&request, finish(&*subject.transcoder, &id).await.0.expect("it works")).await;
    subject.clean_up(&request).await;
}

async fn a_canceled_encode_is_forgotten(subject: &Subject) {
    let request = subject.request(&make(LONG, "avi")).await;
    let id = subject.transcoder.start(request.clone()).await.expect("it starts");
    assert!(matches!(subject.transcoder.poll(&id).await, Ok(TranscodeState::Running { .. })));
    subject.transcoder.cancel(&id).await.expect("canceled");
    assert!(matches!(subject.transcoder.poll(&id).await, Err(TranscodeError::Engine(_))));
    subject.transcoder.cancel(&id).await.expect("nothing left to cancel");
    if subject.transcoder.outlives_process() {
        let resumed = subject.another.resume(&request, Some(&id)).await.expect("an answer");
        assert_eq!(resumed, None, "nobody goes on with what was canceled");
    }
    subject.clean_up(&request).await;
}

async fn nothing_is_known_of_what_never_was(subject: &Subject) {
    let never = TranscodeId("1700000000000-never".into());
    assert!(matches!(subject.transcoder.poll(&never).await, Err(TranscodeError::Engine(_))));
    subject.transcoder.cancel(&never).await.expect("nothing to cancel");
    let missing = subject.transcoder.probe(&StorageKey::Source { upload: UploadId(Uuid::new_v4()) }).await;
    assert!(matches!(missing, Err(TranscodeError::Engine(_))), "a source that is not there is nobody's bad file: {missing:?}");
}

async fn the_next_process_goes_on_where_encodes_outlive_the_first(subject: &Subject) {
    let request = subject.request(&make(ORDINARY, "mp4")).await;
    if !subject.transcoder.outlives_process() {
        assert_eq!(subject.transcoder.resume(&request, None).await.expect("an answer"), None);
        return subject.clean_up(&request).await;
    }
    assert_eq!(subject.another.resume(&request, None).await.expect("an answer"), None, "nothing was started yet");
    let id = subject.transcoder.start(request.clone()).await.expect("it starts");
    assert_eq!(subject.transcoder.start(request.clone()).await.expect("and again"), id, "one encode for one generation");
    for known in [None, Some(&id)] {
        assert_eq!(subject.another.resume(&request, known).await.expect("an answer").as_ref(), Some(&id));
    }
    subject.check(&request, finish(&*subject.another, &id).await.0.expect("it works")).await;
    subject.clean_up(&request).await;
}

/// The suite.
pub(crate) async fn keeps_the_contract(subject: &Subject) {
    a_recorded_clip_is_read(subject).await;
    bad_files_are_refused_with_the_reason(subject).await;
    nothing_is_known_of_what_never_was(subject).await;
    an_ordinary_video_is_made(subject).await;
    a_turned_and_silent_video_comes_out_upright(subject).await;
    the_next_process_goes_on_where_encodes_outlive_the_first(subject).await;
    a_canceled_encode_is_forgotten(subject).await;
}

#[tokio::test]
async fn ffmpeg_transcoder_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
    let transcoder = |scratch: &str| {
        let settings = FfmpegSettings {
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            scratch: folder.path().join(scratch),
            helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
            sandbox: SandboxMode::Auto,
            limits: Limits { threads: 2, ..Limits::default() },
        };
        Arc::new(FfmpegTranscoder::new(settings, store.clone()))
    };
    keeps_the_contract(&Subject { transcoder: transcoder("first"), another: transcoder("second"), store: store.clone() }).await;
}
