//! `millrace doctor --upload`: a tiny clip on the way that every video goes, by the same services, and back to nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request};
use domain::{
    ids::{UserId, VideoId},
    upload::{BeginUpload, PartAnnouncement, PartTarget},
    video::{Stage, Video},
};
use futures::{StreamExt, TryStreamExt};
use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use server::{
    adapters::{check::Check, web::Web},
    config::{CdnKind, Settings},
    db::entity::users,
    http::{AppState, public_routes},
    worker::Worker,
};
use tokio::{sync::watch, task::JoinHandle};
use tower::ServiceExt;

use super::CLIP;
use crate::{
    compose::{Product, compose},
    health,
};

/// How long a worker that runs already has to take the job before this process does it.
const GRACE: Duration = Duration::from_secs(10);
/// How long all of it may take. MediaConvert alone may let a job wait for minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often is looked.
const EVERY: Duration = Duration::from_millis(250);

/// What went wrong, as a sentence, and what to do.
type Step<T> = Result<T, (String, String)>;

fn failed<T, E: std::fmt::Display>(result: Result<T, E>, what: &str, advice: &str) -> Step<T> {
    result.map_err(|error| (format!("{what}: {error}"), advice.to_owned()))
}

/// Uploads, waits, plays, deletes.
pub(super) async fn check(settings: &Settings) -> Vec<Check> {
    let (stop, stopped) = watch::channel(false);
    let product = match compose(settings.clone(), stopped.clone()).await {
        Ok(product) => product,
        Err(error) => return vec![Check::bad("start", error.to_string(), "Mend what it says; `millrace` would not start either.")],
    };
    let Product { state, worker, database } = product;
    let email = format!("doctor+{:016x}@localhost.invalid", rand::random::<u64>());
    let password = format!("{:032x}", rand::random::<u128>());
    let user = match state.accounts.add(&email, &password).await {
        Ok(account) => account.id,
        Err(error) => return vec![Check::bad("test account", format!("{error:?}"), "Look at the database.")],
    };
    let mut trial = Trial { state, user, worker: Some(worker), working: None, grace: grace(settings).await, stopped, checks: Vec::new() };
    tokio::select! {
        () = trial.run() => {}
        _ = tokio::signal::ctrl_c() => trial.checks.push(Check::bad("upload", "interrupted", "Let it run to its end to know more.")),
    }
    let removed = trial.remove().await;
    stop.send_replace(true);
    if let Some(working) = trial.working.take() {
        // It gives back what it was at work on.
        let _ = working.await;
    }
    // The account goes last: its rows say what is still to be removed.
    let outcome = match removed {
        Ok(()) => users::Entity::delete_by_id(user.0)
            .exec(&database)
            .await
            .map_err(|error| (error.to_string(), "Look at the database.".to_owned())),
        Err((detail, advice)) => Err((detail, advice)),
    };
    trial.checks.push(match outcome {
        Ok(_) => Check::good("removal", "the clip, what was made of it, and the test account are gone"),
        Err((detail, advice)) => Check::bad("removal", format!("{detail}; the account {email} stays"), advice),
    });
    trial.checks
}

/// Nobody else can work where the database is a file and no server runs beside it.
async fn grace(settings: &Settings) -> Duration {
    let url = settings.database.url.expose_secret();
    let alone = !url.starts_with("postgres") && health::ask(settings.bind).await.is_err();
    if alone { Duration::ZERO } else { GRACE }
}

/// One clip on its way.
struct Trial {
    state: AppState,
    user: UserId,
    worker: Option<Worker>,
    working: Option<JoinHandle<()>>,
    grace: Duration,
    stopped: watch::Receiver<bool>,
    checks: Vec<Check>,
}

impl Trial {
    async fn run(&mut self) {
        let began = Instant::now();
        let seconds = |began: Instant| format!("{:.1} s", began.elapsed().as_secs_f64());
        let video = match self.upload().await {
            Ok(video) => video,
            Err((detail, advice)) => return self.checks.push(Check::bad("upload", detail, advice)),
        };
        self.checks.push(Check::good("upload", format!("{} bytes arrived in {}", CLIP.len(), seconds(began))));
        let began = Instant::now();
        match self.wait(video).await {
            Ok(done) => {
                let heights: Vec<_> = done.renditions.iter().map(|rendition| rendition.name.clone()).collect();
                self.checks.push(Check::good("processing", format!("{} after {}", heights.join(", "), seconds(began))));
            }
            Err((detail, advice)) => return self.checks.push(Check::bad("processing", detail, advice)),
        }
        match self.play(video).await {
            Ok(detail) => self.checks.push(Check::good("playback", detail)),
            Err((detail, advice)) => self.checks.push(Check::bad("playback", detail, advice)),
        }
    }

