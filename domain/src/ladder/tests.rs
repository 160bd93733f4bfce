//! What becomes of real and of made-up sources.

use super::*;
use proptest::prelude::*;

fn source(width: u32, height: u32) -> SourceFacts {
    SourceFacts {
        container: Container::Mp4,
        duration_ms: 10_000,
        video: VideoFacts {
            stream_index: 0,
            codec: "h264".into(),
            profile: Some("High".into()),
            pixel_format: "yuv420p".into(),
            coded_width: width,
            coded_height: height,
            display_width: width,
            display_height: height,
            square_samples: true,
            rotation: 0,
            frame_rate: FrameRate { numerator: 30, denominator: 1 },
            variable_frame_rate: false,
            full_range: false,
            interlaced: false,
            transfer: Some("bt709".into()),
            bit_rate: Some(1_000_000),
            longest_gop_ms: 2_000,
            open_gop: false,
            stands_ms: 0,
            lively_interval_ms: 0,
        },
        audio: Some(AudioFacts {
            stream_index: 1,
            codec: "aac".into(),
            profile: Some("LC".into()),
            channels: 2,
            sample_rate: 48_000,
            offset_ms: 0,
            cut_off_ms: 0,
        }),
    }
}

fn sizes(facts: &SourceFacts) -> Vec<(String, u32, u32)> {
    plan(facts).rungs.into_iter().map(|rung| (rung.name, rung.width, rung.height)).collect()
}

fn named(sizes: &[(&str, u32, u32)]) -> Vec<(String, u32, u32)> {
    sizes.iter().map(|(name, width, height)| ((*name).to_owned(), *width, *height)).collect()
}

