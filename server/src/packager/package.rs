//! A source as it is served, without a copy of it: playlists, init segments, and segments that say where in the source their bytes are.

use bytes::Bytes;
use domain::{
    playlist::{Rendition, Track},
    source::FrameRate,
};

use super::{
    arrived::Arrived,
    movie::{Movie, turn},
    picture::Picture,
    refusal::{Refusal, Result, Stopgap},
    segment::Segment,
    sound::Sound,
    stream::Stream,
};

/// Picture or sound: they are served apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

/// How long sound may go on after the picture: a segment, which players have loaded when they come to the picture's end. Microseconds.
const MOST_SOUND_AFTER_US: i64 = 4_000_000;

/// Name of the sound's rendition.
const AUDIO: &str = "audio";

/// A source that is served from its own samples.
#[derive(Debug)]
pub struct Package {
    video: Stream,
    picture: Picture,
    /// Quarters that players turn the picture clockwise.
    turn: u8,
    audio: Option<(Stream, Sound)>,
    language: String,
    /// Bytes of the tables, which both streams share.
    tables: usize,
}

impl Package {
    /// The package of a movie with all its samples; `tables` is how many bytes they take in memory.
    pub(super) fn new(movie: Movie, tables: usize) -> Result<Self> {
        let (video, picture) = (movie.video.track, movie.video.media);
        let turn = turn(&video.header.matrix).ok_or(Refusal::Transformed)?;
        let stream = Stream::picture(video, &picture.entry)?;
        let mut language = None;
        let audio = match movie.audio {
            // A track without packets is as good as none.
            Some(audio) if audio.track.tables.count > 0 => {
                language = Some(audio.track.language.clone());
                Stream::sound(audio.track, &audio.media, &stream)?.map(|stream| (stream, audio.media))
            }
            _ => None,
        };
        Ok(Self { video: stream, picture, turn, audio, language: language.unwrap_or_else(|| "und".into()), tables })
    }

    /// What the playlists say: the picture, and the sound if there is some. The same each time.
    pub fn renditions(&self) -> Vec<Rendition> {
        let (mut width, mut height) = (self.picture.width, self.picture.height);
        if self.turn % 2 == 1 {
            (width, height) = (height, width);
        }
        let (numerator, denominator) = self.video.frame_rate();
        let video = Rendition {
            name: format!("{}p", width.min(height)),
            track: Track::Video { width, height, frame_rate: FrameRate { numerator, denominator } },
            codec: self.picture.codec.clone(),
            copied: true,
            flat: false,
            generation: None,
            playlist: self.video.playlist(),
        };
        let audio = self.audio.as_ref().map(|(stream, sound)| Rendition {
            name: AUDIO.into(),
            track: Track::Audio { channels: sound.channels },
            codec: sound.codec.clone(),
            copied: true,
            flat: false,
            generation: None,
            playlist: stream.playlist(),
        });
        std::iter::once(video).chain(audio).collect()
    }

    /// Why these samples give way to the ladder's once it is there. Empty: they may stay, as far as the container can tell.
    pub fn stopgaps(&self) -> Vec<Stopgap> {
        let sound = self.audio.as_ref().map(|(_, sound)| sound);
        let reasons = [
            (sound.is_some_and(|sound| sound.high_efficiency), Stopgap::HeAac),
            (sound.is_some_and(|sound| sound.channels > 2), Stopgap::Surround),
            (self.turn != 0, Stopgap::Turned),
            (!self.picture.square, Stopgap::Stretched),
            (self.picture.interlaced, Stopgap::Interlaced),
        ];
        reasons.into_iter().filter_map(|(applies, stopgap)| applies.then_some(stopgap)).collect()
    }

    /// When the picture's first frame is shown, in microseconds of the film: it is held from the beginning on. `None` where that is no time.
    pub fn begins_us(&self) -> Option<u64> {
        self.video.begins_us()
    }

    /// The sound's language: three letters of ISO 639-2, `und` where nobody said.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// An init segment; `None` for the sound of a silent film.
    pub fn init(&self, media: Media) -> Option<&Bytes> {
        self.stream(media).map(Stream::init)
    }

    /// How many segments there are.
    pub fn segments(&self, media: Media) -> usize {
        self.stream(media).map_or(0, Stream::len)
    }

    /// A segment by its number, from 0; `None` where there is no such.
    ///
    /// # Errors
    /// None that [`super::Opening`] has not found before.
    pub fn segment(&self, media: Media, number: usize) -> Result<Option<Segment>> {
        self.stream(media).map_or(Ok(None), |stream| stream.segment(number))
    }

    /// Whether a segment of the picture begins where decoding can: `beginning` is what its first range in the source begins with, 4 KiB where
    /// it has them. The tables call many pictures key frames; only their bytes tell. A file for which one segment says no is not to be packaged.
    ///
    /// # Errors
    /// [`Refusal::NotIdr`].
    pub fn check_beginning(&self, beginning: &[u8]) -> Result<()> {
        if self.picture.is_idr(beginning) { Ok(()) } else { Err(Refusal::NotIdr) }
    }

    /// Whether players come to the end of both picture and sound. For what is not shown to anybody yet: what was published stays what it is.
    ///
    /// # Errors
    /// [`Refusal::SoundOutlasts`].
    pub fn check_ends(&self) -> Result<()> {
        let outlasts = self.audio.as_ref().is_some_and(|(sound, _)| sound.end_us() > self.video.end_us() + MOST_SOUND_AFTER_US);
        if outlasts { Err(Refusal::SoundOutlasts) } else { Ok(()) }
    }

    /// How many segments can be served, from the first one on, of a source of which this much has arrived. At least `from`, which were before:
    /// whoever asks again and again hands in the last answer.
    pub fn arrived(&self, media: Media, from: usize, arrived: &Arrived) -> usize {
        let there = |number: &usize| {
            let segment = self.segment(media, *number).ok().flatten();
            segment.is_some_and(|segment| segment.ranges.iter().all(|range| arrived.covers(range)))
        };
        (from..self.segments(media)).take_while(there).last().map_or(from, |last| last + 1)
    }

    /// About how many bytes of memory this takes: for a cache that is bounded by them.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.tables + self.video.bytes() + self.audio.as_ref().map_or(0, |(stream, _)| stream.bytes())
    }

    fn stream(&self, media: Media) -> Option<&Stream> {
        match media {
            Media::Video => Some(&self.video),
            Media::Audio => self.audio.as_ref().map(|(stream, _)| stream),
        }
    }
}
