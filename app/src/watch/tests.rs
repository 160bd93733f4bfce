//! What the documents promise to browsers and to other sites.

use domain::{
    start::{Opening, Start, StartTrack},
    video::{Playback, PlaybackState, SignedMedia},
};

use super::{Kind, WatchPage, render_missing, render_not_here};

fn render(page: &WatchPage) -> String {
    super::render(page, "")
}

fn page(kind: Kind) -> WatchPage {
    WatchPage {
        playback: Playback {
            playback_id: "abcdefghjkmnpqrs".parse().expect("a valid id"),
            title: "Sign </script><b>lesson</b> \"4\"".to_owned(),
            state: PlaybackState::Playable,
            arriving: false,
            growing: false,
            progress: 100,
            url: Some("/hls/g/index.m3u8".to_owned()),
            poster_url: Some("/media/poster.jpg?sig=1".to_owned()),
            size: (720, 1280),
            duration_ms: 30_500,
            expires_at: Some(1),
            media: Vec::new(),
            renew_in_seconds: Some(400),
        },
        start: None,
        kind,
        watch_url: "https://v.example/watch/abcdefghjkmnpqrs".to_owned(),
        embed_url: "https://v.example/embed/abcdefghjkmnpqrs".to_owned(),
        oembed_url: "https://v.example/oembed?url=x&format=json".to_owned(),
        index: false,
        by_grant: false,
    }
}

#[test]
fn a_title_cannot_break_out_of_the_page() {
    for kind in [Kind::Watch, Kind::Embed] {
        let html = render(&page(kind));
        assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
        assert!(!html.contains("<b>"), "{html}");
        assert!(html.contains(r#"rel="icon" href="/favicon.svg""#), "a tab of it has a picture");
        let json = html.split_once("id=\"playback\">").expect("the JSON is there").1.split_once("</script>").expect("it ends").0;
        let read: Playback = serde_json::from_str(json).expect("it reads back");
        assert_eq!(read, page(kind).playback);
    }
}

#[test]
fn a_pasted_link_shows_a_card_with_the_real_shape() {
    let html = render(&page(Kind::Watch));
    for needle in [
        r#"property="og:type" content="video.other""#,
        r#"property="og:image" content="https://v.example/media/poster.jpg?sig=1""#,
        r#"property="og:video:secure_url" content="https://v.example/embed/abcdefghjkmnpqrs""#,
        r#"property="og:video:width" content="720""#,
        r#"property="og:video:height" content="1280""#,
        r#"name="twitter:card" content="player""#,
        r#"name="twitter:player" content="https://v.example/embed/abcdefghjkmnpqrs""#,
        r#"type="application/json+oembed""#,
        r#"rel="canonical" href="https://v.example/watch/abcdefghjkmnpqrs""#,
    ] {
        assert!(html.contains(needle), "{needle} is missing in {html}");
    }
    let plain = WatchPage { embed_url: "http://127.0.0.1:3000/embed/x".to_owned(), ..page(Kind::Watch) };
    assert!(!render(&plain).contains("secure_url"));
}

#[test]
fn only_public_videos_are_indexed() {
    assert!(render(&page(Kind::Watch)).contains("noindex"));
    assert!(!render(&WatchPage { index: true, ..page(Kind::Watch) }).contains("noindex"));
    assert!(render_missing(Kind::Watch, false).contains("noindex"));
}

#[test]
fn the_pages_need_no_inline_script_and_no_style_attribute() {
    for html in [render(&page(Kind::Watch)), render(&page(Kind::Embed)), render_missing(Kind::Embed, false), render_not_here()] {
        assert!(!html.contains(" style="), "{html}");
        assert!(!html.contains("<style"), "{html}");
    }
}

#[test]
fn a_page_that_begins_by_itself_has_one_script_of_its_own_in_front_of_everything() {
    let media = SignedMedia { base: "https://v.example/media/g/".to_owned(), query: "e=1&s=2".to_owned() };
    let track = StartTrack {
        media,
        kind: "video".to_owned(),
        codec: "avc1.64001e".to_owned(),
        init: "</script>/init.mp4".to_owned(),
        segments: vec!["360p/00000.m4s".to_owned()],
        opening: Some(Opening { rest_from: Some(3), data: "QUJD".to_owned() }),
    };
    let start = Start { duration_ms: 30_500, tracks: vec![track] };
    for kind in [Kind::Watch, Kind::Embed] {
        let html = super::render(&WatchPage { start: Some(start.clone()), ..page(kind) }, "abc");
        let (plan, script) = (html.find("id=\"start\"").expect("the plan"), html.find("<script nonce=\"abc\">").expect("the script"));
        assert!(plan < script && script < html.find("<style nonce=\"abc\">").expect("the styles"), "{html}");
        assert!(!html.contains("stylesheet"), "the first picture waits for no file: {html}");
        let json = html[plan..].split_once('>').expect("the element").1.split_once("</script>").expect("its end").0;
        let read: serde_json::Value = serde_json::from_str(json).expect("it reads back");
        assert_eq!(read["tracks"][0]["init"], "</script>/init.mp4");
        assert_eq!((&read["tracks"][0]["opening"]["rest_from"], html.matches("QUJD").count()), (&3.into(), 1));
        let opening = html.find("<script nonce=\"abc\">window.millraceStarter?.take(0,'QUJD',1)</script>").expect("the opening");
        assert!(html.find("<video").expect("the video") < opening, "{html}");
        assert_eq!((read["tracks"][0]["media"]["query"].as_str(), read["entry"].as_str()), (Some("e=1&s=2"), Some("/pkg/embed.js")));
        assert!(!html.contains("modulepreload") && !html.contains("type=\"module\"") && !html.contains("rel=\"preload\""), "{html}");
    }
    let html = render(&page(Kind::Embed));
    assert!(
        !html.contains("nonce") && html.contains("stylesheet") && html.contains("type=\"module\"") && html.contains("rel=\"preload\""),
        "{html}"
    );
}

#[test]
fn the_embed_is_the_player_alone() {
    let html = render(&page(Kind::Embed));
    assert!(!html.contains("watch-bar") && !html.contains("<h1"), "{html}");
    assert!(html.contains("aria-label=\"Sign &lt;/script&gt;") || html.contains("video player"), "{html}");
}

#[test]
fn who_came_by_a_link_of_their_own_is_not_shown_one_that_opens_nothing() {
    assert!(render(&page(Kind::Watch)).contains("Link to this video"));
    let theirs = render(&WatchPage { by_grant: true, ..page(Kind::Watch) });
    for needless in ["Link to this video", "oembed", "og:video\"", "twitter:player", "/embed/abc"] {
        assert!(!theirs.contains(needless), "{needless} in {theirs}");
    }
    assert!(theirs.contains("summary_large_image") && theirs.contains("og:image"), "{theirs}");
    assert!(render_missing(Kind::Watch, true).contains("This link does not work any more"));
    let refused = render_not_here();
    assert!(!refused.contains("id=\"playback\"") && !refused.contains("<script"), "{refused}");
}