#[test]
fn usual_sizes_get_the_usual_rungs() {
    let full = [("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360), ("240p", 426, 240)];
    assert_eq!(sizes(&source(1920, 1080)), named(&full));
    assert_eq!(sizes(&source(3840, 2160)), named(&full));
    assert_eq!(sizes(&source(768, 432)), named(&[("432p", 768, 432), ("240p", 426, 240)]));
    assert_eq!(sizes(&source(1080, 1920))[..2], named(&[("1080p", 1080, 1920), ("720p", 720, 1280)]));
    // Wider than 16:9: the long side is what limits it.
    assert_eq!(sizes(&source(2560, 1080))[..2], named(&[("810p", 1920, 810), ("480p", 1138, 480)]));
}

#[test]
fn tiny_and_odd_pictures_get_one_even_rung() {
    assert_eq!(sizes(&source(17, 15)), named(&[("14p", 16, 14)]));
    assert_eq!(sizes(&source(1, 1)), named(&[("2p", 2, 2)]));
    assert_eq!(sizes(&source(321, 181)), named(&[("180p", 320, 180)]));
}

#[test]
fn an_ordinary_upload_keeps_its_own_samples() {
    let ladder = plan(&source(1920, 1080));
    assert!(ladder.copies_top());
    assert!(ladder.rungs[1..].iter().all(|rung| matches!(rung.video, VideoPlan::Encode { frame_rate: None, .. })));
    assert_eq!(ladder.audio, Some(AudioPlan::Copy));
}

#[test]
fn what_viewers_get_from_the_source_itself_is_not_made() {
    let cuts = Cuts { begins_us: 0, at_us: vec![4_000_000] };
    let whole = plan(&source(1920, 1080));
    let beside = whole.beside(cuts.clone(), true).expect("its picture is copied");
    assert_eq!((&beside.rungs[..], &beside.audio), (&whole.rungs[1..], &None));
    assert!(!beside.copies() && !beside.is_empty() && beside.beside == Some(cuts.clone()));
    assert_eq!(whole.beside(cuts.clone(), false).expect("its picture is copied").audio, Some(AudioPlan::Copy), "the sound is not there");
    assert!(plan(&source(320, 180)).beside(cuts.clone(), true).expect("its picture is copied").is_empty());
    assert_eq!(encode_all(&source(1920, 1080)).beside(cuts, true), None);
}

#[test]
fn an_engine_that_cannot_copy_gets_the_same_rungs_to_encode() {
    let facts = source(1920, 1080);
    let (planned, encoded) = (plan(&facts), encode_all(&facts));
    assert!(planned.copies() && !encoded.copies());
    assert_eq!(planned.rungs[1..], encoded.rungs[1..]);
    assert_eq!(encoded.rungs[0].video, VideoPlan::Encode { max_bitrate: 5_000_000, frame_rate: None });
    assert_eq!(encoded.audio, Some(AudioPlan::Encode { bitrate: 128_000, channels: 2 }));
}

#[test]
fn whatever_a_browser_may_refuse_is_encoded() {
    type Change = fn(&mut SourceFacts);
    let changes: [(&str, Change); 22] = [
        ("container", |facts| facts.container = Container::MpegTs),
        ("codec", |facts| facts.video.codec = "hevc".into()),
        ("profile", |facts| facts.video.profile = Some("High 10".into())),
        ("no profile", |facts| facts.video.profile = None),
        ("4:4:4", |facts| facts.video.pixel_format = "yuv444p".into()),
        ("full range format", |facts| facts.video.pixel_format = "yuvj420p".into()),
        ("full range", |facts| facts.video.full_range = true),
        ("interlaced", |facts| facts.video.interlaced = true),
        ("hdr", |facts| facts.video.transfer = Some("smpte2084".into())),
        ("samples", |facts| facts.video.square_samples = false),
        ("rotation", |facts| facts.video.rotation = 90),
        ("odd", |facts| facts.video.coded_width = 1919),
        ("large", |facts| facts.video.coded_height = 1200),
        ("wide", |facts| facts.video.coded_width = 2560),
        ("variable", |facts| facts.video.variable_frame_rate = true),
        ("fast", |facts| facts.video.frame_rate.numerator = 120),
        ("slow", |facts| facts.video.frame_rate.numerator = 1),
        ("open", |facts| facts.video.open_gop = true),
        ("long", |facts| facts.video.longest_gop_ms = 20_000),
        ("heavy", |facts| facts.video.bit_rate = Some(50_000_000)),
        ("outlasted by its sound", |facts| facts.video.stands_ms = 2_000),
        ("unknown weight", |facts| facts.video.bit_rate = None),
    ];
    for (name, change) in changes {
        let mut facts = source(1920, 1080);
        change(&mut facts);
        assert!(!is_passthrough(&facts) && !plan(&facts).copies_top(), "{name}");
    }
}

#[test]
fn sound_is_copied_only_where_every_browser_plays_it() {
    type Change = fn(&mut AudioFacts);
    let changes: [(Change, u32); 6] = [
        (|audio| audio.codec = "mp3".into(), 2),
        (|audio| audio.profile = Some("HE-AAC".into()), 2),
        (|audio| audio.channels = 6, 2),
        (|audio| (audio.channels, audio.codec) = (1, "opus".into()), 1),
        (|audio| audio.sample_rate = 96_000, 2),
        (|audio| audio.offset_ms = 500, 2),
    ];
    for (change, expected) in changes {
        let mut facts = source(640, 360);
        change(facts.audio.as_mut().expect("there is sound"));
        assert!(matches!(plan(&facts).audio, Some(AudioPlan::Encode { channels, .. }) if channels == expected), "{facts:?}");
    }
    let mut silent = source(640, 360);
    silent.audio = None;
    assert_eq!(plan(&silent).audio, None);
}

#[test]
fn frame_rates_become_constant_and_stay_bounded() {
    let rate_of = |numerator, denominator, variable| {
        let mut facts = source(640, 360);
        facts.video.frame_rate = FrameRate { numerator, denominator };
        facts.video.variable_frame_rate = variable;
        frame_rate(&facts.video).map(FrameRate::per_second)
    };
    assert_eq!(rate_of(25, 1, false), None);
    assert_eq!(rate_of(60_000, 1001, false), None);
    assert_eq!(rate_of(120, 1, false), Some(60.0));
    assert_eq!(rate_of(100, 1, false), Some(50.0));
    assert_eq!(rate_of(144, 1, false), Some(48.0));
    assert_eq!(rate_of(287, 10, true), Some(30_000.0 / 1001.0));
    assert_eq!(rate_of(43, 1, true), Some(48.0));
    assert_eq!(rate_of(500, 1, true), Some(60.0));
    assert_eq!(rate_of(3, 7200, true), None);
}

#[test]
fn frames_that_come_in_bursts_keep_the_rate_of_the_bursts() {
    let rate_of = |numerator, lively_interval_ms| {
        let mut facts = source(640, 360);
        facts.video.frame_rate = FrameRate { numerator, denominator: 10 };
        (facts.video.variable_frame_rate, facts.video.lively_interval_ms) = (true, lively_interval_ms);
        frame_rate(&facts.video).map(FrameRate::per_second)
    };
    assert_eq!([rate_of(145, 33), rate_of(200, 17), rate_of(120, 40)], [Some(30.0), Some(60.0), Some(25.0)]);
    assert_eq!(rate_of(287, 33), Some(30_000.0 / 1001.0), "a camera that dropped some");
    assert_eq!(rate_of(290, 28), Some(30_000.0 / 1001.0), "a camera whose times are uneven");
    assert_eq!(rate_of(500, 4), Some(60.0), "no more than is shown");
    assert_eq!(rate_of(30, 17), None, "a slide show");
}

proptest! {
    #[test]
    fn ladders_never_upscale_and_go_strictly_down(width in 1_u32..9000, height in 1_u32..9000, copyable: bool) {
        let mut facts = source(width, height);
        facts.video.interlaced = !copyable;
        let ladder = plan(&facts);
        prop_assert!(!ladder.rungs.is_empty());
        for rung in &ladder.rungs {
            prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
            prop_assert!(rung.width <= width.max(2) && rung.height <= height.max(2));
            prop_assert!(rung.width.min(rung.height) <= 1080 && rung.width.max(rung.height) <= 1920);
            // Rounding to even numbers moves a side by at most two.
            let ideal = f64::from(rung.height) * f64::from(width) / f64::from(height);
            let slack = 2.0 + 2.0 * f64::from(width) / f64::from(height);
            prop_assert!((f64::from(rung.width) - ideal).abs() <= slack, "{rung:?}");
        }
        for pair in ladder.rungs.windows(2) {
            prop_assert!(pair[1].width.min(pair[1].height) < pair[0].width.min(pair[0].height));
            prop_assert!(pair[1].video != VideoPlan::Copy);
        }
        if let VideoPlan::Copy = ladder.rungs[0].video {
            prop_assert_eq!((ladder.rungs[0].width, ladder.rungs[0].height), (width, height));
        }
    }
}
