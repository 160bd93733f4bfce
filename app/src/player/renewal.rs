//! Fresh signatures for what is playing. hls.js reads the playlists of a film once and keeps the addresses that they name; a player that
//! plays for longer than those last puts a fresh signature into each address as it is asked for. What is asked for stays the same, so
//! nothing is loaded anew and nothing stalls.

use domain::{
    grant::Lifetime,
    video::{Playback, SignedMedia},
};
use leptos::prelude::Callable;

use super::engine::Engine;

/// Where the playlists of a grant are, as part of every address of theirs.
const PLAYLISTS: &str = "/hls/";
/// How long the page has for fresh signatures before it is asked again.
const AGAIN_MS: u32 = 15_000;

/// The signatures that hold now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signatures {
    /// URL up to and with [`PLAYLISTS`]: behind it stands the grant.
    root: String,
    /// URL up to and with the slash behind the grant.
    playlists: String,
    playlist_query: String,
    media: Vec<SignedMedia>,
}

impl Signatures {
    /// Those in a playback that can be renewed.
    pub(super) fn of(playback: &Playback) -> Option<Self> {
        playback.renew_in_seconds?;
        let (path, query) = cut(playback.url.as_deref()?);
        let root = &path[..path.find(PLAYLISTS)? + PLAYLISTS.len()];
        let grant = path[root.len()..].find('/')?;
        Some(Self {
            root: root.to_owned(),
            playlists: path[..=root.len() + grant].to_owned(),
            playlist_query: query.to_owned(),
            media: playback.media.clone(),
        })
    }

    /// The address to ask for instead of one that an earlier playlist named; `None` where there is nothing to put into it.
    pub(super) fn refresh(&self, url: &str) -> Option<String> {
        let (path, _) = cut(url);
        for media in &self.media {
            if let Some(file) = path.strip_prefix(media.base.as_str()) {
                return Some(join(&media.base, file, &media.query));
            }
        }
        let (_, file) = path.strip_prefix(self.root.as_str())?.split_once('/')?;
        Some(join(&self.playlists, file, &self.playlist_query))
    }
}

impl Engine {
    /// Has hls.js ask with the signatures at hand from now on, and asks for fresh ones before they run out.
    pub(super) fn sign_anew(&self) {
        let (signatures, seconds) = self.store.look(|state| (Signatures::of(&state.playback), state.playback.renew_in_seconds));
        self.signatures.replace(signatures);
        self.refresh.cancel();
        if let Some(seconds) = seconds {
            self.later(&self.refresh, u32::try_from(seconds * 1_000).unwrap_or(u32::MAX / 2), Self::ask_for_signatures);
        }
    }

    /// What was being played is refused, and the page has learnt that there is nothing to play just now: an encode that played as it grew has
    /// failed, and the next one begins. It waits for that as at first, and then goes on where it was.
    pub(super) fn rest(&self) {
        if self.renewing.replace(false) {
            self.renewal.cancel();
            self.retry.cancel();
            self.keep_position();
            self.recovery.take();
            self.close();
            self.url.take();
            self.observe();
        }
    }

    /// Nothing waits for the answer: what is at hand holds for a while yet.
    fn ask_for_signatures(&self) {
        self.later(&self.refresh, AGAIN_MS, Self::ask_for_signatures);
        self.renew.run(Lifetime::Renewed);
    }
}

fn cut(url: &str) -> (&str, &str) {
    url.split_once('?').unwrap_or((url, ""))
}

fn join(base: &str, file: &str, query: &str) -> String {
    let mark = if query.is_empty() { "" } else { "?" };
    [base, file, mark, query].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::video::PlaybackState;

    fn playback(url: &str, media: &[(&str, &str)]) -> Playback {
        Playback {
            playback_id: "abcdefghjkmnpqrs".parse().expect("a valid id"),
            title: String::new(),
            state: PlaybackState::Playable,
            arriving: false,
            growing: false,
            progress: 100,
            url: Some(url.to_owned()),
            poster_url: None,
            size: (16, 9),
            duration_ms: 1,
            expires_at: Some(1),
            media: media.iter().map(|(base, query)| SignedMedia { base: (*base).to_owned(), query: (*query).to_owned() }).collect(),
            renew_in_seconds: Some(400),
        }
    }

    #[test]
    fn our_own_origin_has_the_grant_in_the_path_and_a_query_on_media() {
        let fresh = playback("https://v.example/hls/NEW/index.m3u8", &[("https://v.example/media/g1/", "e=2&s=new")]);
        let signatures = Signatures::of(&fresh).expect("renewed");
        let refresh = |url: &str| signatures.refresh(url);
        assert_eq!(
            refresh("https://v.example/media/g1/720p/1.m4s?e=1&s=old").as_deref(),
            Some("https://v.example/media/g1/720p/1.m4s?e=2&s=new")
        );
        assert_eq!(refresh("https://v.example/hls/OLD/g1/720p.m3u8").as_deref(), Some("https://v.example/hls/NEW/g1/720p.m3u8"));
        assert_eq!(refresh("https://v.example/hls/OLD/index.m3u8").as_deref(), Some("https://v.example/hls/NEW/index.m3u8"));
        assert_eq!(refresh("https://v.example/media/g2/720p/1.m4s?e=1"), None, "another generation keeps what it was signed with");
        assert_eq!(refresh("https://evil.example/hls/OLD/index.m3u8"), None);
    }

    #[test]
    fn a_distribution_has_a_query_on_both() {
        let fresh = playback("https://d1.example/hls/NEW/index.m3u8?Policy=p2", &[("https://d1.example/published/g1/", "Policy=m2")]);
        let signatures = Signatures::of(&fresh).expect("renewed");
        assert_eq!(
            signatures.refresh("https://d1.example/hls/OLD/g1/a.m3u8?Policy=p1").as_deref(),
            Some("https://d1.example/hls/NEW/g1/a.m3u8?Policy=p2")
        );
        assert_eq!(
            signatures.refresh("https://d1.example/published/g1/a/1.m4s?Policy=m1").as_deref(),
            Some("https://d1.example/published/g1/a/1.m4s?Policy=m2")
        );
    }

    #[test]
    fn what_lasts_for_the_whole_film_is_left_alone() {
        let film = Playback { renew_in_seconds: None, ..playback("https://v.example/hls/G/index.m3u8", &[]) };
        assert_eq!(Signatures::of(&film), None);
        assert_eq!(Signatures::of(&playback("https://v.example/elsewhere.m3u8", &[])), None);
    }
}
