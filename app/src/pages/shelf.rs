//! The videos that the library shows, and what pages and events do to them. Newest first: ids are in the order of time.

use domain::{
    ids::VideoId,
    video::{Stage, Video, VideoPage, fold_title},
};

use crate::live::LiveEvent;

/// A part of the library, from the newest that is shown to the oldest.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelf {
    videos: Vec<Video>,
    next: Option<VideoId>,
    search: String,
    from_newest: bool,
}

impl Shelf {
    /// The shelf that shows a page: for a search, and `from_newest` if nothing newer was left out.
    pub fn new(page: VideoPage, search: &str, from_newest: bool) -> Self {
        Self { videos: page.videos, next: page.next, search: fold_title(search.trim()), from_newest }
    }

    /// The ids, in order.
    pub fn ids(&self) -> Vec<VideoId> {
        self.videos.iter().map(|video| video.id).collect()
    }

    /// One video.
    pub fn get(&self, id: VideoId) -> Option<&Video> {
        self.videos.iter().find(|video| video.id == id)
    }

    /// Where the next page begins.
    pub const fn next(&self) -> Option<VideoId> {
        self.next
    }

    /// Whether nothing is shown.
    pub const fn is_empty(&self) -> bool {
        self.videos.is_empty()
    }

    /// Adds an older page.
    pub fn append(&mut self, page: VideoPage) {
        for video in page.videos {
            self.put(video);
        }
        self.next = page.next;
    }

    /// Takes a fresh first page over what it covers: what it does not name within its span is gone.
    pub fn refresh(&mut self, page: VideoPage) {
        if !self.from_newest {
            return;
        }
        let oldest = page.videos.last().map(|video| video.id).filter(|_| page.next.is_some());
        // Where the two do not meet, something lies between them that neither names: then only the fresh page counts.
        let meet = self.videos.iter().any(|video| oldest.is_some_and(|oldest| video.id >= oldest));
        self.videos.retain(|video| meet && oldest.is_some_and(|oldest| video.id < oldest));
        if self.videos.is_empty() {
            self.next = page.next;
        }
        for video in page.videos {
            self.put(video);
        }
    }

    /// Takes in what happened. Answers with what is worth saying to people who do not see the screen.
    pub fn apply(&mut self, event: LiveEvent) -> Option<String> {
        match event {
            LiveEvent::Ready => None,
            LiveEvent::Deleted(id) => {
                self.videos.retain(|video| video.id != id);
                None
            }
            LiveEvent::Video(video) => {
                let said = self.get(video.id).and_then(|before| news(before, &video));
                if self.shows(&video) {
                    self.put(*video);
                } else {
                    self.videos.retain(|other| other.id != video.id);
                }
                said
            }
        }
    }

    /// Whether a video belongs on this shelf.
    fn shows(&self, video: &Video) -> bool {
        let within = match (self.videos.first(), self.videos.last()) {
            (Some(newest), Some(oldest)) => (self.from_newest || video.id <= newest.id) && (self.next.is_none() || video.id >= oldest.id),
            _ => self.from_newest,
        };
        within && (self.search.is_empty() || fold_title(&video.title).contains(&self.search))
    }

    fn put(&mut self, video: Video) {
        match self.videos.binary_search_by(|other| video.id.cmp(&other.id)) {
            Ok(at) => self.videos[at] = video,
            Err(at) => self.videos.insert(at, video),
        }
    }
}

/// What has become of a video, where that is news.
fn news(before: &Video, after: &Video) -> Option<String> {
    let title = &after.title;
    match after.stage {
        Stage::Ready if before.stage != Stage::Ready => Some(format!("{title} is ready.")),
        Stage::Failed if before.stage != Stage::Failed => Some(format!("{title} failed.")),
        _ if after.playable && !before.playable => Some(format!("{title} can be played.")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::chips::tests::video;

    fn page(numbers: &[u8], next: Option<u8>) -> VideoPage {
        VideoPage { videos: numbers.iter().map(|n| video(*n, Stage::Ready)).collect(), next: next.map(|n| video(n, Stage::Ready).id) }
    }

    fn numbers(shelf: &Shelf) -> Vec<i64> {
        shelf.ids().into_iter().filter_map(|id| shelf.get(id)).map(|video| video.created_at_ms).collect()
    }

    fn event(video: Video) -> LiveEvent {
        LiveEvent::Video(Box::new(video))
    }

    #[test]
    fn new_videos_come_first_and_old_ones_wait_for_their_page() {
        let mut shelf = Shelf::new(page(&[9, 8, 7], Some(7)), "", true);
        shelf.apply(event(video(10, Stage::Uploading)));
        shelf.apply(event(video(3, Stage::Ready)));
        assert_eq!(numbers(&shelf), [10, 9, 8, 7]);
        shelf.append(page(&[6, 5], None));
        shelf.apply(event(video(3, Stage::Ready)));
        assert_eq!(numbers(&shelf), [10, 9, 8, 7, 6, 5, 3]);
    }

    #[test]
    fn an_older_page_stays_what_it_is() {
        let mut shelf = Shelf::new(page(&[5, 4], Some(4)), "", false);
        shelf.apply(event(video(10, Stage::Uploading)));
        shelf.refresh(page(&[10, 9], None));
        assert_eq!(numbers(&shelf), [5, 4]);
    }

    #[test]
    fn changes_show_and_news_are_told_once() {
        let mut shelf = Shelf::new(page(&[], None), "", true);
        assert_eq!(shelf.apply(event(video(1, Stage::Encoding))), None);
        assert_eq!(shelf.apply(event(video(1, Stage::Ready))), Some("Video 1 is ready.".to_owned()));
        assert_eq!(shelf.apply(event(video(1, Stage::Ready))), None);
        assert_eq!(shelf.apply(LiveEvent::Deleted(video(1, Stage::Ready).id)), None);
        assert!(shelf.is_empty());
    }

    #[test]
    fn a_search_shows_only_what_matches() {
        let mut shelf = Shelf::new(page(&[], None), " VIDEO 1 ", true);
        shelf.apply(event(video(2, Stage::Ready)));
        shelf.apply(event(video(1, Stage::Ready)));
        assert_eq!(numbers(&shelf), [1]);
        let renamed = Video { title: "Other".into(), ..video(1, Stage::Ready) };
        shelf.apply(event(renamed));
        assert!(shelf.is_empty());
    }

    #[test]
    fn a_fresh_page_takes_out_what_was_deleted_meanwhile() {
        let mut shelf = Shelf::new(page(&[9, 8, 7, 6, 5], Some(5)), "", true);
        shelf.refresh(page(&[10, 9, 7], Some(7)));
        assert_eq!(numbers(&shelf), [10, 9, 7, 6, 5]);
        assert_eq!(shelf.next(), Some(video(5, Stage::Ready).id));
        shelf.refresh(page(&[10], None));
        assert_eq!((numbers(&shelf), shelf.next()), (vec![10], None));
        // More than a page came in between: the old ones come again with the pages that follow.
        shelf.refresh(page(&[20, 19], Some(19)));
        assert_eq!((numbers(&shelf), shelf.next()), (vec![20, 19], Some(video(19, Stage::Ready).id)));
    }
}