    /// Sends the clip the way that a browser would: straight to the store where it takes parts, else through us.
    async fn upload(&self) -> Step<VideoId> {
        let (uploads, user) = (&self.state.uploads, self.user);
        let size = CLIP.len() as u64;
        let begin = BeginUpload { file_name: "doctor.mp4".into(), size, title: Some("A test by doctor".into()), ..BeginUpload::default() };
        let advice = "The findings above say which part of the store or the database does not work.";
        let ticket = uploads.begin(user, &begin).await.map_err(|error| (format!("cannot begin: {error:?}"), advice.to_owned()))?;
        let crc32c = crc32c::crc32c(CLIP);
        let target = match ticket.target_url {
            Some(_) => {
                let target = uploads.target(user, ticket.upload_id, 1, PartAnnouncement { crc32c }).await;
                Some(target.map_err(|error| (format!("cannot sign a part's URL: {error:?}"), advice.to_owned()))?)
            }
            None => None,
        };
        match target {
            Some(PartTarget::Put { url, headers }) => {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = failed(Web::default().send("PUT", &url, &headers, CLIP.into()).await, "cannot send the part", advice)?;
                if answer.status != 200 {
                    return Err((format!("the store refuses the part: {}", answer.summary()), advice.to_owned()));
                }
            }
            Some(PartTarget::Safe { .. }) => {}
            None => {
                let body = futures::stream::iter([Ok(CLIP.into())]).boxed();
                let sent = uploads.put_part(user, ticket.upload_id, 1, crc32c, Some(size), body).await;
                sent.map_err(|error| (format!("cannot send the part: {error:?}"), advice.to_owned()))?;
            }
        }
        uploads.complete(user, ticket.upload_id).await.map_err(|error| (format!("cannot complete: {error:?}"), advice.to_owned()))
    }

