//! What the player knows, as plain values: where it stands, and the arithmetic of seeking, sound and speed.
//! No browser in here, so that all of it is tested on the host. No formatting of fractions either: it would cost the embed page
//! a tenth of its size.

use domain::video::Playback;

use super::{
    clock,
    phase::{Layer, MediaFacts, Phase, Trouble},
    quality::Qualities,
    screen::Screen,
};

/// Speeds on offer.
pub(super) const RATES: [f64; 7] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0];

/// Everything that can be shown.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) playback: Playback,
    pub(super) media: MediaFacts,
    pub(super) timeline: Timeline,
    pub(super) sound: Sound,
    pub(super) rate: f64,
    pub(super) qualities: Qualities,
    pub(super) screen: Screen,
    pub(super) trouble: Option<Trouble>,
    /// The network failed; it is being tried again.
    pub(super) waiting: bool,
    /// The settings menu is open.
    pub(super) menu: bool,
    /// Nobody moves: the controls may go.
    pub(super) idle: bool,
    /// What was just done, in words: shown for a moment and read out.
    pub(super) note: String,
    /// Second under the pointer on the seek bar.
    pub(super) pointed: Option<f64>,
    /// The knob is being dragged.
    pub(super) dragging: bool,
}

impl State {
    /// Before anything is loaded.
    pub(super) fn new(playback: Playback) -> Self {
        Self {
            media: MediaFacts::default(),
            timeline: Timeline { duration: playback.duration_ms as f64 / 1000.0, ..Timeline::default() },
            sound: Sound::default(),
            rate: 1.0,
            qualities: Qualities::default(),
            screen: Screen::default(),
            trouble: None,
            waiting: false,
            menu: false,
            idle: false,
            note: String::new(),
            pointed: None,
            dragging: false,
            playback,
        }
    }

    /// Another video: what the viewer set stays, what was known of the old one goes.
    pub(super) fn begin_anew(&mut self, playback: &Playback) {
        let old = std::mem::replace(self, Self::new(playback.clone()));
        (self.sound, self.rate, self.screen) = (old.sound, old.rate, old.screen);
    }

    /// The page has news of the video.
    pub(super) fn renew(&mut self, playback: &Playback) {
        if playback.duration_ms > 0 && !self.media.attached {
            self.timeline.duration = playback.duration_ms as f64 / 1000.0;
        }
        self.playback.clone_from(playback);
    }

    /// What is shown.
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.playback.state, self.media, self.trouble)
    }

    /// What lies over the picture.
    pub(super) fn layer(&self) -> Layer {
        Layer::of(self.phase(), self.media.started || self.media.wanted)
    }

    /// Where the knob is, in percent: at the pointer while it is dragged.
    pub(super) fn knob(&self) -> f64 {
        self.timeline.percent(self.pointed.filter(|_| self.dragging).unwrap_or(self.timeline.position))
    }

    /// Playing, or about to go on.
    pub(super) fn plays(&self) -> bool {
        matches!(self.phase(), Phase::Playing | Phase::Buffering)
    }
}

/// Where the playhead is, and what is buffered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timeline {
    pub(super) position: f64,
    /// Seconds; 0 until known.
    pub(super) duration: f64,
    /// Ranges in seconds, in order.
    pub(super) buffered: Vec<(f64, f64)>,
}

impl Timeline {
    /// The second to seek to for `wish`, inside the video.
    pub(super) fn clamp(&self, wish: f64) -> f64 {
        if wish.is_finite() { within(wish, self.duration) } else { 0.0 }
    }

    /// A second as percent of the length.
    pub(super) fn percent(&self, second: f64) -> f64 {
        if self.duration > 0.0 { within(second / self.duration * 100.0, 100.0) } else { 0.0 }
    }

    /// The end of the buffered range that the playhead is in, as percent.
    pub(super) fn buffered_percent(&self) -> f64 {
        // Ranges may begin a frame late: a tenth of a second is no gap.
        let range = self.buffered.iter().find(|(start, end)| *start <= self.position + 0.1 && self.position <= *end);
        range.map_or(0.0, |(_, end)| self.percent(*end))
    }

    /// As beside the seek bar.
    pub(super) fn digits(&self) -> String {
        format!("{} / {}", clock::digits(self.position, self.duration), clock::digits(self.duration, self.duration))
    }

    /// As a screen reader says it.
    pub(super) fn words(&self) -> String {
        format!("{} of {}", clock::words(self.position), clock::words(self.duration))
    }
}

/// Volume, and whether it is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sound {
    /// Share of full volume, 0 to 1.
    pub(super) volume: f64,
    pub(super) muted: bool,
    /// Muted because the browser starts nothing by itself that can be heard.
    pub(super) muted_by_browser: bool,
}

