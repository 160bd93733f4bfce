//! Every object that the store holds for a private video, and everything that is cut from its source, asked for by everybody: nobody gets a byte
//! without a grant, with a wrong one, or with one that is over, and somebody with a right one gets all of them.

use std::time::Duration;

use axum::http::StatusCode;
use domain::{
    grant::{Audience, Lifetime},
    ids::{GenerationId, GrantId},
    video::Visibility,
};
use server::{
    adapters::origin_cdn::OriginCdn,
    clock::now_seconds,
    ports::cdn::Cdn,
    services::{playback::Visitor, private_media::PrivateMedia},
};
use uuid::Uuid;

use crate::{
    app::{App, files_below},
    grants::{another, give, playing},
};

#[tokio::test]
async fn nobody_gets_a_byte_of_a_private_video_without_a_right_to_it() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let other = another(&app, &mine, "other").await;
    let revoked = give(&app, &mine, "revoked", None).await;
    let ended = give(&app, &mine, "ended", None).await;
    let visitor = |grant| Visitor { user: None, grant: Some(grant) };
    let id = mine.playback_id.parse().expect("an id");
    let playback = app.state.playback.for_viewer(&id, visitor(&mine.link), Lifetime::Renewed).await.expect("it opens");
    let right = |generation: GenerationId| {
        let media = playback.media.iter().find(|media| media.base.contains(&generation.to_string()));
        media.map(|media| media.query.clone()).expect("it is signed for")
    };
    let (_, others_query) = other.segment.split_once('?').expect("a query");
    app.state.grants.revoke(mine.who.user, mine.video, revoked.0).await.expect("revoked");

    let generation: GenerationId = mine.generation_and_file().0.parse().expect("an id");
    let soon = now_seconds() + 60;
    let stranger = OriginCdn::new(app.state.settings.public_url.clone(), b"another key".to_vec().into());
    let refused = |generation: GenerationId| {
        let sign = |audience, at| app.state.cdn.sign(generation, audience, at).query;
        [
            ("nothing", String::new()),
            ("a wrong signature", right(generation).replace("&s=", "&s=A")),
            ("another video's", others_query.to_owned()),
            ("another server's", stranger.sign(generation, Audience::Owner, soon).query),
            ("an expired one", sign(Audience::Named(ended.0), now_seconds() - 1)),
            ("an owner's that has expired", sign(Audience::Owner, now_seconds() - 1)),
            ("the public link's, of a private video", sign(Audience::Link, soon)),
            ("a revoked grant's", sign(Audience::Named(revoked.0), soon)),
        ]
    };
    let store = files_below(&app.folder.path().join("store"));
    let published: Vec<&String> = store.iter().filter(|file| file.contains("published")).collect();
    let sources = store.iter().filter(|file| file.contains("sources")).count();
    let stored =
        published.iter().filter_map(|file| file.split_once(&format!("{generation}/")).map(|(_, name)| (generation, name.to_owned())));
    let renditions = server::services::videos::published(&app.db, generation).await.expect("read");
    let cut = renditions.iter().filter_map(|rendition| Some((rendition, rendition.generation?)));
    let cut = cut.flat_map(|(rendition, generation)| {
        let segments = rendition.playlist.segments.iter().map(|segment| &segment.file);
        std::iter::once(&rendition.playlist.init).chain(segments).map(move |file| (generation, rendition.path(file)))
    });
    let own: Vec<(GenerationId, String)> = stored.chain(cut).collect();
    assert!(own.len() > 20 && own.iter().any(|(_, file)| file == "poster.jpg") && sources >= 2, "{store:?}");
    assert!(own.iter().any(|(of, _)| *of != generation), "its source is its largest picture: {own:?}");
    let mut asked = 0;
    for (generation, file) in &own {
        for (what, query) in &refused(*generation) {
            let answer = app.get(None, &format!("/media/{generation}/{file}?{query}")).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "grant_refused"), "{what}: {file}");
            asked += 1;
        }
        let answer = app.get(None, &format!("/media/{generation}/{file}?{}", right(*generation))).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        assert!(!answer.body.is_empty());
    }
    // Sources and everything else in the store have no address at all, whatever one shows.
    for file in &store {
        for query in [&right(generation), &app.state.cdn.sign(generation, Audience::Owner, soon).query] {
            for address in [format!("/{file}?{query}"), format!("/media/{file}?{query}"), format!("/media/{generation}/{file}?{query}")] {
                let status = app.get(None, &address).await.status;
                assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), "{status} {address}");
                asked += 1;
            }
        }
    }
    eprintln!("byte crawl: {} objects of the video, {asked} requests refused", own.len());
}

