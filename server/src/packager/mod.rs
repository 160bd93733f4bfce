//! Serves an ordinary source as HLS straight from its own samples: no ffmpeg, no copy on disk, nothing encoded. It is what makes a video
//! playable before its encoding has begun.
//!
//! [`Opening`] reads the tables of an MP4 or MOV file, fragmented or not, and ends in a [`Package`] or in a [`Refusal`]. A package gives
//! [`domain::playlist::Rendition`]s, init segments, and [`Segment`]s: a header, and the ranges of the source that follow it. All of it is
//! plain computation; [`Source`] is how a server reads, and [`Arrived`] what it has of an unfinished upload.
//!
//! What is packaged: one H.264 picture (Baseline, Main, High; 8-bit 4:2:0, level 5.2 at most) with closed groups of at most 10.5 s, and AAC
//! (LC or HE) or no sound. One edit, of whole groups; pauses of at most 10.5 s before it; the picture turned by quarters at most. The rest is
//! refused and goes to the encoder: [`Refusal`] has a sentence for each reason. What begins late is filled: the first frame is held, silence leads
//! the sound.
//!
//! What a file says is not believed: every count, size and place is held against the length of the file, nothing recurses, and memory is
//! bounded by [`Limits`] and by a small multiple of the file's own tables.

mod arrived;
mod bits;
mod boxes;
mod cuts;
mod edits;
mod fragments;
mod init;
mod lead;
mod movie;
mod opening;
mod package;
mod parameter_set;
mod picture;
mod refusal;
mod segment;
mod sound;
mod source;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

pub use self::{
    arrived::Arrived,
    opening::{Limits, Opening},
    package::{Media, Package},
    refusal::{Refusal, Stopgap},
    segment::Segment,
    source::{ReadError, Source, open, read_segment},
    stream::{INIT_FILE, segment_file, segment_number},
};
