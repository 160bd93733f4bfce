//! The filter graph: one decode becomes all rungs. Whatever comes in, what goes out is 8-bit 4:2:0 limited range with square
//! samples, tagged with the colours it really has.

use std::fmt::Write as _;

use domain::{
    ladder::{Ladder, Rung, VideoPlan},
    source::{AudioFacts, VideoFacts},
};

use super::ffprobe::Stream;

/// Which colours the source's numbers mean, as far as a conversion has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// HDTV.
    Bt709,
    /// SDTV, or what nobody said anything about and is that small.
    Bt601,
    /// Not luma and chroma but red, green and blue.
    Rgb,
    /// UHDTV's wide gamut at standard range.
    Wide,
    /// High dynamic range, with the transfer function it is coded in.
    Hdr(&'static str),
}

impl Colours {
    /// Reads what the source says; an unspecified matrix is what players assume for the size.
    pub(super) fn of(video: &VideoFacts, stream: &Stream) -> Self {
        let rgb = ["gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr", "pal8"];
        match (video.transfer.as_deref(), stream.color_space.as_deref()) {
            (Some("smpte2084"), _) => Self::Hdr("smpte2084"),
            (Some("arib-std-b67"), _) => Self::Hdr("arib-std-b67"),
            (_, Some("bt2020nc" | "bt2020c")) => Self::Wide,
            _ if rgb.iter().any(|start| video.pixel_format.starts_with(start)) => Self::Rgb,
            (_, Some("bt709")) => Self::Bt709,
            (_, Some("smpte170m" | "bt470bg" | "fcc" | "smpte240m")) => Self::Bt601,
            _ if video.coded_height >= 720 => Self::Bt709,
            _ => Self::Bt601,
        }
    }

    /// ffmpeg's name for matrix, primaries and transfer of what goes out.
    fn output(self) -> &'static str {
        if self == Self::Bt601 { "smpte170m" } else { "bt709" }
    }

    /// Filters that bring a scaled picture to standard range and gamut.
    fn conversion(self, full_range: bool) -> String {
        let range = if full_range { "pc" } else { "tv" };
        match self {
            Self::Bt709 | Self::Bt601 | Self::Rgb => String::new(),
            Self::Wide => format!(",zscale=min=bt2020nc:pin=bt2020:tin=bt709:rin={range}:m=bt709:p=bt709:t=bt709:r=tv"),
            Self::Hdr(transfer) => format!(
                ",zscale=min=bt2020nc:pin=bt2020:tin={transfer}:rin={range}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
                 tonemap=tonemap=hable:desat=0,zscale=m=bt709:t=bt709:r=tv"
            ),
        }
    }

    /// Scales to a size and brings the picture into the form that goes out.
    fn scale(self, width: u32, height: u32, video: &VideoFacts) -> String {
        let (output, full_range) = (self.output(), video.full_range);
        let tags = format!("setsar=1,setparams=range=tv:colorspace={output}:color_primaries={output}:color_trc={output}");
        if self.is_standard() && has_even_sides(video) {
            let range = if full_range { "pc" } else { "tv" };
            return format!("{},format=yuv420p,{tags}", resize(width, height, &format!(":min={output}:m={output}:rin={range}:r=tv")));
        }
        let range = match self {
            // zscale has to see the source's own numbers.
            Self::Wide | Self::Hdr(_) => "",
            Self::Rgb => ":out_color_matrix=bt709:out_range=tv",
            Self::Bt709 | Self::Bt601 => ":out_range=tv",
        };
        let matrix = match self {
            Self::Bt709 => ":in_color_matrix=bt709:out_color_matrix=bt709",
            Self::Bt601 => ":in_color_matrix=smpte170m:out_color_matrix=smpte170m",
            _ => "",
        };
        let conversion = self.conversion(full_range);
        format!("scale={width}:{height}:flags=bicubic{range}{matrix}{conversion},format=yuv420p,{tags}")
    }

    /// Whether the numbers mean what they will mean when they go out.
    fn is_standard(self) -> bool {
        matches!(self, Self::Bt709 | Self::Bt601)
    }
}

