//! Why a source is not packaged. Each reason is a sentence for logs and for whoever asks why a video did not play at once; none is a
//! failure of the video: it goes to the encoder.

/// What the packager says instead of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Sizes, counts or places contradict each other or the length of the file.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// No `moov` at top level: another container, or a recording that was never finished.
    #[error("there is no movie box")]
    NoMovie,
    /// `cmov`: QuickTime's zlib-compressed movie box.
    #[error("the movie box is compressed")]
    CompressedMovie,
    /// More than a server should read or keep for one video.
    #[error("the tables are too large: {0}")]
    TooLarge(&'static str),
    /// Samples both in `moov` and in fragments.
    #[error("samples are in the movie box and in fragments")]
    Hybrid,
    /// Samples lie in another file.
    #[error("samples are in another file")]
    ForeignData,
    /// Parameters change within a track, which would need several init segments.
    #[error("a track has several sample descriptions")]
    SeveralDescriptions,
    /// Longer than a day.
    #[error("it is longer than a day")]
    TooLong,

    /// No picture that moves.
    #[error("there is no picture")]
    NoPicture,
    /// Another codec, encrypted samples, or parameter sets that are not in `avcC`.
    #[error("the picture is not H.264 in an avc1 sample entry")]
    NotH264,
    /// A profile that browsers do not decode, with its `profile_idc`.
    #[error("H.264 profile {0} is not one that every browser plays")]
    Profile(u8),
    /// More than 8 bits a sample, or another chroma format than 4:2:0.
    #[error("the picture is not 8-bit 4:2:0")]
    SampleFormat,
    /// None or several, unreadable ones, or ones that contradict `avcC`.
    #[error("the parameter sets are not usable")]
    ParameterSets,
    /// More macroblocks than H.264 level 5.2 has.
    #[error("the picture is too large")]
    PictureTooLarge,
    /// A clean aperture that cuts something off, which most players show.
    #[error("the picture is cropped by the container")]
    Cropped,
    /// A transformation other than turning by quarters.
    #[error("the picture is scaled, mirrored or skewed by the container")]
    Transformed,
    /// Segments can only be cut at key frames.
    #[error("key frames are too far apart")]
    KeyFramesTooFar,
    /// Frames are shown before the key frame that they were stored behind: after a seek browsers stop there.
    #[error("a group of pictures is open")]
    OpenGroup,
    /// What is marked as a key frame is not one where decoding can begin.
    #[error("a key frame is no IDR picture")]
    NotIdr,
    /// Frames with no duration or at impossible times.
    #[error("the times of the frames are not usable")]
    FrameTimes,
    /// One segment would have more bytes than a server should hold.
    #[error("a segment would be too large")]
    SegmentTooLarge,

    /// The film is put together from several pieces of its media.
    #[error("the edit list has several pieces")]
    SeveralEdits,
    /// Played faster, slower or frozen.
    #[error("the edit list changes the speed")]
    EditRate,
    /// A cut inside a group of pictures: frames that were cut off, perhaps for a reason, would have to be sent.
    #[error("the film is cut inside a group of pictures")]
    TrimInsideGroup,
    /// Picture or sound begins so late that holding the first frame or leading with silence is no answer, or no silent packet is known.
    #[error("picture or sound begins too late")]
    StartsLate,

    /// Players run dry of pictures while they load sound ahead, and stand still there. An encoder repeats the last frame.
    #[error("the sound goes on for long after the picture")]
    SoundOutlasts,
    /// Another codec than AAC.
    #[error("the sound is not AAC")]
    NotAac,
    /// An AAC that browsers do not decode everywhere, or a configuration that cannot be read.
    #[error("the AAC is neither LC nor HE")]
    AacKind,
    /// Packets that are shown at other times than they are decoded, that need others, or that have holes between them.
    #[error("the times of the sound are not usable")]
    SoundTimes,
}

/// A result of the packager.
pub(super) type Result<T> = std::result::Result<T, Refusal>;

/// What keeps a source's own samples from staying the top rung once the ladder is there: browsers play it, but not all players, or not well.
/// What only a probe sees (bit rate, colours) is [`domain::ladder::is_passthrough`]'s business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopgap {
    /// HE-AAC, either version.
    #[error("the sound is HE-AAC")]
    HeAac,
    /// Surround sound.
    #[error("the sound has more than two channels")]
    Surround,
    /// Turned by the container.
    #[error("the picture is turned by the container")]
    Turned,
    /// Samples that are not square.
    #[error("the picture's samples are not square")]
    Stretched,
    /// Fields, or frames that may be.
    #[error("the picture may be interlaced")]
    Interlaced,
}
