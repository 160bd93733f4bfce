//! Transcodes one file with the product's own adapter and prints what came of it as JSON: for benchmarks and for looking at
//! a clip that behaves oddly.
//!
//! `cargo run --release -p server --example transcode -- FILE FOLDER [SANDBOX]`, where the renditions go below FOLDER and SANDBOX is
//! `auto` (the default), `bubblewrap`, `landlock` or `off`.

use std::{
    error::Error,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    ids::{GenerationId, JobId, UploadId, VideoId},
    ladder,
    playlist::multivariant,
    storage_key::StorageKey,
};
use serde_json::json;
use server::{
    adapters::{
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode, sandbox_role},
        fs_store::FsStore,
    },
    packager::{Limits as PackagerLimits, Opening, Package},
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeRequest, TranscodeState, Transcoder},
    },
    services::packages::Kept,
};
use uuid::Uuid;

fn main() -> ExitCode {
    if let Some(code) = sandbox_role() {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return Err("usage: transcode FILE FOLDER [auto|bubblewrap|landlock|off]".into());
    };
    let sandbox = match arguments.next().and_then(|word| word.into_string().ok()).as_deref() {
        None | Some("auto") => SandboxMode::Auto,
        Some("bubblewrap") => SandboxMode::Bubblewrap,
        Some("landlock") => SandboxMode::Landlock,
        Some("off") => SandboxMode::Off,
        Some(other) => return Err(format!("no such sandbox mode: {other}").into()),
    };
    tokio::fs::create_dir_all(&folder).await?;
    let store = Arc::new(FsStore::open(folder.join("store")).await?);
    let source = StorageKey::Source { upload: UploadId(Uuid::new_v4()) };
    // The store may move a file that it is given.
    let copy = folder.join("source");
    tokio::fs::copy(&file, &copy).await?;
    store.put_file(&source, &copy).await?;
    let settings = FfmpegSettings {
        ffmpeg: "ffmpeg".into(),
        ffprobe: "ffprobe".into(),
        scratch: folder.join("scratch"),
        helper: std::env::current_exe()?,
        sandbox,
        limits: Limits::default(),
    };
    let transcoder = FfmpegTranscoder::new(settings, store.clone());

    let began = Instant::now();
    let facts = transcoder.probe(&source).await?;
    let probe_seconds = began.elapsed().as_secs_f64();
    let plan = ladder::plan(&facts);
    // As the product does: what viewers get from the source itself is not made.
    let kept = package(Path::new(&file)).ok().and_then(|package| Kept::of(&package, GenerationId(Uuid::nil())));
    let made = kept.and_then(|kept| kept.beside(&plan, &facts)).map_or_else(|| plan.clone(), |(ladder, _)| ladder);
    let generation = GenerationId(Uuid::new_v4());
    let (job, video) = (JobId(Uuid::new_v4()), VideoId(Uuid::new_v4()));
    let request = TranscodeRequest { job, video, generation, source, facts: facts.clone(), ladder: made.clone() };
    let id = transcoder.start(request).await?;
    let (mut poster_seconds, began_encode) = (None, Instant::now());
    let renditions = loop {
        match transcoder.poll(&id).await? {
            TranscodeState::Done { renditions, .. } => break renditions,
            TranscodeState::Running { poster: true, .. } if poster_seconds.is_none() => {
                poster_seconds = Some(began_encode.elapsed().as_secs_f64())
            }
            TranscodeState::Running { .. } => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let encode_seconds = began_encode.elapsed().as_secs_f64();

    // Playable as it lies there, by any player that opens local playlists.
    let published = folder.join("store").join(StorageKey::generation_prefix(generation));
    for rendition in &renditions {
        tokio::fs::write(published.join(&rendition.name).join("index.m3u8"), rendition.playlist.render(str::to_owned)).await?;
    }
    tokio::fs::write(published.join("index.m3u8"), multivariant(&renditions, |rendition| format!("{}/index.m3u8", rendition.name))).await?;
    let report = json!({
        "probeSeconds": probe_seconds, "posterSeconds": poster_seconds, "encodeSeconds": encode_seconds,
        "facts": facts, "ladder": plan, "made": made, "renditions": renditions, "published": published,
    });
    writeln!(std::io::stdout(), "{report:#}")?;
    Ok(())
}

/// The file as the product's own packager reads it.
fn package(file: &Path) -> Result<Package, Box<dyn Error>> {
    let file = File::open(file)?;
    let mut opening = Opening::new(file.metadata()?.len(), PackagerLimits::default());
    loop {
        let range = opening.wants();
        let mut bytes = vec![0; usize::try_from(range.end - range.start)?];
        file.read_exact_at(&mut bytes, range.start)?;
        if let Some(package) = opening.take(&bytes.into())? {
            return Ok(package);
        }
    }
}