/// A picture in another size, as sharp as if it came from the source even where it was made smaller before. zimg costs less than
/// ffmpeg's own scaler (`make bench-transcode`), and refuses 4:2:0 with an odd number of lines or columns.
fn resize(width: u32, height: u32, more: &str) -> String {
    format!("zscale={width}:{height}:filter=spline36{more}")
}

/// Whether all pictures have as many lines and columns as their chroma doubled, also where they change their size midway: these codecs cannot
/// say otherwise, for their cropping counts in chroma samples (H.264 7.4.2.1.1, HEVC 7.4.3.2.1).
fn has_even_sides(video: &VideoFacts) -> bool {
    matches!(video.codec.as_str(), "h264" | "hevc") && matches!(video.pixel_format.as_str(), "yuv420p" | "yuvj420p")
}

/// The filters that come before any scaling: fields to frames, times to start at zero, frames to a constant rate.
fn preparation(video: &VideoFacts, rung: &Rung) -> String {
    let mut filters = String::new();
    if video.interlaced {
        filters.push_str("bwdif=mode=send_frame:deint=all,");
    }
    // A decoder may drop the first frames; the first one that comes is held from time zero on, because players in browsers
    // ignore a late start and would show everything too early. Only at the start: a graph that is set up anew in
    // the middle (the picture changed its size) begins at frame 0 again.
    filters.push_str("setpts='if(eq(N,0)*lt(T,1),0,PTS)',");
    if let VideoPlan::Encode { frame_rate: Some(rate), .. } = rung.video {
        let _ = write!(filters, "fps={}/{},", rate.numerator, rate.denominator);
    }
    filters
}

/// Whether a rung is encoded with frames of its source that may stand for seconds.
pub(super) fn keeps_long_frames(plan: &VideoPlan, video: &VideoFacts) -> bool {
    let kept = matches!(plan, VideoPlan::Encode { frame_rate: None, .. });
    kept && (video.variable_frame_rate || video.frame_rate.per_second() < 10.0)
}

/// The filter that repeats the last frame for as long as sound goes on: a player that has sound but no more pictures waits for them. Frames that
/// keep their own times are not repeated, the last one lasts.
fn standing(video: &VideoFacts, rung: &Rung) -> String {
    if video.stands_ms == 0 || keeps_long_frames(&rung.video, video) {
        return String::new();
    }
    format!(",tpad=stop_mode=clone:stop_duration={}ms", video.stands_ms)
}

/// The pad that carries a rung, by its place in the ladder.
pub(super) fn pad(rung: usize) -> String {
    format!("v{rung}")
}

/// The pad that carries the sound.
pub(super) const SOUND_PAD: &str = "sound";

/// The graph for all pictures that are encoded, each scaled from the next larger one. Empty where none is.
pub(super) fn pictures(ladder: &Ladder, video: &VideoFacts, colours: Colours) -> String {
    let rungs: Vec<(usize, &Rung)> = ladder.rungs.iter().enumerate().filter(|(_, rung)| rung.video != VideoPlan::Copy).collect();
    let mut graph = String::new();
    for (position, (number, rung)) in rungs.iter().enumerate() {
        if position == 0 {
            let scale = colours.scale(rung.width, rung.height, video);
            let _ = write!(graph, "[0:{}]{}{scale}{}", video.stream_index, preparation(video, rung), standing(video, rung));
        } else {
            let _ = write!(graph, ";[below{position}]{},setsar=1", resize(rung.width, rung.height, ""));
        }
        let pad = pad(*number);
        if position + 1 < rungs.len() {
            let _ = write!(graph, ",split=2[{pad}][below{}]", position + 1);
        } else {
            let _ = write!(graph, "[{pad}]");
        }
    }
    graph
}

