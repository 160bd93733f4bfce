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
    fn scale(self, width: u32, height: u32, full_range: bool) -> String {
        let output = self.output();
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
        format!(
            "scale={width}:{height}:flags=bicubic{range}{matrix}{conversion},format=yuv420p,setsar=1,\
             setparams=range=tv:colorspace={output}:color_primaries={output}:color_trc={output}"
        )
    }
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
            let scale = colours.scale(rung.width, rung.height, video.full_range);
            let _ = write!(graph, "[0:{}]{}{scale}", video.stream_index, preparation(video, rung));
        } else {
            // Each step softens what the next one starts from; this keeps the lower rungs as sharp as if each came from the source.
            let _ = write!(graph, ";[below{position}]scale={}:{}:flags=spline,setsar=1", rung.width, rung.height);
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
    let scale = colours.scale(width, height, video.full_range);
    format!(
        "[0:{}]{deinterlace}{scale},split=2[a][b];[a]scale=out_range=full,format=yuvj420p[poster];\
         [b]scale={thumbnail}:{thumbnail}:flags=area:out_range=full,format=gray[thumbnail]",
        video.stream_index
    )
}
