//! The submitted job, as the service reads it: one whole body that has been held against the service's own model, and what sources change.

use domain::ids::{GenerationId, JobId, VideoId};

use super::*;

const WHOLE: &str = include_str!("../fixtures/job.json");

async fn body_for(facts: SourceFacts) -> Value {
    let bench = Bench::new().await;
    let request = request(facts);
    bench.start(&request).await;
    bench.calls(Operation::Create).remove(0).1
}

fn renditions(body: &Value) -> &Vec<Value> {
    body["settings"]["outputGroups"][0]["outputs"].as_array().expect("outputs")
}

fn sizes(body: &Value) -> Vec<(String, u64, u64)> {
    let pictures = renditions(body).iter().filter(|output| !output["videoDescription"].is_null());
    let size = |output: &Value, side: &str| output["videoDescription"][side].as_u64().expect("a side");
    pictures
        .map(|output| (output["nameModifier"].as_str().expect("a name").to_owned(), size(output, "width"), size(output, "height")))
        .collect()
}

fn sound(body: &Value) -> Option<&Value> {
    renditions(body).iter().find(|output| !output["audioDescriptions"].is_null())
}

#[tokio::test]
async fn the_whole_job_is_what_it_was() {
    let bench = Bench::new().await;
    let mut request = request(facts(1920, 1080));
    request.job = JobId(Uuid::from_u128(1));
    request.video = VideoId(Uuid::from_u128(2));
    request.generation = GenerationId(Uuid::from_u128(3));
    assert!(request.ladder.copies(), "what another engine would copy is encoded here");
    bench.start(&request).await;
    let body = bench.calls(Operation::Create).remove(0).1;
    let whole: Value = serde_json::from_str(WHOLE).expect("JSON");
    assert_eq!(body, whole, "{body:#}");
}

#[tokio::test]
async fn a_silent_source_has_no_sound_anywhere() {
    let mut silent = facts(640, 360);
    silent.audio = None;
    let body = body_for(silent).await;
    assert!(sound(&body).is_none() && body["settings"]["inputs"][0]["audioSelectors"].is_null(), "{body:#}");
    assert_eq!(renditions(&body).len(), 2);
}

#[tokio::test]
async fn one_channel_stays_one_and_many_become_two() {
    for (channels, mode, bitrate) in [(1, "CODING_MODE_1_0", 96_000), (6, "CODING_MODE_2_0", 128_000)] {
        let mut facts = facts(640, 360);
        facts.audio.as_mut().expect("there is sound").channels = channels;
        let body = body_for(facts).await;
        let aac = &sound(&body).expect("sound")["audioDescriptions"][0]["codecSettings"]["aacSettings"];
        assert_eq!((aac["codingMode"].as_str(), aac["bitrate"].as_u64()), (Some(mode), Some(bitrate)));
    }
}

#[tokio::test]
async fn portrait_and_turned_sources_keep_their_shape() {
    let upright = sizes(&body_for(facts(1080, 1920)).await);
    assert_eq!(upright[..2], [("_1080p".to_owned(), 1080, 1920), ("_720p".to_owned(), 720, 1280)]);
    let mut turned = facts(1920, 1080);
    (turned.video.rotation, turned.video.display_width, turned.video.display_height) = (90, 1080, 1920);
    let body = body_for(turned).await;
    assert_eq!(sizes(&body), upright);
    assert_eq!(body["settings"]["inputs"][0]["videoSelector"]["rotate"], "AUTO");
    let poster = &body["settings"]["outputGroups"][1]["outputs"][0]["videoDescription"];
    assert_eq!((poster["width"].as_u64(), poster["height"].as_u64()), (Some(720), Some(1280)));
}

#[tokio::test]
async fn unusual_pictures_become_ordinary_ones() {
    let mut hdr = facts(640, 360);
    hdr.video.transfer = Some("arib-std-b67".into());
    hdr.video.interlaced = true;
    let body = body_for(hdr).await;
    let groups = body["settings"]["outputGroups"].as_array().expect("groups");
    let pictures = groups.iter().flat_map(|group| group["outputs"].as_array().expect("outputs"));
    for video in pictures.map(|output| &output["videoDescription"]).filter(|video| !video.is_null()) {
        let preprocessors = &video["videoPreprocessors"];
        assert_eq!(preprocessors["colorCorrector"]["colorSpaceConversion"], "FORCE_709");
        assert_eq!(preprocessors["colorCorrector"]["hdrToSdrToneMapper"], "PRESERVE_DETAILS");
        assert_eq!(preprocessors["deinterlacer"]["mode"], "DEINTERLACE");
    }
}

#[tokio::test]
async fn frame_rates_are_converted_where_the_plan_says_so() {
    let mut fast = facts(640, 360);
    fast.video.frame_rate = FrameRate { numerator: 120_000, denominator: 1001 };
    let body = body_for(fast).await;
    let h264 = &renditions(&body)[0]["videoDescription"]["codecSettings"]["h264Settings"];
    assert_eq!(h264["framerateControl"], "SPECIFIED");
    assert_eq!((h264["framerateNumerator"].as_u64(), h264["framerateDenominator"].as_u64()), (Some(120_000), Some(2002)));
}

#[tokio::test]
async fn a_tiny_picture_grows_to_the_smallest_that_the_service_makes_and_keeps_its_shape() {
    let body = body_for(facts(17, 40)).await;
    assert_eq!(sizes(&body), [("_16p".to_owned(), 32, 40)]);
    assert_eq!(renditions(&body)[0]["videoDescription"]["scalingBehavior"], "DEFAULT", "with bars");
}

#[tokio::test]
async fn a_short_video_is_captured_once_a_second() {
    let capture = |body: &Value| {
        body["settings"]["outputGroups"][1]["outputs"][0]["videoDescription"]["codecSettings"]["frameCaptureSettings"].clone()
    };
    let mut short = facts(640, 360);
    short.duration_ms = 900;
    assert_eq!(capture(&body_for(short.clone()).await)["framerateDenominator"], 1);
    short.duration_ms = 3_600_000;
    assert_eq!(capture(&body_for(short).await)["framerateDenominator"], 720);
}
