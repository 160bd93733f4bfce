//! The decoders that may run. ffmpeg has about 500; each is a way in for a hostile file, and a few dozen read what cameras,
//! screens and editors write.

/// Codecs of pictures, by ffmpeg's codec name.
const VIDEO: [&str; 26] = [
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "av1",
    "mpeg4",
    "msmpeg4v1",
    "msmpeg4v2",
    "msmpeg4v3",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "prores",
    "dnxhd",
    "theora",
    "vc1",
    "wmv1",
    "wmv2",
    "wmv3",
    "h263",
    "flv1",
    "ffv1",
    "dvvideo",
    "cfhd",
    "png",
    "rawvideo",
];

/// Codecs of sound, by ffmpeg's codec name.
const AUDIO: [&str; 32] = [
    "aac",
    "mp3",
    "mp2",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "ac3",
    "eac3",
    "wmav1",
    "wmav2",
    "amr_nb",
    "amr_wb",
    "adpcm_ms",
    "adpcm_ima_wav",
    "adpcm_ima_qt",
    "pcm_u8",
    "pcm_s8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
    "pcm_alaw",
    "pcm_mulaw",
    "pcm_bluray",
    "pcm_dvd",
];

/// Decoders whose name is not their codec's: the ones that ffmpeg may prefer for a codec above.
const DECODERS: [&str; 14] = [
    "libdav1d",
    "libaom-av1",
    "libvpx",
    "libvpx-vp8",
    "libvpx-vp9",
    "msmpeg4",
    "flv",
    "h263p",
    "mp3float",
    "mp2float",
    "libopus",
    "libvorbis",
    "amrnb",
    "amrwb",
];

/// Whether a picture's codec may be decoded.
pub(super) fn is_video_allowed(codec: &str) -> bool {
    VIDEO.contains(&codec)
}

/// Whether a sound's codec may be decoded.
pub(super) fn is_audio_allowed(codec: &str) -> bool {
    AUDIO.contains(&codec)
}

/// ffmpeg's options that keep all other decoders shut. ffprobe opens decoders before anybody could look at what it found, so they
/// have to be there from the first look. Only for pictures and sound: ffprobe gives up at a subtitle track that is not on a list,
/// and decodes none.
pub(super) fn whitelist_options() -> [String; 4] {
    let list = |codecs: &[&str]| [codecs, &DECODERS].concat().join(",");
    ["-codec_whitelist:v".to_owned(), list(&VIDEO), "-codec_whitelist:a".to_owned(), list(&AUDIO)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_to_be_dangerous_or_pointless_stays_out() {
        for codec in ["magicyuv", "flic", "ansi", "text", "gif", "webp", "exr", "cinepak", "truemotion1"] {
            let listed = whitelist_options().iter().any(|list| list.split(',').any(|name| name == codec));
            assert!(!is_video_allowed(codec) && !listed, "{codec}");
        }
    }
}
