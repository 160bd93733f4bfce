//! Status chips: an icon and words, never colour alone. Which chips a video has is decided by one function.

use domain::video::{Stage, Video};
use leptos::prelude::*;

use crate::icons::{Glyph, Icon};

/// One chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// Its tone, a CSS class: `ok`, `work`, `wait` or `bad`.
    pub tone: &'static str,
    /// Its icon.
    pub glyph: Glyph,
    /// Its words.
    pub words: String,
}

impl Chip {
    fn new(tone: &'static str, glyph: Glyph, words: impl Into<String>) -> Self {
        Self { tone, glyph, words: words.into() }
    }
}

/// The chips of a video; `local_percent` is the exact number while this tab uploads it.
pub fn chips_of(video: &Video, local_percent: Option<u8>) -> Vec<Chip> {
    let mut chips = Vec::new();
    if video.playable && !matches!(video.stage, Stage::Ready | Stage::Failed) {
        chips.push(Chip::new("ok", Glyph::Bolt, "Playable"));
    }
    chips.push(match video.stage {
        Stage::Uploading => Chip::new("wait", Glyph::Upload, format!("Uploading {} %", local_percent.unwrap_or(video.progress))),
        Stage::Queued => Chip::new("wait", Glyph::Clock, "In line"),
        Stage::Checking => Chip::new("work", Glyph::Work, "Checking"),
        Stage::Encoding => Chip::new("work", Glyph::Work, format!("Encoding {} %", video.progress)),
        Stage::Publishing => Chip::new("work", Glyph::Work, "Publishing"),
        Stage::Ready => Chip::new("ok", Glyph::Check, "Ready"),
        Stage::Failed => Chip::new("bad", Glyph::Alert, "Failed"),
    });
    chips
}

/// How far the stage that is shown has come, while one with a measure runs.
pub fn progress_of(video: &Video, local_percent: Option<u8>) -> Option<u8> {
    match video.stage {
        Stage::Uploading => Some(local_percent.unwrap_or(video.progress)),
        Stage::Encoding => Some(video.progress),
        Stage::Queued | Stage::Checking => Some(0),
        Stage::Publishing => Some(100),
        Stage::Ready | Stage::Failed => None,
    }
}

/// The chips of a video.
#[component]
pub fn Chips(
    /// What to show.
    #[prop(into)]
    chips: Signal<Vec<Chip>>,
) -> impl IntoView {
    move || {
        chips
            .get()
            .into_iter()
            .map(|chip| view! { <span class=format!("chip num {}", chip.tone)><Icon glyph=chip.glyph/>{chip.words}</span> })
            .collect_view()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::{failure::FailureCode, ids::PlaybackId, video::Visibility};

    use super::*;

    /// A video for tests: the `n`th, in this stage.
    pub(crate) fn video(n: u8, stage: Stage) -> Video {
        Video {
            id: format!("018f4c3e-7b1a-7000-8000-0000000000{n:02}").parse().expect("an id"),
            playback_id: PlaybackId::from_random([n; 16]),
            title: format!("Video {n}"),
            visibility: Visibility::Unlisted,
            stage,
            progress: 42,
            playable: stage == Stage::Ready,
            failure: (stage == Stage::Failed).then(|| FailureCode::Truncated.into()),
            file_name: format!("video-{n}.mp4"),
            size_bytes: 1000,
            source: None,
            renditions: vec![],
            poster_url: None,
            created_at_ms: i64::from(n),
        }
    }

    fn words(video: &Video, local: Option<u8>) -> Vec<String> {
        chips_of(video, local).into_iter().map(|chip| chip.words).collect()
    }

    #[test]
    fn every_stage_has_words() {
        assert_eq!(words(&video(1, Stage::Uploading), None), ["Uploading 42 %"]);
        assert_eq!(words(&video(1, Stage::Uploading), Some(68)), ["Uploading 68 %"]);
        assert_eq!(words(&video(1, Stage::Failed), None), ["Failed"]);
        assert_eq!(words(&video(1, Stage::Ready), None), ["Ready"]);
    }

    #[test]
    fn playable_and_done_are_two_facts() {
        let mut encoding = video(1, Stage::Encoding);
        encoding.playable = true;
        assert_eq!(words(&encoding, None), ["Playable", "Encoding 42 %"]);
        assert_eq!(progress_of(&encoding, Some(3)), Some(42));
    }
}