#[tokio::test]
async fn a_video_made_private_stops_within_seconds_in_other_processes_too() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let show = async |visibility| app.state.videos.set_visibility(mine.who.user, mine.video, visibility).await.expect("changed");
    show(Visibility::Public).await;
    let elsewhere = PrivateMedia::default();
    elsewhere.load(&app.db).await.expect("loaded");
    let (follows, db) = (elsewhere.clone(), app.db.clone());
    let following = tokio::spawn(async move { follows.follow(&db).await });
    let generation: GenerationId = mine.generation_and_file().0.parse().expect("an id");
    for (visibility, open) in [(Visibility::Private, false), (Visibility::Unlisted, true), (Visibility::Private, false)] {
        show(visibility).await;
        assert_eq!(app.state.private_media.opens(generation, Audience::Link), open, "here at once");
        while elsewhere.opens(generation, Audience::Link) != open {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(elsewhere.opens(generation, Audience::Owner), "its owner goes on watching");
    }
    following.abort();
}

#[tokio::test]
async fn a_revoked_grant_stops_within_seconds_in_other_processes_too() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    // What another process has: its own memory, kept up to date from the database.
    let elsewhere = PrivateMedia::default();
    elsewhere.load(&app.db).await.expect("loaded");
    let (follows, db) = (elsewhere.clone(), app.db.clone());
    let following = tokio::spawn(async move { follows.follow(&db).await });
    let generation: GenerationId = mine.generation_and_file().0.parse().expect("an id");
    let (grant, secret) = give(&app, &mine, "Grace", None).await;
    assert!(elsewhere.opens(generation, Audience::Named(grant)));
    let id = mine.playback_id.parse().expect("an id");
    let visitor = Visitor { user: None, grant: Some(&secret) };
    let playback = app.state.playback.for_viewer(&id, visitor, Lifetime::Film).await.expect("it opens");
    let (segment, playlist) = (app.state.cdn.sign(generation, Audience::Named(grant), now_seconds() + 60), playback.url.expect("a URL"));
    let segment = segment.url(&mine.generation_and_file().1);
    assert_eq!(app.get(None, &segment).await.status, StatusCode::OK);

    let asked = std::time::Instant::now();
    app.state.grants.revoke(mine.who.user, mine.video, grant).await.expect("revoked");
    assert_eq!(app.get(None, &segment).await.code(), "grant_refused");
    let here = asked.elapsed();
    assert_eq!(app.get(None, &playlist).await.code(), "grant_refused");
    assert_eq!(app.get(None, &format!("/api/v1/playback/{id}?grant={secret}")).await.status, StatusCode::NOT_FOUND);
    while elsewhere.opens(generation, Audience::Named(grant)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("time to revocation: {here:?} in this process, {:?} in another", asked.elapsed());
    following.abort();
    assert!(elsewhere.opens(generation, Audience::Named(GrantId(Uuid::now_v7()))), "others go on");
    let late = PrivateMedia::default();
    late.load(&app.db).await.expect("loaded");
    assert!(!late.opens(generation, Audience::Named(grant)), "also in a process that starts later");
}
