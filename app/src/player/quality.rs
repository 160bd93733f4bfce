//! The quality menu: which rungs the playlist offers, which one plays, and what the entries are called.

/// One rung of the playlist as hls.js numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rung {
    /// Place in hls.js's list, lowest bandwidth first.
    pub(super) level: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits per second.
    pub(super) bandwidth: u32,
}

impl Rung {
    /// As people call it: by the shorter side, so that a portrait video is `720p` too.
    fn name(self) -> String {
        format!("{}p", self.width.min(self.height))
    }
}

/// What there is to choose from and what is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Qualities {
    /// As hls.js sorts them: lowest first.
    pub(super) rungs: Vec<Rung>,
    /// Chosen by the viewer; `None` is Auto.
    pub(super) chosen: Option<u32>,
    /// On the screen now.
    pub(super) playing: Option<u32>,
}

/// One entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// What to choose; `None` is Auto.
    pub(super) level: Option<u32>,
    pub(super) label: String,
    pub(super) chosen: bool,
}

impl Qualities {
    /// The menu: Auto, then the rungs, best first. Empty where there is nothing to choose (native playback).
    pub(super) fn choices(&self) -> Vec<Choice> {
        if self.rungs.is_empty() {
            return Vec::new();
        }
        let auto = Choice { level: None, label: self.auto_label(), chosen: self.chosen.is_none() };
        let named = self.rungs.iter().rev().map(|rung| Choice {
            level: Some(rung.level),
            label: self.label(*rung),
            chosen: self.chosen == Some(rung.level),
        });
        std::iter::once(auto).chain(named).collect()
    }

    /// A playlist was read anew. A choice made before is kept where the new list has it.
    pub(super) fn renew(&mut self, rungs: &[Rung]) {
        self.chosen = self.chosen.filter(|level| rungs.iter().any(|rung| rung.level == *level));
        self.playing = None;
        self.rungs = rungs.to_vec();
    }

    /// What is said once a choice is made.
    pub(super) fn spoken(&self) -> String {
        match self.rung(self.chosen) {
            Some(rung) => format!("Quality {}", self.label(rung)),
            None => "Quality auto".to_owned(),
        }
    }

    fn auto_label(&self) -> String {
        match self.rung(self.playing).filter(|_| self.chosen.is_none()) {
            Some(rung) => format!("Auto ({})", rung.name()),
            None => "Auto".to_owned(),
        }
    }

    /// The rung's name, with its bandwidth where two rungs have the same size.
    fn label(&self, rung: Rung) -> String {
        let name = rung.name();
        if self.rungs.iter().filter(|other| other.name() == name).count() > 1 {
            let tenths = (rung.bandwidth + 50_000) / 100_000;
            format!("{name} {}.{} Mbit/s", tenths / 10, tenths % 10)
        } else {
            name
        }
    }

    fn rung(&self, level: Option<u32>) -> Option<Rung> {
        self.rungs.iter().copied().find(|rung| Some(rung.level) == level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(level: u32, width: u32, height: u32) -> Rung {
        Rung { level, width, height, bandwidth: 1_000_000 * (level + 1) }
    }

    fn labels(qualities: &Qualities) -> Vec<String> {
        qualities.choices().into_iter().map(|choice| choice.label).collect()
    }

    #[test]
    fn auto_comes_first_and_names_what_plays_then_the_best() {
        let mut qualities = Qualities { rungs: vec![rung(0, 640, 360), rung(1, 1280, 720)], chosen: None, playing: Some(1) };
        assert_eq!(labels(&qualities), ["Auto (720p)", "720p", "360p"]);
        assert!(qualities.choices()[0].chosen);

        qualities.chosen = Some(0);
        assert_eq!(labels(&qualities), ["Auto", "720p", "360p"]);
        assert_eq!(qualities.choices().iter().filter(|choice| choice.chosen).count(), 1);
        assert_eq!(qualities.spoken(), "Quality 360p");
    }

    #[test]
    fn a_portrait_video_is_named_by_its_shorter_side() {
        assert_eq!(labels(&Qualities { rungs: vec![rung(0, 720, 1280)], ..Qualities::default() }), ["Auto", "720p"]);
    }

    #[test]
    fn rungs_of_one_size_are_told_apart_by_bandwidth() {
        let qualities = Qualities { rungs: vec![rung(0, 1280, 720), rung(1, 1280, 720)], ..Qualities::default() };
        assert_eq!(labels(&qualities), ["Auto", "720p 2.0 Mbit/s", "720p 1.0 Mbit/s"]);
    }

    #[test]
    fn a_new_list_keeps_the_choice_where_it_can() {
        let mut qualities = Qualities { chosen: Some(1), playing: Some(1), ..Qualities::default() };
        qualities.renew(&[rung(0, 640, 360), rung(1, 1280, 720)]);
        assert_eq!((qualities.chosen, qualities.playing), (Some(1), None));
        qualities.renew(&[rung(0, 640, 360)]);
        assert_eq!(qualities.chosen, None);
    }

    #[test]
    fn nothing_to_choose_is_no_menu() {
        assert_eq!(Qualities::default().choices(), []);
    }
}