/// The graph for sound that is encoded: from time zero, without gaps, and as long as the picture, for a player that has
/// pictures but no more sound waits for it.
pub(super) fn sound(audio: &AudioFacts, channels: u32, duration_ms: u64) -> String {
    // Beyond eight channels there is no layout to mix down by.
    let few = match (audio.channels, channels) {
        (..=8, _) => "",
        (_, 1) => "pan=mono|c0=c0,",
        _ => "pan=stereo|c0=c0|c1=c1,",
    };
    let layout = if channels == 1 { "mono" } else { "stereo" };
    let seconds = duration_ms as f64 / 1000.0;
    format!(
        "[0:{}]{few}aresample=48000:async=1:first_pts=0,aformat=sample_rates=48000:channel_layouts={layout},apad=whole_dur={seconds:.3}[{SOUND_PAD}]",
        audio.stream_index
    )
}

/// A graph for one picture of the video, as JPEG and as a thumbnail to measure.
pub(super) fn poster(video: &VideoFacts, colours: Colours, (width, height): (u32, u32), thumbnail: u32) -> String {
    let deinterlace = if video.interlaced { "bwdif=mode=send_frame:deint=all," } else { "" };
    let scale = colours.scale(width, height, video);
    format!(
        "[0:{}]{deinterlace}{scale},split=2[a][b];[a]scale=out_range=full,format=yuvj420p[poster];\
         [b]scale={thumbnail}:{thumbnail}:flags=area:out_range=full,format=gray[thumbnail]",
        video.stream_index
    )
}

#[cfg(test)]
mod tests {
    use domain::source::FrameRate;

    use super::*;

    fn video(codec: &str, pixel_format: &str) -> VideoFacts {
        VideoFacts {
            stream_index: 0,
            codec: codec.to_owned(),
            profile: None,
            pixel_format: pixel_format.to_owned(),
            coded_width: 1280,
            coded_height: 720,
            display_width: 1280,
            display_height: 720,
            square_samples: true,
            rotation: 0,
            frame_rate: FrameRate { numerator: 30, denominator: 1 },
            variable_frame_rate: false,
            full_range: pixel_format == "yuvj420p",
            interlaced: false,
            transfer: None,
            bit_rate: None,
            longest_gop_ms: 2_000,
            open_gop: false,
            stands_ms: 0,
            lively_interval_ms: 0,
        }
    }

    #[test]
    fn only_what_cannot_have_an_odd_side_is_given_to_the_scaler_that_refuses_one() {
        let first = |colours: Colours, codec, format| colours.scale(640, 360, &video(codec, format)).split('=').next().map(str::to_owned);
        for (codec, format) in [("h264", "yuv420p"), ("hevc", "yuv420p"), ("h264", "yuvj420p")] {
            assert_eq!(first(Colours::Bt709, codec, format).as_deref(), Some("zscale"), "{codec} {format}");
        }
        for (codec, format) in [("vp9", "yuv420p"), ("mpeg4", "yuv420p"), ("h264", "yuv444p"), ("h264", "yuv420p10le")] {
            assert_eq!(first(Colours::Bt709, codec, format).as_deref(), Some("scale"), "{codec} {format}");
        }
        for colours in [Colours::Rgb, Colours::Wide, Colours::Hdr("smpte2084")] {
            assert_eq!(first(colours, "hevc", "yuv420p").as_deref(), Some("scale"), "{colours:?}");
        }
    }

    #[test]
    fn a_full_range_picture_is_told_to_be_one() {
        let scale = |format| Colours::Bt601.scale(640, 360, &video("h264", format));
        assert!(scale("yuvj420p").contains("min=smpte170m:m=smpte170m:rin=pc:r=tv"), "{}", scale("yuvj420p"));
        assert!(scale("yuv420p").contains("min=smpte170m:m=smpte170m:rin=tv:r=tv"), "{}", scale("yuv420p"));
    }
}
