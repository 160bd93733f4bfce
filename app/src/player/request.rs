//! What a control or a key may ask of the player. Controls send these and show the state; only the engine acts.

/// One wish of the viewer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Request {
    TogglePlay,
    /// To a second.
    SeekTo(f64),
    /// By seconds, back where negative.
    SeekBy(f64),
    /// To a share of the length, 0 to 1.
    SeekToShare(f64),
    /// To a share of full volume, 0 to 1.
    SetVolume(f64),
    VolumeBy(f64),
    ToggleMute,
    SetRate(f64),
    Slower,
    Faster,
    /// A level of the playlist; `None` is Auto.
    ChooseQuality(Option<u32>),
    ToggleFullScreen,
    TogglePictureInPicture,
    /// See what there is to choose from.
    Choices,
    /// Once more after an error.
    Retry,
    /// Something moved: show the controls.
    Wake,
    /// The pointer left: hide them sooner.
    Leave,
}
