//! Why a video failed, or waits for longer than usual: a code that programs act on and a sentence that says what to do next.

use serde::{Deserialize, Serialize};

/// Why a video failed, or why it waits for longer than usual. The spelling on the wire (snake case) is promised to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Not a container we take: a text, a picture, a playlist, a document …
    NotAVideo,
    /// A container without a picture that moves.
    NoVideoStream,
    /// The file ends before it should.
    Truncated,
    /// The file's structure or its streams cannot be read.
    Damaged,
    /// A codec that is not on our list.
    UnsupportedCodec,
    /// More pixels than allowed.
    PictureTooLarge,
    /// Longer than allowed.
    TooLong,
    /// Time, memory or output ran over what a file of its length may take.
    LimitExceeded,
    /// The encode came out wrong or the machinery failed, more than once.
    ProcessingFailed,
    /// It has not failed: nobody may work on it until the operator does something about it. Then it goes on by itself.
    ProcessingRefused,
    /// It has not failed: the disk that it would be processed on is full.
    WaitingForSpace,
    /// It has not failed: what holds its bytes does not answer.
    WaitingForStorage,
    /// It has not failed: the service that processes it does not answer.
    WaitingForEngine,
}

impl FailureCode {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NotAVideo,
        Self::NoVideoStream,
        Self::Truncated,
        Self::Damaged,
        Self::UnsupportedCodec,
        Self::PictureTooLarge,
        Self::TooLong,
        Self::LimitExceeded,
        Self::ProcessingFailed,
        Self::ProcessingRefused,
        Self::WaitingForSpace,
        Self::WaitingForStorage,
        Self::WaitingForEngine,
    ];

    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAVideo => "not_a_video",
            Self::NoVideoStream => "no_video_stream",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::UnsupportedCodec => "unsupported_codec",
            Self::PictureTooLarge => "picture_too_large",
            Self::TooLong => "too_long",
            Self::LimitExceeded => "limit_exceeded",
            Self::ProcessingFailed => "processing_failed",
            Self::ProcessingRefused => "processing_refused",
            Self::WaitingForSpace => "waiting_for_space",
            Self::WaitingForStorage => "waiting_for_storage",
            Self::WaitingForEngine => "waiting_for_engine",
        }
    }

    /// Reads what [`FailureCode::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// What it says to the user, with the next step.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotAVideo => "This file is not a video that Millrace can read. Upload an MP4, MOV, MKV, WebM or AVI file.",
            Self::NoVideoStream => "This file has no picture, only sound or data. Upload a file with video in it.",
            Self::Truncated => "The file ends in the middle. Upload it again.",
            Self::Damaged => "The file is damaged and cannot be read. Export it again and upload the new file.",
            Self::UnsupportedCodec => "The file uses a codec that Millrace does not read. Export it as H.264 and upload it again.",
            Self::PictureTooLarge => "The picture has more pixels than this server takes. Export it at 4K or smaller.",
            Self::TooLong => "The video is longer than this server takes. Cut it into parts and upload those.",
            Self::LimitExceeded => {
                "The file took more time or space than this server gives to one video. Export it again as an ordinary MP4."
            }
            Self::ProcessingFailed => {
                "Processing failed on our side, more than once. Try again; if it fails again, tell whoever runs this server."
            }
            Self::ProcessingRefused => {
                "This server cannot process videos safely at the moment. Yours is kept and goes on by itself; tell whoever runs this server to run \
                 “millrace doctor”."
            }
            Self::WaitingForSpace => {
                "Waiting for room: this server's disk is full. Your video is kept and goes on by itself as soon as there is room; tell whoever runs \
                 this server."
            }
            Self::WaitingForStorage => {
                "Waiting for the storage, which does not answer. Your video is kept and goes on by itself when it does."
            }
            Self::WaitingForEngine => {
                "Waiting for the service that processes videos, which does not answer. Yours is kept and goes on by itself when it does."
            }
        }
    }

    /// Whether it says why a video waits, rather than why it failed: there is nothing to do for its owner.
    pub const fn waits(self) -> bool {
        matches!(self, Self::ProcessingRefused | Self::WaitingForSpace | Self::WaitingForStorage | Self::WaitingForEngine)
    }

    /// Whether the file is to blame: the same bytes end the same way, unless the settings have been changed.
    pub const fn blames_file(self) -> bool {
        !self.waits() && !matches!(self, Self::ProcessingFailed)
    }

    /// Whether a new try with the same bytes can end differently.
    pub const fn worth_retrying(self) -> bool {
        matches!(self, Self::ProcessingFailed | Self::LimitExceeded)
    }
}

/// A failure as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failure {
    /// What a program acts on.
    pub code: FailureCode,
    /// What a person reads.
    pub message: String,
}

impl From<FailureCode> for Failure {
    fn from(code: FailureCode) -> Self {
        Self { code, message: code.sentence().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_code_reads_back() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::parse(code.as_str()), Some(code));
            assert_eq!(serde_json::to_value(code).expect("a code is a string"), code.as_str());
        }
    }
}
