//! A video as its owner sees it, and the one function that says what state it is in.

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    ids::{PlaybackId, VideoId},
    source::SourceFacts,
};

/// Who may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The owner only.
    Private,
    /// Everybody with the link.
    #[default]
    Unlisted,
    /// Everybody with the link, and search engines may index the page.
    Public,
}

impl Visibility {
    /// All of them, most closed first.
    pub const ALL: [Self; 3] = [Self::Private, Self::Unlisted, Self::Public];

    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Unlisted => "unlisted",
            Self::Public => "public",
        }
    }

    /// Reads what [`Visibility::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.as_str() == text)
    }

    /// As one byte of a grant.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Private => 0,
            Self::Unlisted => 1,
            Self::Public => 2,
        }
    }

    /// Reads what [`Visibility::as_byte`] wrote.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.as_byte() == byte)
    }
}

/// The status that the API promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Bytes are still to come.
    Uploading,
    /// All bytes are here; renditions are being made.
    Processing,
    /// All renditions are published.
    Done,
    /// Given up; [`Failure`] says why.
    Failed,
}

impl Status {
    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Where in the pipeline a video stands; finer than [`Status`], and it may gain members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Parts are arriving.
    Uploading,
    /// Waiting for a free worker, or for the next try.
    Queued,
    /// The source is being looked at.
    Checking,
    /// Renditions are being encoded.
    Encoding,
    /// Renditions are checked and made playable.
    Publishing,
    /// All done.
    Ready,
    /// Given up.
    Failed,
}

impl Stage {
    /// All of them, in the order a video goes through them.
    pub const ALL: [Self; 7] = [Self::Uploading, Self::Queued, Self::Checking, Self::Encoding, Self::Publishing, Self::Ready, Self::Failed];

    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Queued => "queued",
            Self::Checking => "checking",
            Self::Encoding => "encoding",
            Self::Publishing => "publishing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }

    /// Reads what [`Stage::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// The status that the API promises, derived here and nowhere else.
    pub const fn status(self) -> Status {
        match self {
            Self::Uploading => Status::Uploading,
            Self::Queued | Self::Checking | Self::Encoding | Self::Publishing => Status::Processing,
            Self::Ready => Status::Done,
            Self::Failed => Status::Failed,
        }
    }

    /// Whether a video in this stage may go on to `next`. A try that fails for a passing reason goes back to
    /// [`Stage::Queued`]; so does a retry by hand, from [`Stage::Failed`]. A second write of the same stage is no step.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Uploading, Self::Queued)
                | (Self::Queued, Self::Checking)
                | (Self::Checking, Self::Encoding)
                | (Self::Encoding, Self::Publishing)
                | (Self::Publishing, Self::Ready)
                // A worker that takes over another's job begins anew.
                | (Self::Checking | Self::Encoding | Self::Publishing, Self::Checking | Self::Queued)
                | (Self::Queued | Self::Checking | Self::Encoding | Self::Publishing, Self::Failed)
                | (Self::Failed, Self::Queued)
                // Whoever runs the server may have it processed once more, as by new settings. What is published plays on meanwhile.
                | (Self::Ready, Self::Queued)
        )
    }
}

/// One rung once encoded, as the owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenditionFacts {
    /// Name, such as `720p`, or `audio`.
    pub name: String,
    /// Width and height in samples; `None` for sound.
    pub size: Option<(u32, u32)>,
    /// Mean bits per second, as measured.
    pub average_bandwidth: u64,
    /// Bytes of all its segments.
    pub bytes: u64,
    /// Whether the source's own samples were kept.
    pub copied: bool,
}

