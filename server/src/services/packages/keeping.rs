//! Sources that stay what viewers get, for as long as their video: what the ladder would copy is not stored a second time.

use domain::{
    ids::{GenerationId, UploadId},
    ladder::{Cuts, Ladder},
    playlist::{Rendition, Track},
    source::SourceFacts,
};

use super::{NotPackaged, Packages, packaged_generation};
use crate::{
    packager::{Media, Package},
    services::publishing::lasts_as_long,
};

/// The first frame is held from the beginning of the film where it comes this late at most, in the encoded rungs as well. Microseconds.
const LATEST_BEGINNING_US: u64 = 900_000;
/// Most segments of a picture that others are cut like: the encoder is told each, and its command line has an end. Half a day at least.
const MOST_CUTS: usize = 11_000;
/// Sound that ends this much before the picture does not stay: it has to be filled up with silence. Microseconds.
const SHORT_SOUND_US: u64 = 500_000;

/// A source that may stay what viewers get.
#[derive(Debug)]
pub struct Kept {
    picture: Rendition,
    sound: Option<Rendition>,
    begins_us: u64,
}

impl Packages {
    /// What of a complete source may stay, by all that is known of its container: nothing where it is not packaged at all, or where what is
    /// packaged is to be replaced. Where the store fails just now, nothing as well.
    pub async fn keepable(&self, upload: UploadId) -> Option<Kept> {
        if !self.deliverable {
            return None;
        }
        let generation = packaged_generation(upload);
        let looked = async {
            let ready = self.opened(generation).await?;
            self.check_beginnings(generation, &ready.package).await?;
            Ok::<_, NotPackaged>(ready)
        };
        match looked.await {
            Ok(ready) => Kept::of(&ready.package, generation),
            Err(NotPackaged::Refused(_)) => None,
            Err(NotPackaged::Store(error)) => {
                tracing::warn!(upload_id = %upload, %error, "cannot look whether the source can stay what viewers get; it is copied instead");
                None
            }
        }
    }
}

impl Kept {
    /// What of a package may stay, as the files of a generation.
    #[must_use]
    pub fn of(package: &Package, generation: GenerationId) -> Option<Self> {
        if !package.stopgaps().is_empty() || package.segments(Media::Video) > MOST_CUTS {
            return None;
        }
        let begins_us = package.begins_us().filter(|begins_us| *begins_us <= LATEST_BEGINNING_US)?;
        let (mut picture, mut sound) = (None, None);
        for rendition in package.renditions() {
            let rendition = Rendition { generation: Some(generation), ..rendition };
            match rendition.track {
                Track::Video { .. } => picture = Some(rendition),
                Track::Audio { .. } => sound = Some(rendition),
            }
        }
        Some(Self { picture: picture?, sound, begins_us })
    }

    /// The plan without what the source itself is good for, and that; nothing where the two do not fit together.
    #[must_use]
    pub fn beside(self, plan: &Ladder, facts: &SourceFacts) -> Option<(Ladder, Vec<Rendition>)> {
        let Self { picture, sound, begins_us } = self;
        // By the name and the size that the probe has found as well, or one of the two has misread the file.
        let top = plan.rungs.first()?;
        let same = matches!(picture.track, Track::Video { width, height, .. } if (width, height) == (top.width, top.height));
        if !same || picture.name != top.name || !lasts_as_long(facts, &picture) {
            return None;
        }
        let least_us = picture.playlist.duration_us().saturating_sub(SHORT_SOUND_US);
        let sound = sound.filter(|sound| sound.playlist.duration_us() >= least_us && lasts_as_long(facts, sound));
        let ladder = plan.beside(Cuts { begins_us, at_us: beginnings(&picture) }, sound.is_some())?;
        let sound = sound.filter(|_| ladder.audio.is_none());
        Some((ladder, std::iter::once(picture).chain(sound).collect()))
    }
}

/// Where its segments begin, but for the first one.
fn beginnings(rendition: &Rendition) -> Vec<u64> {
    let mut end_us = 0;
    let ends = rendition.playlist.segments.iter().map(|segment| {
        end_us += segment.duration_us;
        end_us
    });
    let mut ends: Vec<u64> = ends.collect();
    ends.pop();
    ends
}
