//! A poster that is not black: a few moments of the video are looked at, and the first good one is taken, or else the best.

use std::{
    ffi::OsString,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::source::SourceFacts;

use super::{
    child,
    engine::{Engine, Run},
    failure, graph,
    origin::Origin,
    probe,
};
use crate::ports::transcoder::TranscodeError;

/// Moments to look at, as shares of the length. The first frame is the last resort.
const MOMENTS: [f64; 6] = [0.1, 0.25, 0.5, 0.05, 0.75, 0.0];
/// Longest side of the picture.
const LONGEST_SIDE: u32 = 1280;
/// Side of the thumbnail that is measured.
const THUMBNAIL: u32 = 64;
/// Time for one look.
const TIME: Duration = Duration::from_secs(60);

/// How bright a picture is and how much there is to see.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    mean: f64,
    deviation: f64,
}

impl Look {
    fn of(luma: &[u8]) -> Self {
        let count = luma.len().max(1) as f64;
        let mean = luma.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = luma.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt() }
    }

    fn is_good(self) -> bool {
        (28.0..=228.0).contains(&self.mean) && self.deviation >= 14.0
    }

    /// For choosing among bad ones: contrast, then a brightness near the middle.
    fn score(self) -> f64 {
        self.deviation * 4.0 - (self.mean - 118.0).abs()
    }
}

/// Writes a poster into `folder` and returns its path, or `None` where no frame could be had. The reasons are logged: a video
/// without a poster is still a video.
pub(super) async fn make(engine: &Engine, file: &Path, facts: &SourceFacts, origin: &Origin, folder: &Path) -> Option<PathBuf> {
    let mut best: Option<(f64, PathBuf)> = None;
    for (number, share) in MOMENTS.into_iter().enumerate() {
        let name = format!("poster{number}.jpg");
        let look = match look(engine, file, facts, origin, folder, &name, share).await {
            Ok(Some(look)) => look,
            Ok(None) => continue,
            Err(error) => {
                tracing::debug!(%error, share, "no poster from this moment");
                continue;
            }
        };
        let path = folder.join(name);
        if look.is_good() {
            return Some(path);
        }
        if best.as_ref().is_none_or(|(score, _)| look.score() > *score) {
            best = Some((look.score(), path));
        }
    }
    if best.is_none() {
        tracing::warn!("no frame of the video makes a poster");
    }
    best.map(|(_, path)| path)
}

async fn look(
    engine: &Engine,
    file: &Path,
    facts: &SourceFacts,
    origin: &Origin,
    folder: &Path,
    name: &str,
    share: f64,
) -> Result<Option<Look>, TranscodeError> {
    let run = Run { input: Some(file), output: Some(folder), time: TIME, file_bytes: 16 * 1024 * 1024 };
    let second = facts.duration_ms.saturating_sub(facts.video.stands_ms) as f64 / 1000.0 * share;
    let graph = graph::poster(&facts.video, origin.colours, size(facts), THUMBNAIL);
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &str| arguments.extend(words.split(' ').map(OsString::from));
    add(&format!("-hide_banner -nostdin -y -loglevel error -threads {}", engine.limits.threads));
    arguments.extend(probe::input_options(facts.container, &engine.limits));
    arguments.extend(["-ss".into(), format!("{second:.3}").into(), "-i".into(), engine.input_name(file)]);
    arguments.extend(["-filter_complex".into(), graph.into()]);
    let mut add = |words: &str| arguments.extend(words.split(' ').map(OsString::from));
    add(&format!("-map [poster] -frames:v 1 -map_metadata -1 -c:v mjpeg -q:v 4 -f mjpeg {name}"));
    add("-map [thumbnail] -frames:v 1 -c:v rawvideo -f rawvideo pipe:1");

    let expected = (THUMBNAIL * THUMBNAIL) as usize;
    let mut luma = Vec::with_capacity(expected);
    let finished = child::run(engine.ffmpeg(&run, &arguments), "ffmpeg", run.time, |bytes| {
        luma.extend_from_slice(&bytes[..bytes.len().min(expected - luma.len())]);
        ControlFlow::Continue(())
    })
    .await?;
    if !finished.status.success() {
        return Err(failure::of_program("ffmpeg", &finished));
    }
    Ok((luma.len() == expected).then(|| Look::of(&luma)))
}

/// The picture's size as shown, with at most [`LONGEST_SIDE`], even.
fn size(facts: &SourceFacts) -> (u32, u32) {
    let (width, height) = (facts.video.display_width, facts.video.display_height);
    let scale = (f64::from(LONGEST_SIDE) / f64::from(width.max(height).max(1))).min(1.0);
    let even = |side: u32| ((f64::from(side) * scale / 2.0).round() as u32 * 2).max(2);
    (even(width), even(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_white_and_flat_pictures_are_no_posters() {
        let picture = |low: u8, high: u8| Look::of(&(0..4096).map(|n| if n % 2 == 0 { low } else { high }).collect::<Vec<_>>());
        assert!(picture(40, 200).is_good());
        for (low, high) in [(0, 0), (2, 30), (255, 255), (120, 124), (230, 255)] {
            assert!(!picture(low, high).is_good(), "{low} {high}");
        }
        assert!(picture(0, 60).score() > picture(0, 4).score());
        assert!(picture(100, 110).score() > picture(0, 10).score());
    }
}
