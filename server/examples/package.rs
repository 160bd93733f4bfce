//! Packages one local file with the product's own packager: for the checks and measurements in `benches/packager`, and for looking at a clip
//! that is refused or behaves oddly. Prints one line of JSON; exits with 3 where the file is refused.
//!
//! `cargo run --release -p server --example package -- COMMAND FILE …`, where COMMAND is
//! * `dump FILE FOLDER`: writes the playlists, the init segments and all segments;
//! * `first FILE`: how long it takes until playlists, init segments and the first segment are there;
//! * `warm FILE SECONDS`: how many bytes of segments come out of it in a processor second, by one thread, over and over.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use domain::playlist::multivariant;
use server::packager::{INIT_FILE, Limits, Media, Opening, Package, Refusal, Segment, segment_file};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes between two ranges that are read over in a local file: a read costs about as much as copying these.
const GAP: u64 = 16 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["dump", file, folder] => dump(file, Path::new(folder)),
        ["first", file] => first(file),
        ["warm", file, seconds] => seconds.parse().map_err(Into::into).and_then(|seconds| warm(file, Duration::from_secs(seconds))),
        _ => Err("usage: package dump FILE FOLDER | first FILE | warm FILE SECONDS".into()),
    };
    let (line, code) = match outcome {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<Refusal>() {
            Some(refusal) => (format!("{{\"refused\": \"{refusal}\"}}"), ExitCode::from(3)),
            None => (format!("{{\"failed\": {:?}}}", error.to_string()), ExitCode::FAILURE),
        },
    };
    // Nobody is left to tell where standard output is gone.
    let _ = writeln!(io::stdout(), "{line}");
    code
}

/// A local file and how often it was read.
struct Local {
    file: File,
    reads: u32,
}

impl Local {
    fn read(&mut self, range: &Range<u64>) -> io::Result<Bytes> {
        self.reads += 1;
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }

    fn segment(&mut self, segment: &Segment) -> Outcome<Vec<Bytes>> {
        let answers = segment.reads(GAP).iter().map(|read| self.read(read)).collect::<io::Result<Vec<_>>>()?;
        Ok(segment.body(GAP, &answers).ok_or("a read was too short")?)
    }
}

fn open(file: &str) -> Outcome<(Package, Local)> {
    let file = File::open(file)?;
    let mut opening = Opening::new(file.metadata()?.len(), Limits::default());
    let mut local = Local { file, reads: 0 };
    loop {
        let bytes = local.read(&opening.wants())?;
        if let Some(package) = opening.take(&bytes)? {
            return Ok((package, local));
        }
    }
}

const STREAMS: [Media; 2] = [Media::Video, Media::Audio];

fn dump(file: &str, folder: &Path) -> Outcome<String> {
    let (package, mut local) = open(file)?;
    let opened_with = local.reads;
    let renditions = package.renditions();
    fs::create_dir_all(folder)?;
    fs::write(folder.join("index.m3u8"), multivariant(&renditions, |rendition| format!("{}.m3u8", rendition.name)))?;
    for (rendition, media) in renditions.iter().zip(STREAMS) {
        let below = folder.join(&rendition.name);
        fs::create_dir_all(&below)?;
        let playlist = rendition.playlist.render(|file| rendition.path(file));
        fs::write(folder.join(format!("{}.m3u8", rendition.name)), playlist)?;
        fs::write(below.join(INIT_FILE), package.init(media).ok_or("no init segment")?)?;
        for (number, announced) in rendition.playlist.segments.iter().enumerate() {
            let segment = package.segment(media, number)?.ok_or("no segment")?;
            let body = local.segment(&segment)?.concat();
            if body.len() as u64 != segment.length || segment.length != announced.bytes {
                return Err("a segment has not the length that was announced".into());
            }
            let beginning = body.get(segment.header.len()..).unwrap_or_default();
            if media == Media::Video {
                package.check_beginning(beginning)?;
            }
            fs::write(below.join(segment_file(number)), body)?;
        }
    }
    let stopgaps: Vec<String> = package.stopgaps().iter().map(|stopgap| format!("\"{stopgap}\"")).collect();
    let segments = STREAMS.map(|media| package.segments(media));
    Ok(format!(
        "{{\"segments\": {segments:?}, \"reads_to_open\": {opened_with}, \"memory\": {}, \"stopgaps\": [{}]}}",
        package.memory(),
        stopgaps.join(", ")
    ))
}

fn first(file: &str) -> Outcome<String> {
    let began = Instant::now();
    let milliseconds = || began.elapsed().as_secs_f64() * 1e3;
    let (package, mut local) = open(file)?;
    let opened = milliseconds();
    let renditions = package.renditions();
    let mut text = multivariant(&renditions, |rendition| format!("{}.m3u8", rendition.name));
    renditions.iter().for_each(|rendition| text += &rendition.playlist.render(|file| rendition.path(file)));
    let playlists = milliseconds();
    let segment = package.segment(Media::Video, 0)?.ok_or("no segment")?;
    let bytes: usize = local.segment(&segment)?.iter().map(Bytes::len).sum();
    let all = milliseconds();
    Ok(format!(
        "{{\"opened_ms\": {opened:.3}, \"playlists_ms\": {playlists:.3}, \"first_segment_ms\": {all:.3}, \"segment_bytes\": {bytes}, \
         \"playlist_bytes\": {}, \"reads\": {}, \"memory\": {}}}",
        text.len(),
        local.reads,
        package.memory()
    ))
}

fn warm(file: &str, at_least: Duration) -> Outcome<String> {
    let (package, mut local) = open(file)?;
    let mut round = || -> Outcome<(u64, u64)> {
        let (mut bytes, mut segments) = (0, 0);
        for number in 0..package.segments(Media::Video) {
            let segment = package.segment(Media::Video, number)?.ok_or("no segment")?;
            bytes += local.segment(&segment)?.iter().map(|piece| piece.len() as u64).sum::<u64>();
            segments += 1;
        }
        Ok((bytes, segments))
    };
    round()?;
    let (began, cpu, mut bytes, mut segments) = (Instant::now(), processor_seconds()?, 0, 0);
    while began.elapsed() < at_least {
        let (more_bytes, more_segments) = round()?;
        (bytes, segments) = (bytes + more_bytes, segments + more_segments);
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), processor_seconds()? - cpu);
    let gigabytes = bytes as f64 / 1e9;
    Ok(format!(
        "{{\"gb\": {gigabytes:.3}, \"gb_per_cpu_second\": {:.3}, \"gb_per_second\": {:.3}, \"segments_per_second\": {:.0}, \"mean_segment\": {}}}",
        gigabytes / cpu,
        gigabytes / seconds,
        f64::from(u32::try_from(segments)?) / seconds,
        bytes / segments.max(1)
    ))
}

/// Processor seconds of this thread so far, as Linux counts them.
fn processor_seconds() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse::<f64>()? / 1e9)
}
