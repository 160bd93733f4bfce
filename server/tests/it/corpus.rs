//! Hostile media: about five hundred files that a stranger might upload, each with the verdict it has to get. They are made here from a
//! fixed seed and from what ffmpeg makes of its own test pictures, so they are the same wherever the same ffmpeg is; none is committed.

use std::rc::Rc;

use domain::failure::FailureCode;

use self::kitchen::Kitchen;

mod bombs;
mod boxes;
mod codecs;
pub(crate) mod damage;
pub(crate) mod kitchen;
pub(crate) mod names;
mod polyglots;
mod references;

/// What has to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It plays.
    Accepted,
    /// It is refused, for one of these reasons.
    Refused(&'static [FailureCode]),
    /// Either, as long as it is the file that is blamed, never the machinery.
    Boring,
}

/// How a file is made; nothing comes of it where this build of ffmpeg cannot.
type Recipe = Rc<dyn Fn(&Kitchen) -> Option<Food>>;

/// One file.
#[derive(Clone)]
pub(crate) struct Case {
    /// Letter of its class, and what is wrong with it.
    pub(crate) id: String,
    pub(crate) verdict: Verdict,
    make: Recipe,
}

/// What a case consists of.
pub(crate) struct Food {
    pub(crate) bytes: Vec<u8>,
    /// Length of the file where it ends in a hole.
    pub(crate) length: Option<u64>,
}

impl From<Vec<u8>> for Food {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, length: None }
    }
}

impl Case {
    /// The file; nothing where this build of ffmpeg cannot make it.
    pub(crate) fn make(&self, kitchen: &Kitchen) -> Option<Food> {
        (self.make)(kitchen)
    }

    /// Letter of its class.
    pub(crate) fn class(&self) -> char {
        self.id.chars().next().unwrap_or('?')
    }
}

/// A list of cases under way.
#[derive(Default)]
struct Menu(Vec<Case>);

impl Menu {
    fn add(&mut self, id: impl Into<String>, verdict: Verdict, make: impl Fn(&Kitchen) -> Option<Vec<u8>> + 'static) {
        self.add_food(id, verdict, move |kitchen| make(kitchen).map(Food::from));
    }

    fn add_food(&mut self, id: impl Into<String>, verdict: Verdict, make: impl Fn(&Kitchen) -> Option<Food> + 'static) {
        self.0.push(Case { id: id.into(), verdict, make: Rc::new(make) });
    }
}

/// All of them, class by class.
pub(crate) fn cases() -> Vec<Case> {
    let classes = [references::cases, bombs::cases, damage::cases, codecs::cases, names::cases, polyglots::cases];
    classes.into_iter().flat_map(|class| class().0).collect()
}

#[test]
fn the_corpus_is_as_large_as_it_claims_and_no_case_stands_in_it_twice() {
    let cases = cases();
    let of = |class| cases.iter().filter(|case| case.class() == class).count();
    let counts = ['R', 'B', 'T', 'C', 'N', 'P'].map(of);
    for (count, least) in counts.iter().zip([110, 85, 120, 75, 55, 28]) {
        assert!(*count >= least, "{counts:?}");
    }
    assert!(cases.len() >= 490, "{counts:?}");
    let names: std::collections::HashSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(names.len(), cases.len());
}
