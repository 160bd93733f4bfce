//! A video may have begun to play from its source, and its ladder is there since: more to choose from, at the same address. Nobody who watches
//! is interrupted for that. The player takes it up where it has to wait anyway, or where the viewer asks what there is to choose from.

use super::engine::Engine;

impl Engine {
    /// Notes what is being opened.
    pub(super) fn note_opened(&self) {
        self.opened.replace(self.current());
    }

    /// Opens what there is by now, where that is something else than what is open, and goes on where it was.
    pub(super) fn take_up(&self) {
        let current = self.current();
        let outdated = current.is_some() && *self.opened.borrow() != current && self.hls().is_some();
        if let Some(url) = self.store.url().filter(|_| outdated) {
            self.reopen(url);
        }
    }

    /// The same, where a seek goes to what is not loaded.
    pub(super) fn take_up_for_seek(&self) {
        let (at, buffered) = (self.video.current_time(), self.video.buffered());
        let holds = |index| Some(buffered.start(index).ok()? <= at && at <= buffered.end(index).ok()?);
        if !(0..buffered.length()).filter_map(holds).any(|holds| holds) {
            self.take_up();
        }
    }

    /// Where the objects of what plays now are: the first address that is signed for. The rest is for those who began before.
    fn current(&self) -> Option<String> {
        self.store.look(|state| state.playback.media.first().map(|media| media.base.clone()))
    }
}
