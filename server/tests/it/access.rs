//! Who gets what: no credentials, somebody else's id, a made-up id.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};

use crate::app::{App, but_for_its_id, noise};

#[tokio::test]
async fn without_credentials_everything_answers_401() {
    let app = App::start().await;
    let id = uuid::Uuid::now_v7();
    for (method, path) in [
        (Method::POST, "/api/upload".to_owned()),
        (Method::GET, format!("/api/status?videoId={id}")),
        (Method::GET, format!("/api/stream?videoId={id}")),
        (Method::POST, "/api/v1/uploads".to_owned()),
        (Method::GET, format!("/api/v1/uploads/{id}")),
        (Method::DELETE, format!("/api/v1/uploads/{id}")),
        (Method::PUT, format!("/api/v1/uploads/{id}/parts/1")),
        (Method::POST, format!("/api/v1/uploads/{id}/complete")),
        (Method::GET, "/api/v1/events".to_owned()),
    ] {
        for headers in
            [&[][..], &[("authorization", "Bearer mr_wrong")], &[("authorization", "Basic YTpi")], &[("cookie", "millrace=AAAA")]]
        {
            let answer = app.ask(None, method.clone(), &path, headers, Body::empty()).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::UNAUTHORIZED, "unauthenticated"),
                "{method} {path} {headers:?}"
            );
        }
    }
}

#[tokio::test]
async fn somebody_elses_video_looks_like_one_that_is_not_there() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let bytes = noise(1_000);
    let video = app.upload(&ada, "clip.mp4", &bytes).await;
    let ticket = app.begin(&ada, "other.mp4", bytes.len()).await;
    let nothing = uuid::Uuid::now_v7();
    let crc = format!("{:08x}", crc32c::crc32c(&bytes));
    let ask = async |method: Method, path: String| {
        let headers = [("x-millrace-crc32c", crc.as_str())];
        let answer = app.ask(Some(&eve), method, &path, &headers, bytes.clone()).await;
        (answer.status, but_for_its_id(&answer.text()))
    };
    for (method, path) in [
        (Method::GET, "/api/status?videoId={video}"),
        (Method::GET, "/api/stream?videoId={video}"),
        (Method::GET, "/api/v1/uploads/{upload}"),
        (Method::PUT, "/api/v1/uploads/{upload}/parts/1"),
        (Method::POST, "/api/v1/uploads/{upload}/complete"),
        (Method::DELETE, "/api/v1/uploads/{upload}"),
    ] {
        let fill = |video: &str, upload: &str| path.replace("{video}", video).replace("{upload}", upload);
        let hers = ask(method.clone(), fill(&video, &ticket.upload_id.to_string())).await;
        let none = ask(method.clone(), fill(&nothing.to_string(), &nothing.to_string())).await;
        assert_eq!(hers.0, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(hers, none, "{method} {path}");
    }
    assert_eq!(app.get(Some(&eve), "/api/status?videoId=../../etc").await.status, StatusCode::NOT_FOUND);
    let id = video.parse().expect("an id");
    let videos = &app.state.videos;
    assert!(videos.get(eve.user, id).await.is_err() && videos.rename(eve.user, id, "mine").await.is_err());
    assert!(videos.set_visibility(eve.user, id, domain::video::Visibility::Public).await.is_err());
    assert!(videos.delete(eve.user, id).await.is_err() && videos.retry(eve.user, id).await.is_err());
    assert!(videos.page(eve.user, None, None, 10).await.expect("a page").videos.is_empty());
    let received = app.get(Some(&ada), &format!("/api/v1/uploads/{}", ticket.upload_id)).await.json();
    assert_eq!(received["received"], serde_json::json!([]), "not a byte of it has changed");
}

#[tokio::test]
async fn pages_of_the_library_follow_each_other_and_search_means_what_it_says() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    for title in ["Übung", "Harbour", "harbour 100%", "Road_1", "Road 1"] {
        app.upload(&ada, &format!("{title}.mp4"), &noise(10)).await;
    }
    let titles = async |search: Option<&str>, after, limit| {
        let page = app.state.videos.page(ada.user, search, after, limit).await.expect("a page");
        (page.videos.iter().map(|video| video.title.clone()).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = titles(None, None, 3).await;
    assert_eq!(first, ["Road 1", "Road_1", "harbour 100%"]);
    assert_eq!(titles(None, next, 3).await, (vec!["Harbour".to_owned(), "Übung".to_owned()], None));
    assert_eq!(titles(Some("üBU"), None, 9).await.0, ["Übung"]);
    assert_eq!(titles(Some("HARB"), None, 9).await.0, ["harbour 100%", "Harbour"]);
    assert_eq!(titles(Some("0%"), None, 9).await.0, ["harbour 100%"]);
    assert_eq!(titles(Some("d_1"), None, 9).await.0, ["Road_1"]);
    assert!(titles(Some("' OR 1=1 --"), None, 9).await.0.is_empty());
}
