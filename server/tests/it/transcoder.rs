//! The ffmpeg transcoder with the real programs: what goes in is generated here or recorded by real cameras, what comes out is
//! read back by ffprobe as a player would.

mod bench;
mod damage;
mod elsewhere;
mod forms;
mod leftovers;
mod outcome;
mod passthrough;
mod running;
mod timing;
