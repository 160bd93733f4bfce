//! The video page: picture, title, where it stands, how to share it, and what it is made of. Live by the event stream.

use domain::{
    grant::Lifetime,
    ids::VideoId,
    video::{Playback, Video},
};
use leptos::{
    either::{Either, EitherOf3},
    prelude::*,
    task::spawn_local,
};
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;

use super::{
    not_found::{LoadError, NotFound, Nothing},
    video_head::VideoHead,
    video_side::VideoSide,
};
use crate::{
    live::{Live, LiveEvent},
    player::Player,
    server_fns::{
        AppError,
        grants::{Sharing, get_sharing},
        videos::{get_playback, get_video, public_url},
    },
    wire,
};

/// All that the page shows at first.
type Loaded = Result<(Video, Playback, String, Sharing), AppError>;

/// The page.
#[component]
pub fn VideoPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get_str("id").and_then(|id| id.parse::<VideoId>().ok())));
    let loaded = wire::ask(
        move || id.get(),
        |id| async move {
            match id {
                Some(id) => Some(load(id).await),
                None => None,
            }
        },
    );
    view! {
        <Transition fallback=Blank>
            {move || Suspend::new(async move {
                match loaded.await {
                    Some(Ok((video, playback, base, sharing))) => EitherOf3::A(view! { <Shown video playback base sharing/> }),
                    Some(Err(error)) => EitherOf3::B(view! { <LoadError error/> }),
                    None => EitherOf3::C(view! { <NotFound/> }),
                }
            })}
        </Transition>
    }
}

async fn load(id: VideoId) -> Loaded {
    Ok((get_video(id).await?, get_playback(id, Lifetime::Renewed).await?, public_url().await?, get_sharing(id).await?))
}

/// What is there while the video is on its way: its shape.
#[component]
fn Blank() -> impl IntoView {
    view! { <div class="page video-page" aria-busy="true"><div><div class="player-place"></div></div></div> }
}

#[component]
fn Shown(video: Video, playback: Playback, base: String, sharing: Sharing) -> impl IntoView {
    let live = expect_context::<Live>();
    let id = video.id;
    let video = RwSignal::new(video);
    let playback = RwSignal::new(playback);
    let deleted = RwSignal::new(false);
    let renew = move |lifetime: Lifetime| {
        spawn_local(async move {
            if let Ok(fresh) = get_playback(id, lifetime).await {
                playback.try_set(fresh);
            }
        });
    };
    live.on(move |event| match event {
        LiveEvent::Ready => spawn_local(async move {
            if let Ok(fresh) = get_video(id).await {
                take(video, playback, fresh, renew);
            }
        }),
        LiveEvent::Video(fresh) if fresh.id == id => take(video, playback, *fresh, renew),
        LiveEvent::Deleted(gone) if gone == id => deleted.set(true),
        LiveEvent::Video(_) | LiveEvent::Deleted(_) => {}
    });
    let title = Memo::new(move |_| video.with(|video| video.title.clone()));
    view! {
        <Title text=title/>
        {move || if deleted.get() {
            Either::Left(view! { <Nothing heading="This video has been deleted" text="Everything stored for it is gone."/> })
        } else {
            Either::Right(view! {
                <div class="page video-page">
                    <div class="video-main">
                        <Player playback=playback renew=Callback::new(renew)/>
                        <VideoHead video/>
                    </div>
                    <VideoSide video base=base.clone() sharing=sharing.clone()/>
                </div>
            })
        }}
    }
}

/// Takes a newer state of the video in. The player is told only what changes for it: a new grant would start it anew.
fn take(video: RwSignal<Video>, playback: RwSignal<Playback>, fresh: Video, renew: impl Fn(Lifetime)) {
    let Some(before) = video.try_get_untracked() else { return };
    let matters = |video: &Video| (video.playable, video.stage.status(), video.poster_url.is_some());
    if matters(&before) != matters(&fresh) {
        renew(Lifetime::Renewed);
    } else if playback.with_untracked(|playback| playback.progress != fresh.progress || playback.title != fresh.title) {
        let (progress, title) = (fresh.progress, fresh.title.clone());
        playback.update(|playback| {
            playback.progress = progress;
            playback.title = title;
        });
    }
    video.set(fresh);
}