    /// Waits until the clip is done. A worker that runs anywhere takes it; where none does, this process works.
    async fn wait(&mut self, video: VideoId) -> Step<Video> {
        let began = Instant::now();
        loop {
            let found = self.state.videos.get(self.user, video).await;
            let found = found.map_err(|error| (format!("the video is gone: {error:?}"), "Look at the database.".to_owned()))?;
            match found.stage {
                Stage::Ready => return Ok(found),
                Stage::Failed => {
                    let why = found.failure.map_or_else(|| "no reason was given".to_owned(), |failure| format!("{failure:?}"));
                    return Err((
                        why,
                        "The log says more; with MediaConvert, its role may not reach the buckets or be handed over.".into(),
                    ));
                }
                Stage::Queued if began.elapsed() > self.grace => self.work(),
                _ => {}
            }
            if began.elapsed() > PATIENCE {
                let detail = format!("{} at {} % after {} minutes", found.stage.as_str(), found.progress, PATIENCE.as_secs() / 60);
                return Err((detail, "Look at the log of the worker; with MediaConvert, at the job in its console.".into()));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn work(&mut self) {
        if let Some(worker) = self.worker.take() {
            tracing::info!("no worker took the clip; working on it here");
            self.working = Some(tokio::spawn(worker.run(self.stopped.clone())));
        }
    }

    /// Fetches every playlist, and of each rendition its init segment and first segment, as a player does.
    async fn play(&self, video: VideoId) -> Step<String> {
        let viewer = Viewer::of(&self.state);
        let stream = self.state.playback.stream(self.user, video).await;
        let stream = stream.map_err(|error| (format!("no URL was given: {error:?}"), "Look at the log.".to_owned()))?;
        let multivariant = viewer.playlist(&stream.url).await?;
        let mut files = 0;
        let playlists = references(&multivariant, true);
        for reference in &playlists {
            let url = resolve(&stream.url, reference);
            let media = viewer.playlist(&url).await?;
            // The init segment, and the first segment.
            for reference in references(&media, false).iter().take(2) {
                let bytes = viewer.fetch(&resolve(&url, reference)).await?;
                if bytes.is_empty() {
                    return Err(("a segment is empty".into(), "Look at the log of the worker.".into()));
                }
                files += 1;
            }
        }
        if let Some(poster) = &stream.poster_url {
            viewer.fetch(poster).await?;
            files += 1;
        }
        if playlists.is_empty() || files < 2 * playlists.len() {
            return Err((format!("{} playlists with {files} files", playlists.len()), "Look at the log of the worker.".into()));
        }
        Ok(format!("{} playlists and {files} files came, by {}", playlists.len() + 1, viewer.way()))
    }

    /// Deletes the clip and all that was made of it.
    async fn remove(&self) -> Step<()> {
        let advice = "What stays is named in the log; Millrace goes on trying to delete it.";
        let page = self.state.videos.page(self.user, None, None, 10).await;
        for video in page.map_err(|error| (format!("{error:?}"), advice.to_owned()))?.videos {
            let deleted = self.state.videos.delete(self.user, video.id).await;
            deleted.map_err(|error| (format!("{error:?}"), advice.to_owned()))?;
        }
        Ok(())
    }
}

/// Who plays: from outside through the CDN, or, where this very program would be asked, without a detour over the network.
enum Viewer {
    Outside(Web),
    Inside(Router, Arc<Settings>),
}

impl Viewer {
    fn of(state: &AppState) -> Self {
        match state.settings.ports.cdn {
            CdnKind::Cloudfront => Self::Outside(Web::default()),
            CdnKind::Origin => Self::Inside(public_routes::<AppState>().with_state(state.clone()), Arc::clone(&state.settings)),
        }
    }

    const fn way(&self) -> &'static str {
        match self {
            Self::Outside(_) => "CloudFront",
            Self::Inside(..) => "this process",
        }
    }

    async fn playlist(&self, url: &str) -> Step<String> {
        let text = String::from_utf8_lossy(&self.fetch(url).await?).into_owned();
        if text.starts_with("#EXTM3U") { Ok(text) } else { Err(("an answer is no playlist".into(), "Look at the log.".into())) }
    }

    async fn fetch(&self, url: &str) -> Step<Vec<u8>> {
        // The query is a signature: it opens the clip, which is gone in a moment, and is not for logs all the same.
        let shown = url.split('?').next().unwrap_or_default();
        let advice =
            "Is `millrace serve` running where the distribution's second origin points to? The findings on CloudFront above say more.";
        match self {
            Self::Outside(web) => {
                let answer = failed(web.get(url).await, &format!("cannot fetch {shown}"), advice)?;
                if answer.status == 200 {
                    Ok(answer.body.to_vec())
                } else {
                    Err((format!("{shown} is answered with {}", answer.summary()), advice.into()))
                }
            }
            Self::Inside(router, settings) => {
                let path = url.strip_prefix(&settings.public_url).unwrap_or(url);
                let request = failed(Request::get(path).body(Body::empty()), "cannot ask", "Look at `public_url`.")?;
                let answer = failed(router.clone().oneshot(request).await, "no answer", "Look at the log.")?;
                let (status, body) = (answer.status(), answer.into_body());
                // Copied as it comes: a file's next piece is read when one before it has been let go of.
                let copied = body.into_data_stream().try_fold(Vec::new(), |mut all, piece| async move {
                    all.extend_from_slice(&piece);
                    Ok(all)
                });
                let body = failed(copied.await, "no answer", "Look at the log.")?;
                if status.is_success() { Ok(body) } else { Err((format!("{shown} is answered with {status}"), "Look at the log.".into())) }
            }
        }
    }
}

/// The addresses in a playlist, in order: those in tags too. In a multivariant playlist frames for seeking are left out.
fn references(playlist: &str, multivariant: bool) -> Vec<String> {
    let in_tag = |line: &str| line.split_once("URI=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(uri, _)| uri.to_owned());
    let wanted = |line: &&str| !multivariant || !line.starts_with("#EXT-X-I-FRAME");
    let lines = playlist.lines().map(str::trim).filter(|line| !line.is_empty()).filter(wanted);
    lines.filter_map(|line| if line.starts_with('#') { in_tag(line) } else { Some(line.to_owned()) }).collect()
}

/// A reference as a player reads it beside the address it was found at.
fn resolve(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let base = base.split('?').next().unwrap_or_default();
    format!("{}/{reference}", base.rsplit_once('/').map_or("", |(folder, _)| folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_are_read_as_a_player_does() {
        let multivariant = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"g/audio.m3u8?a=b\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\ng/240p.m3u8?a=b\n";
        assert_eq!(references(multivariant, true), ["g/audio.m3u8?a=b", "g/240p.m3u8?a=b"]);
        let media = "#EXTM3U\n#EXT-X-MAP:URI=\"https://c/i.mp4?s\"\n#EXTINF:4,\nhttps://c/1.m4s?s\n";
        assert_eq!(references(media, false), ["https://c/i.mp4?s", "https://c/1.m4s?s"]);
        assert_eq!(resolve("https://v/hls/t/index.m3u8?q=1/2", "g/a.m3u8?a"), "https://v/hls/t/g/a.m3u8?a");
        assert_eq!(resolve("https://v/hls/t/g/a.m3u8", "https://c/1.m4s"), "https://c/1.m4s");
    }
}
