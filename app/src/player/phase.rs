//! What is shown, derived in one place from what the video is, what its element says, and what went wrong. The words that
//! go with it are here too.

use domain::video::PlaybackState;

/// Why there is nothing to see, where that is no state of the video itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Private now, or deleted.
    Gone,
    /// The grant ran out and no new one came.
    Expired,
    /// This browser has no way to play HLS.
    Unsupported,
    /// The server did not answer, more than a few times.
    Unreachable,
    /// The browser could not decode it, and starting anew did not help.
    Undecodable,
}

impl Trouble {
    /// Heading and next step.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Gone => (
                "You can no longer watch this video",
                "Its link has ended or was taken back, or it is private or deleted now. Ask whoever sent you the link for a new one.",
            ),
            Self::Expired => ("The link to this video has run out", "Get a new one and go on where you were."),
            Self::Unsupported => ("This browser cannot play this video", "Update the browser, or open this page in another one."),
            Self::Unreachable => ("The video cannot be reached", "Check the connection, then try again."),
            Self::Undecodable => ("This browser could not decode the video", "Try again; if it fails again, try another browser."),
        }
    }

    /// What the button says, where trying again can help.
    pub(super) const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Gone | Self::Unsupported => None,
            Self::Expired => Some("Get a new link"),
            Self::Unreachable | Self::Undecodable => Some("Try again"),
        }
    }
}

/// What the `<video>` element says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MediaFacts {
    /// A source was given to it.
    pub(super) attached: bool,
    /// The picture at the playhead is there.
    pub(super) loaded: bool,
    /// Playing, or trying to.
    pub(super) running: bool,
    /// Running, but what comes next is not here yet.
    pub(super) starved: bool,
    pub(super) ended: bool,
    /// The viewer wants it to play; it may not be able to yet.
    pub(super) wanted: bool,
    /// It played at least once.
    pub(super) started: bool,
}

/// What the player shows. The words of [`Phase::word`] are in the page for style sheets and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing loaded; the poster shows.
    Idle,
    Loading,
    Playing,
    Paused,
    Buffering,
    Ended,
    Processing,
    Failed,
    Trouble(Trouble),
}

impl Phase {
    /// The one place that says what is shown.
    pub(super) fn of(video: PlaybackState, media: MediaFacts, trouble: Option<Trouble>) -> Self {
        match (trouble, video) {
            (Some(trouble), _) => Self::Trouble(trouble),
            // What plays goes on playing, whatever news of the video came meanwhile.
            _ if media.attached => Self::of_media(media),
            (None, PlaybackState::Processing) => Self::Processing,
            (None, PlaybackState::Failed) => Self::Failed,
            (None, PlaybackState::Playable) => Self::Idle,
        }
    }

    const fn of_media(media: MediaFacts) -> Self {
        match media {
            MediaFacts { ended: true, .. } => Self::Ended,
            MediaFacts { started: true, loaded: false, wanted: true, .. }
            | MediaFacts { running: true, starved: true, started: true, .. } => Self::Buffering,
            MediaFacts { loaded: false, .. } | MediaFacts { running: true, starved: true, .. } => Self::Loading,
            MediaFacts { running: true, .. } => Self::Playing,
            _ => Self::Paused,
        }
    }

    /// Heading and next step, where the state needs words.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Processing => ("This video is being prepared", "It will be here as soon as it is ready; no need to reload."),
            Self::Failed => ("This video could not be prepared", "Whoever uploaded it can read why on the video's own page."),
            Self::Trouble(trouble) => trouble.words(),
            _ => ("", ""),
        }
    }

    /// What the button under those words says, where there is one.
    pub(super) const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Trouble(trouble) => trouble.remedy(),
            _ => None,
        }
    }

    /// As `data-player-state` says it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Loading => "loading",
            Self::Playing => "playing",
            Self::Paused => "paused",
            Self::Buffering => "buffering",
            Self::Ended => "ended",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Trouble(Trouble::Expired) => "expired",
            Self::Trouble(_) => "error",
        }
    }

    /// Whether there is something for the controls to act on.
    pub(super) const fn controllable(self) -> bool {
        !matches!(self, Self::Processing | Self::Failed | Self::Trouble(_))
    }
}

/// What lies over the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Clear,
    Play,
    Replay,
    Spinner,
    /// Words, with or without progress and a button.
    Message,
}

impl Layer {
    /// `touched`: somebody pressed play. What is loaded ahead of that needs no spinner.
    pub(super) const fn of(phase: Phase, touched: bool) -> Self {
        match phase {
            Phase::Idle => Self::Play,
            Phase::Paused | Phase::Loading if !touched => Self::Play,
            Phase::Loading | Phase::Buffering => Self::Spinner,
            Phase::Playing | Phase::Paused => Self::Clear,
            Phase::Ended => Self::Replay,
            Phase::Processing | Phase::Failed | Phase::Trouble(_) => Self::Message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYABLE: PlaybackState = PlaybackState::Playable;

    fn media(set: impl FnOnce(&mut MediaFacts)) -> MediaFacts {
        let mut media = MediaFacts { attached: true, loaded: true, ..MediaFacts::default() };
        set(&mut media);
        media
    }

    #[test]
    fn before_anything_is_attached_the_video_decides() {
        let none = MediaFacts::default();
        assert_eq!(Phase::of(PLAYABLE, none, None), Phase::Idle);
        assert_eq!(Phase::of(PlaybackState::Processing, none, None), Phase::Processing);
        assert_eq!(Phase::of(PlaybackState::Failed, none, None), Phase::Failed);
    }

    #[test]
    fn what_plays_goes_on_unless_there_is_trouble() {
        let playing = media(|media| (media.running, media.started) = (true, true));
        assert_eq!(Phase::of(PlaybackState::Processing, playing, None), Phase::Playing);
        let expired = Phase::of(PLAYABLE, playing, Some(Trouble::Expired));
        assert_eq!((expired.word(), expired.controllable()), ("expired", false));
        assert_eq!(Phase::of(PLAYABLE, playing, Some(Trouble::Gone)).word(), "error");
    }

    #[test]
    fn the_elements_facts_make_the_phase() {
        let phase = |set: fn(&mut MediaFacts)| Phase::of(PLAYABLE, media(set), None);
        assert_eq!(phase(|media| media.loaded = false), Phase::Loading);
        assert_eq!(phase(|_| {}), Phase::Paused);
        assert_eq!(phase(|media| media.running = true), Phase::Playing);
        assert_eq!(phase(|media| (media.running, media.starved) = (true, true)), Phase::Loading);
        assert_eq!(phase(|media| (media.running, media.starved, media.started) = (true, true, true)), Phase::Buffering);
        assert_eq!(phase(|media| (media.loaded, media.started, media.wanted) = (false, true, true)), Phase::Buffering);
        assert_eq!(phase(|media| (media.ended, media.started) = (true, true)), Phase::Ended);
    }

    #[test]
    fn loading_ahead_of_play_keeps_the_big_button() {
        assert_eq!(Layer::of(Phase::Loading, false), Layer::Play);
        assert_eq!(Layer::of(Phase::Loading, true), Layer::Spinner);
        assert_eq!(Layer::of(Phase::Paused, true), Layer::Clear);
        assert_eq!(Layer::of(Phase::Trouble(Trouble::Gone), true), Layer::Message);
    }
}
