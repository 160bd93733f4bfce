//! The way of a video, in steps: which are done, which one runs, and what it says.

use domain::video::{Stage, Video};
use leptos::prelude::*;

use crate::icons::{Glyph, Icon};

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Behind us.
    Done,
    /// Running.
    Now,
    /// Not yet.
    Later,
    /// Here it ended.
    Failed,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How it stands.
    pub state: State,
    /// What it says.
    pub words: String,
}

/// The steps of a video; `local_percent` is the exact number while this tab uploads it.
pub fn steps_of(video: &Video, local_percent: Option<u8>) -> Vec<Step> {
    let percent = local_percent.unwrap_or(video.progress);
    // The number of steps that are done, and what the next one says while it runs.
    let (done, now) = match video.stage {
        Stage::Uploading => (0, format!("Uploading {percent} %")),
        Stage::Queued => (1, "In line for a worker".to_owned()),
        Stage::Checking => (1, "Checking".to_owned()),
        Stage::Encoding => (2, format!("Encoding {} %", video.progress)),
        Stage::Publishing => (3, "Publishing".to_owned()),
        Stage::Ready => (4, String::new()),
        Stage::Failed => (if video.source.is_some() { 2 } else { 1 }, "Failed".to_owned()),
    };
    let running = if video.stage == Stage::Failed { State::Failed } else { State::Now };
    ["Uploaded", "Checked", "Encoded", "Ready"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| match at.cmp(&done) {
            std::cmp::Ordering::Less => Step { state: State::Done, words: name.to_owned() },
            std::cmp::Ordering::Equal => Step { state: running, words: now.clone() },
            std::cmp::Ordering::Greater => Step { state: State::Later, words: name.to_owned() },
        })
        .collect()
}

/// The steps, as a list.
#[component]
pub fn Steps(
    /// What to show.
    #[prop(into)]
    steps: Signal<Vec<Step>>,
) -> impl IntoView {
    view! {
        <ol class="steps num" aria-label="Processing">
            {move || {
                steps
                    .get()
                    .into_iter()
                    .map(|step| {
                        let (class, glyph) = match step.state {
                            State::Done => ("done", Some(Glyph::Check)),
                            State::Now => ("now", Some(Glyph::Work)),
                            State::Failed => ("failed", Some(Glyph::Alert)),
                            State::Later => ("later", None),
                        };
                        let current = (step.state == State::Now).then_some("step");
                        view! { <li class=class aria-current=current>{glyph.map(|glyph| view! { <Icon glyph/> })}<span>{step.words}</span></li> }
                    })
                    .collect_view()
            }}
        </ol>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::chips::tests::video;

    fn said(stage: Stage) -> Vec<(State, String)> {
        steps_of(&video(1, stage), None).into_iter().map(|step| (step.state, step.words)).collect()
    }

    #[test]
    fn one_step_runs_and_the_ones_before_are_done() {
        use State::{Done, Later, Now};
        let step = |state, words: &str| (state, words.to_owned());
        assert_eq!(
            said(Stage::Encoding),
            [step(Done, "Uploaded"), step(Done, "Checked"), step(Now, "Encoding 42 %"), step(Later, "Ready")]
        );
        assert!(said(Stage::Ready).into_iter().all(|(state, _)| state == Done));
        assert_eq!(steps_of(&video(1, Stage::Uploading), Some(7))[0].words, "Uploading 7 %");
    }

    #[test]
    fn a_failure_says_where_it_ended() {
        assert_eq!(said(Stage::Failed)[1], (State::Failed, "Failed".to_owned()));
    }
}
