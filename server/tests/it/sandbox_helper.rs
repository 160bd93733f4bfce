//! Plays the sandbox's roles for the tests of this crate, as `millrace` does in the product.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::adapters::ffmpeg_transcoder::sandbox_role().unwrap_or(ExitCode::FAILURE)
}
