//! One encode from source to stored renditions, as a task: poster first, then ffmpeg under its limits, then the harvest.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    failure::FailureCode,
    ladder::{AudioPlan, Ladder, VideoPlan},
    playlist::Rendition,
    source::SourceFacts,
};
use tokio::sync::Notify;

use super::{
    child::{self, Lines},
    collect, command,
    engine::{Engine, Run},
    failure::{self, engine as engine_failure, source},
    fetched::Fetched,
    grow::Growth,
    origin::Origin,
    poster,
    progress::Progress,
    scratch::Scratch,
    storing::Storing,
};
use crate::ports::{
    blob_store::BlobStore,
    transcoder::{POSTER_FILE, TranscodeError, TranscodeRequest},
};

/// How often the output's size is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(3);
/// How often it is looked whether anything new was told.
const TICK: Duration = Duration::from_secs(1);

/// What an encode leaves.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) renditions: Vec<Rendition>,
    pub(super) poster: bool,
}

/// Encodes. Dropping the future kills what runs and removes what is unfinished; what is stored already stays for the caller
/// to delete with its generation.
pub(super) async fn encode(
    engine: Arc<Engine>,
    store: Arc<dyn BlobStore>,
    scratch_root: PathBuf,
    fetched: Arc<Fetched>,
    request: TranscodeRequest,
    (storing, progress): (Storing, Arc<Progress>),
) -> Result<Made, TranscodeError> {
    let made = make(engine, store, &scratch_root, &fetched, request, (&storing, &progress)).await;
    made.map_err(|error| failure::unless_full(&scratch_root, error))
}

async fn make(
    engine: Arc<Engine>,
    store: Arc<dyn BlobStore>,
    scratch_root: &Path,
    fetched: &Fetched,
    request: TranscodeRequest,
    (storing, progress): (&Storing, &Progress),
) -> Result<Made, TranscodeError> {
    let scratch = Scratch::new(scratch_root).await.map_err(no_folder)?;
    let source = fetched.get(store.as_ref(), &request.source, scratch_root).await?;
    let file = source.path();
    let facts = &request.facts;
    let origin = Origin::find(&engine, file, facts).await?;
    let ladder = origin.adapt(&request.ladder, facts);

    let posters = scratch.folder("posters").await.map_err(no_folder)?;
    let poster = poster::make(&engine, file, facts, &origin, &posters).await;
    if let Some(poster) = &poster {
        // ffmpeg ends well on a full disk and leaves an empty picture.
        if tokio::fs::metadata(poster).await.is_ok_and(|metadata| metadata.len() == 0) {
            return Err(TranscodeError::Full("the poster came out empty".to_owned()));
        }
        storing.put(request.generation, POSTER_FILE, poster).await?;
        progress.poster_is_stored();
    }

    if ladder.is_empty() {
        return Ok(Made { renditions: Vec::new(), poster: poster.is_some() });
    }
    let out = scratch.folder("out").await.map_err(no_folder)?;
    for name in ladder.rungs.iter().map(|rung| rung.name.as_str()).chain(ladder.audio.as_ref().map(|_| command::AUDIO)) {
        scratch.folder(&format!("out/{name}")).await.map_err(no_folder)?;
    }
    let copies = scratch.folder("copies").await.map_err(no_folder)?;
    let mut growth = Growth::new(storing, request.generation, &out, copies, facts, &ladder);
    let (bytes, over) = (growth.bytes(), Notify::new());
    let running = async {
        let ran = run(&engine, file, facts, &ladder, &origin, (&out, &bytes), progress).await;
        over.notify_one();
        ran
    };
    // What is being stored when it ends is stored to its end: dropped, it would be neither here nor there.
    tokio::join!(running, growth.follow(progress, &over)).0?;

    let renditions = collect::read(&out, facts, &ladder, &growth).await?;
    collect::store(storing, request.generation, &out, &renditions, &growth).await?;
    Ok(Made { renditions, poster: poster.is_some() })
}

