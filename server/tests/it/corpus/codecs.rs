//! C: codecs that we do not decode, and odd forms of those that we do.

use domain::failure::FailureCode::{Damaged, NoVideoStream, NotAVideo, UnsupportedCodec};

use super::{
    Menu,
    Verdict::{Accepted, Boring, Refused},
};

/// Encoders of pictures that nobody needs, with the container that takes them.
const FOREIGN_PICTURES: [(&str, &str); 24] = [
    ("magicyuv", "avi"),
    ("huffyuv", "avi"),
    ("ffvhuff", "avi"),
    ("utvideo", "avi"),
    ("zlib", "avi"),
    ("zmbv", "avi"),
    ("msvideo1", "avi"),
    ("asv1", "avi"),
    ("asv2", "avi"),
    ("vc2", "mkv"),
    ("cljr", "avi"),
    ("snow", "avi"),
    ("qtrle", "mov"),
    ("rpza", "mov"),
    ("svq1", "mov"),
    ("jpeg2000", "mov"),
    ("r210", "mov"),
    ("v210", "mov"),
    ("v308", "mov"),
    ("v408", "mov"),
    ("tiff", "mkv"),
    ("targa", "mov"),
    ("flashsv", "flv"),
    ("flashsv2", "flv"),
];

/// Encoders of sound that nobody needs.
const FOREIGN_SOUNDS: [(&str, &str); 5] = [("wavpack", "mkv"), ("tta", "mkv"), ("adpcm_swf", "flv"), ("dca", "mkv"), ("adpcm_g726", "mkv")];