/// A video as its owner sees it: what the library, the video page and the event stream show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// The owner's handle.
    pub id: VideoId,
    /// The public handle.
    pub playback_id: PlaybackId,
    /// Title, never empty.
    pub title: String,
    /// Who may watch.
    pub visibility: Visibility,
    /// Where it stands; [`Stage::status`] is what the API calls it.
    pub stage: Stage,
    /// Percent of the current stage, 0 to 100.
    pub progress: u8,
    /// Whether something of it can be played now.
    pub playable: bool,
    /// Why it failed, where it did, or why it waits, where nobody may work on it.
    pub failure: Option<Failure>,
    /// Name of the file as uploaded.
    pub file_name: String,
    /// Bytes in the file as uploaded.
    pub size_bytes: u64,
    /// What the probe found, once it has.
    pub source: Option<SourceFacts>,
    /// What was published. Empty in lists.
    pub renditions: Vec<RenditionFacts>,
    /// Signed URL of the poster, once there is one.
    pub poster_url: Option<String>,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
}

impl Video {
    /// What the API calls the state.
    pub const fn status(&self) -> Status {
        self.stage.status()
    }

    /// Length in milliseconds, once known.
    pub fn duration_ms(&self) -> Option<u64> {
        self.source.as_ref().map(|source| source.duration_ms)
    }
}

/// A title, or what is searched for in titles, without its case: what a search compares. The sigma that ends a word is a sigma.
pub fn fold_title(text: &str) -> String {
    text.to_lowercase().replace('ς', "σ")
}

/// One page of the library, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoPage {
    /// The videos.
    pub videos: Vec<Video>,
    /// Ask with this id for the next page; `None` on the last one.
    pub next: Option<VideoId>,
}

/// What a player needs to know of a video: public, for the watch and embed pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Playback {
    /// The public handle.
    pub playback_id: PlaybackId,
    /// Title.
    pub title: String,
    /// What to show.
    pub state: PlaybackState,
    /// Whether its upload is still on its way: what has arrived can be played, and more follows.
    #[serde(default)]
    pub arriving: bool,
    /// Whether it plays from an encode that is still running: what is finished can be played, and more follows.
    #[serde(default)]
    pub growing: bool,
    /// Percent of the current stage while it is [`PlaybackState::Processing`].
    pub progress: u8,
    /// URL of the multivariant playlist, where something can be played.
    pub url: Option<String>,
    /// Signed URL of the poster, once there is one.
    pub poster_url: Option<String>,
    /// Width and height as shown; 16:9 until known.
    pub size: (u32, u32),
    /// Length in milliseconds; 0 until known.
    pub duration_ms: u64,
    /// Second of the Unix epoch at which `url` stops.
    pub expires_at: Option<u64>,
    /// What goes around the media that the playlists at `url` name, for a player that puts fresh signatures in while it plays: one entry for
    /// each generation.
    #[serde(default)]
    pub media: Vec<SignedMedia>,
    /// Seconds after which to ask for a fresh `url`; `None` where it lasts for the whole film.
    #[serde(default)]
    pub renew_in_seconds: Option<u64>,
}

/// The signed address of one generation's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedMedia {
    /// URL up to and with the slash in front of the objects' names.
    pub base: String,
    /// Query without its question mark.
    pub query: String,
}

/// What a player has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaybackState {
    /// There is something to play.
    Playable,
    /// Nothing yet; it will come.
    Processing,
    /// Nothing, and nothing will come by itself.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_goes_on_by_way_of_the_queue_alone() {
        for next in Stage::ALL {
            assert_eq!(Stage::Ready.may_become(next), next == Stage::Queued);
            assert_eq!(Stage::Uploading.may_become(next), next == Stage::Queued);
            assert_eq!(Stage::Failed.may_become(next), next == Stage::Queued);
        }
    }

    #[test]
    fn every_stored_word_reads_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::parse(stage.as_str()), Some(stage));
        }
        for visibility in Visibility::ALL {
            assert_eq!(Visibility::parse(visibility.as_str()), Some(visibility));
            assert_eq!(Visibility::from_byte(visibility.as_byte()), Some(visibility));
        }
    }
}