fn no_folder(error: std::io::Error) -> TranscodeError {
    engine_failure("a scratch folder cannot be made", error)
}

async fn run(
    engine: &Engine,
    file: &Path,
    facts: &SourceFacts,
    ladder: &Ladder,
    origin: &Origin,
    (out, stored): (&Path, &AtomicU64),
    progress: &Progress,
) -> Result<(), TranscodeError> {
    let most_bytes = most_bytes(engine, facts, ladder);
    let time = engine.limits.encode_time(Duration::from_millis(facts.duration_ms));
    let confined = Run { input: Some(file), output: Some(out), time, file_bytes: most_bytes };
    let command = engine.ffmpeg(&confined, command::arguments(engine, file, facts, ladder, origin));
    let mut lines = Lines::default();
    let running = child::run(command, "ffmpeg", time, |bytes| {
        lines.feed(bytes, |line| progress.read(line, facts.duration_ms));
        ControlFlow::Continue(())
    });
    let finished = tokio::select! {
        finished = running => finished?,
        error = watch_size(out, stored, most_bytes) => return Err(error),
        error = watch_progress(progress, engine.limits.stall_time) => return Err(error),
    };
    // ffmpeg may end well though the end of a segment found no room.
    if finished.status.success() && !failure::tells_of_full_disk(&finished.stderr) {
        if !finished.stderr.trim().is_empty() {
            tracing::debug!(said = %finished.stderr, "ffmpeg had something to say about a good encode");
        }
        return Ok(());
    }
    Err(failure::of_program("ffmpeg", &finished))
}

/// Most bytes that the output may have: what the plan's bit rates add up to, and some.
fn most_bytes(engine: &Engine, facts: &SourceFacts, ladder: &Ladder) -> u64 {
    let pictures = ladder.rungs.iter().map(|rung| match &rung.video {
        VideoPlan::Encode { max_bitrate, .. } => *max_bitrate,
        VideoPlan::Copy => facts.video.bit_rate.unwrap_or(20_000_000),
    });
    let sound = match &ladder.audio {
        Some(AudioPlan::Encode { bitrate, .. }) => *bitrate,
        // More than any AAC-LC stream of two channels has.
        Some(AudioPlan::Copy) => 1_000_000,
        None => 0,
    };
    let bits_per_second = pictures.sum::<u64>() + sound;
    let bytes = bits_per_second as f64 / 8.0 * facts.duration_ms as f64 / 1000.0 * engine.limits.output_factor;
    bytes as u64 + 64 * 1024 * 1024
}

/// Ends when the folder, with what was `stored` from it, holds more than it may, and not before.
async fn watch_size(folder: &Path, stored: &AtomicU64, most_bytes: u64) -> TranscodeError {
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let folder = folder.to_owned();
        let here = tokio::task::spawn_blocking(move || size_of(&folder)).await.unwrap_or(0);
        let size = here.saturating_add(stored.load(Ordering::Relaxed));
        if size > most_bytes {
            return source(FailureCode::LimitExceeded, format!("the output has {size} bytes, {most_bytes} are allowed"));
        }
    }
}

/// Ends when the encode has told of nothing new for too long: then it hangs, and another try may not. Ticks are counted, not the clock, so that a
/// server which was stopped itself blames nobody.
async fn watch_progress(progress: &Progress, limit: Duration) -> TranscodeError {
    let (mut known, mut silent) = (progress.changes(), Duration::ZERO);
    while silent < limit {
        tokio::time::sleep(TICK).await;
        let changes = progress.changes();
        silent = if changes == known { silent + TICK } else { Duration::ZERO };
        known = changes;
    }
    engine_failure("ffmpeg hangs", format!("it has told of nothing new for {} s", limit.as_secs()))
}

/// What a file takes on a disk at least: a million empty ones are not nothing.
const BLOCK: u64 = 4096;

/// Bytes that a folder takes. Files that come and go meanwhile are not missed. Folders in folders end with those made for the renditions: behind
/// the walls nobody makes any.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len().max(BLOCK),
        Err(_) => 0,
    });
    sizes.sum()
}