/// Odd films that have to play: name, arguments behind the test pictures and tone, container.
const ODD: [(&str, &str, &str); 34] = [
    ("4:4:4", "-c:v libx264 -preset ultrafast -pix_fmt yuv444p -c:a aac", "mp4"),
    ("4:2:2", "-c:v libx264 -preset ultrafast -pix_fmt yuv422p -c:a aac", "mp4"),
    ("10 bit", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -c:a aac", "mp4"),
    ("grey", "-c:v libx264 -preset ultrafast -pix_fmt gray -c:a aac", "mp4"),
    ("lossless red, green, blue", "-c:v libx264rgb -preset ultrafast -qp 0 -c:a aac", "mp4"),
    ("17x15", "-c:v mpeg4 -vf scale=17:15 -c:a aac", "mp4"),
    ("2x2", "-c:v mpeg4 -vf scale=2:2 -c:a aac", "mp4"),
    ("16x512", "-c:v mpeg4 -vf scale=16:512 -c:a aac", "mp4"),
    ("512x16", "-c:v mpeg4 -vf scale=512:16 -c:a aac", "mp4"),
    ("rotated 90", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -metadata:s:v rotate=90 -c:a aac", "mp4"),
    ("rotated 180", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -metadata:s:v rotate=180 -c:a aac", "mp4"),
    ("rotated 270", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -metadata:s:v rotate=270 -c:a aac", "mp4"),
    ("rotated 33", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -metadata:s:v rotate=33 -c:a aac", "mp4"),
    ("wide samples", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -vf setsar=2/1 -c:a aac", "mp4"),
    ("absurd samples", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -vf setsar=1000/1 -c:a aac", "mp4"),
    ("alpha", "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le -c:a pcm_s16le", "mov"),
    (
        "high dynamic range",
        "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc -c:a aac",
        "mp4",
    ),
    ("full range", "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le", "mov"),
    ("interlaced", "-c:v mpeg2video -flags +ilme+ildct -top 1 -c:a mp2 -r 25", "ts"),
    ("mpeg1", "-c:v mpeg1video -r 25 -c:a mp2", "ts"),
    ("vp9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus", "webm"),
    ("ffv1", "-c:v ffv1 -c:a flac", "mkv"),
    ("dnxhd", "-c:v dnxhd -profile:v dnxhr_lb -vf scale=256:144 -c:a pcm_s16le", "mov"),
    ("h263", "-c:v h263 -vf scale=176:144 -c:a aac", "mov"),
    ("wmv2", "-c:v wmv2 -c:a wmav2", "avi"),
    ("msmpeg4", "-c:v msmpeg4 -c:a mp3", "avi"),
    ("png", "-c:v png -c:a pcm_s16le", "mov"),
    ("raw", "-c:v rawvideo -pix_fmt yuv420p -c:a pcm_s16le", "avi"),
    ("pictures only", "-map 0:v -c:v mpeg4", "mp4"),
    ("half the sound", "-c:v mpeg4 -af atrim=end=0.5 -c:a aac", "mp4"),
    ("six channels", "-c:v mpeg4 -af pan=5.1|c0=c0 -c:a ac3", "mkv"),
    ("8 kHz", "-c:v mpeg4 -ar 8000 -c:a pcm_alaw", "mov"),
    ("96 kHz", "-c:v mpeg4 -ar 96000 -c:a flac", "mkv"),
    ("one frame", "-c:v mpeg4 -frames:v 1 -c:a aac", "mp4"),
];

/// Odd films that may play or not.
const ODDER: [(&str, &str, &str); 6] = [
    ("1x1", "-c:v ffv1 -vf scale=1:1 -an", "mkv"),
    ("12 bit", "-c:v libx265 -preset ultrafast -pix_fmt yuv420p12le -an", "mp4"),
    ("gif", "-c:v gif -an", "gif"),
    ("two of each", "-map 0:v -map 0:v -map 1:a -map 1:a -c:v mpeg4 -c:a aac", "mkv"),
    ("sound first", "-map 1:a -map 0:v -c:v mpeg4 -c:a aac", "mkv"),
    ("frames that come when they like", "-vf select='not(mod(n,3))+eq(n,4)' -vsync vfr -c:v mpeg4 -an", "mkv"),
];

pub(super) fn cases() -> Menu {
    let mut menu = Menu::default();
    for (codec, container) in FOREIGN_PICTURES {
        menu.add(format!("C pictures in {codec}"), Refused(&[UnsupportedCodec, Damaged]), move |kitchen| {
            kitchen.clip(&format!("-c:v {codec} -an"), &format!("a.{container}"))
        });
    }
    for (codec, container) in FOREIGN_SOUNDS {
        let picture = if container == "flv" { "flv1 -ar 44100" } else { "mpeg4" };
        menu.add(format!("C sound in {codec}"), Refused(&[UnsupportedCodec]), move |kitchen| {
            kitchen.clip(&format!("-c:v {picture} -c:a {codec}"), &format!("a.{container}"))
        });
    }
    for (name, arguments, container) in ODD {
        menu.add(format!("C {name}"), Accepted, move |kitchen| kitchen.clip(arguments, &format!("a.{container}")));
    }
    for (name, arguments, container) in ODDER {
        menu.add(format!("C {name}"), Boring, move |kitchen| kitchen.clip(arguments, &format!("a.{container}")));
    }
    menu.add("C sound only", Refused(&[NoVideoStream]), |kitchen| kitchen.clip("-map 1:a -c:a aac", "a.m4a"));
    menu.add("C sound only in Matroska", Refused(&[NoVideoStream]), |kitchen| kitchen.clip("-map 1:a -c:a flac", "a.mka"));
    menu.add("C sound that is no container of ours", Refused(&[NotAVideo]), |kitchen| kitchen.clip("-map 1:a -c:a pcm_s16le", "a.wav"));
    menu.add("C size changes on the way", Boring, |kitchen| {
        let small = kitchen.seed("clip.ts")?;
        let large =
            kitchen.clip("-vf scale=192:128 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -output_ts_offset 1", "b.ts")?;
        Some([small, large].concat())
    });
    menu.add("C codec changes on the way", Boring, |kitchen| {
        let first = kitchen.seed("clip.ts")?;
        let second = kitchen.clip("-c:v mpeg2video -r 25 -c:a mp2 -output_ts_offset 1", "c.ts")?;
        Some([first, second].concat())
    });
    menu.add("C format of samples changes on the way", Boring, |kitchen| {
        let first = kitchen.seed("clip.ts")?;
        let second = kitchen.clip("-c:v libx264 -preset ultrafast -pix_fmt yuv444p -c:a aac -output_ts_offset 1", "d.ts")?;
        Some([first, second].concat())
    });
    menu
}