impl Default for Sound {
    fn default() -> Self {
        Self { volume: 1.0, muted: false, muted_by_browser: false }
    }
}

impl Sound {
    /// Nothing is heard.
    pub(super) fn silent(self) -> bool {
        self.muted || self.volume <= 0.0
    }

    /// Set by hand: a volume above zero is meant to be heard.
    pub(super) fn set(self, volume: f64) -> Self {
        // Hundredths: twenty steps of 0.05 must end at 1.
        let volume = (within(volume, 1.0) * 100.0).round() / 100.0;
        Self { volume, muted: volume <= 0.0, muted_by_browser: false }
    }

    /// Mute, or back; back from zero is half.
    pub(super) fn toggled(self) -> Self {
        if self.silent() {
            Self { volume: if self.volume <= 0.0 { 0.5 } else { self.volume }, muted: false, muted_by_browser: false }
        } else {
            Self { muted: true, ..self }
        }
    }

    /// Whole percent that is heard.
    pub(super) fn percent(self) -> u32 {
        if self.muted { 0 } else { (self.volume * 100.0).round() as u32 }
    }

    /// As a screen reader says it.
    pub(super) fn words(self) -> String {
        if self.silent() { "Muted".to_owned() } else { format!("{} percent", self.percent()) }
    }
}

/// From 0 to `most`. The standard `clamp` brings the formatting of fractions along, for its panic.
pub(super) fn within(value: f64, most: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value.min(most.max(0.0)) }
}

/// The next speed up or down from `rate`.
pub(super) fn stepped_rate(rate: f64, up: bool) -> f64 {
    let next = if up {
        RATES.iter().copied().find(|next| *next > rate + 0.01)
    } else {
        RATES.iter().rev().copied().find(|next| *next < rate - 0.01)
    };
    next.unwrap_or(rate)
}

/// As the menu names it.
pub(super) fn rate_label(rate: f64) -> String {
    let hundredths = (rate * 100.0).round() as u32;
    match (hundredths / 100, hundredths % 100) {
        (1, 0) => "Normal".to_owned(),
        (whole, 0) => format!("{whole}×"),
        (whole, rest) if rest % 10 == 0 => format!("{whole}.{}×", rest / 10),
        (whole, rest) => format!("{whole}.{rest:02}×"),
    }
}

/// A share as attributes take it, such as `41.25%`.
pub(super) fn percent_text(percent: f64) -> String {
    let hundredths = (percent * 100.0).round() as u32;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeking_stays_inside_the_video() {
        let timeline = Timeline { position: 20.0, duration: 30.0, buffered: vec![(0.0, 10.0), (18.0, 27.0)] };
        assert_eq!(timeline.clamp(45.0), 30.0);
        assert_eq!(timeline.clamp(-5.0), 0.0);
        assert_eq!(timeline.clamp(f64::NAN), 0.0);
        assert_eq!(timeline.percent(15.0), 50.0);
        assert_eq!(timeline.buffered_percent(), 90.0);
        assert_eq!(timeline.digits(), "0:20 / 0:30");
        assert_eq!(timeline.words(), "20 seconds of 30 seconds");
        let unknown = Timeline { position: 3.0, ..Timeline::default() };
        assert_eq!((unknown.percent(3.0), unknown.clamp(3.0)), (0.0, 0.0));
        let hole = Timeline { position: 14.0, ..timeline };
        assert_eq!(hole.buffered_percent(), 0.0);
    }

    #[test]
    fn sound_steps_end_at_the_ends_and_unmute() {
        let mut sound = Sound::default();
        for _ in 0..20 {
            sound = sound.set(sound.volume - 0.05);
        }
        assert_eq!((sound.volume, sound.silent()), (0.0, true));
        assert_eq!(sound.toggled(), Sound { volume: 0.5, muted: false, muted_by_browser: false });
        let muted = Sound::default().toggled();
        assert_eq!((muted.volume, muted.percent(), muted.words()), (1.0, 0, "Muted".to_owned()));
        assert_eq!(muted.set(0.35).words(), "35 percent");
    }

    #[test]
    fn speeds_step_through_the_list_and_stop() {
        assert_eq!(stepped_rate(1.0, true), 1.25);
        assert_eq!(stepped_rate(1.0, false), 0.75);
        assert_eq!(stepped_rate(2.0, true), 2.0);
        assert_eq!(stepped_rate(0.5, false), 0.5);
        assert_eq!(RATES.map(rate_label), ["0.5×", "0.75×", "Normal", "1.25×", "1.5×", "1.75×", "2×"]);
        assert_eq!(percent_text(41.254), "41.25%");
        assert_eq!(percent_text(100.0), "100.00%");
    }
}
