//! From what the service said to whose fault it is. The only place that reads its error codes and messages.

use aws_sdk_mediaconvert::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use domain::failure::FailureCode;

use crate::ports::transcoder::TranscodeError;

/// The file is to blame.
pub(super) fn source(code: FailureCode, detail: impl Into<String>) -> TranscodeError {
    TranscodeError::Source { code, detail: detail.into() }
}

/// The machinery is to blame.
pub(super) fn engine(what: &str, error: impl std::fmt::Display) -> TranscodeError {
    TranscodeError::Engine(format!("{what}: {error}"))
}

/// A call that failed: the service's own words where it had some.
pub(super) fn call<E>(what: &str, error: &SdkError<E>) -> TranscodeError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let said = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => DisplayErrorContext(error).to_string(),
    };
    if is_passing(error) { passing(what, said) } else { engine(what, said) }
}

/// Something does not answer just now.
pub(super) fn passing(what: &str, error: impl std::fmt::Display) -> TranscodeError {
    TranscodeError::Passing(format!("{what}: {error}"))
}

/// The HTTP status that the service answered with.
pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether the call may have been carried out although it failed.
pub(super) fn may_have_worked<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        _ => status(error).is_none_or(|status| status >= 500),
    }
}

/// Whether the same call may work a moment later.
pub(super) fn is_passing<E>(error: &SdkError<E>) -> bool {
    // Without an answer it was the network, or whoever hands out credentials.
    status(error).is_none_or(|status| status == 408 || status == 429 || status >= 500)
}

/// What only the way to the file can have caused, in the messages of jobs that could not open it.
const WAY_TO_THE_FILE: [&str; 8] =
    ["access denied", "accessdenied", "forbidden", "failed to read data", "headobject", "getobject", "unable to assume", "not found]"];

/// Why a job ended in ERROR. The codes are those of the service's user guide ("Error codes"); only those that speak of the input's own
/// bytes are held against the file, all others may end differently another time.
pub(super) fn job(code: &str, message: &str) -> TranscodeError {
    let said = message.to_lowercase();
    let detail = format!("MediaConvert ended the job with {code}: {message}");
    let failure = match code {
        // "Can't open an input file": permissions, a wrong place, or a file that cannot be read. Our own look at its first bytes came
        // through, so the message decides.
        "1010" if !WAY_TO_THE_FILE.iter().any(|words| said.contains(words)) => FailureCode::Damaged,
        // "Can't find any video in the input."
        "1020" => FailureCode::NoVideoStream,
        // "Unsupported codec or container."
        "1030" => FailureCode::UnsupportedCodec,
        // "Can't find any audio", although the probe saw some; "demuxer parse error"; "can't decode the input's audio".
        "1021" | "1075" | "1092" => FailureCode::Damaged,
        // "Source read error": the file ends before it should.
        "1076" => FailureCode::Truncated,
        _ => return TranscodeError::Engine(detail),
    };
    source(failure, detail)
}

/// Why a source could not be probed.
pub(super) fn probe<E>(error: &SdkError<E>) -> TranscodeError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let message = error.message().unwrap_or_default();
    let said = message.to_lowercase();
    let tells_of_format =
        ["unsupported", "not supported", "unrecognized", "not recognized", "parser"].iter().any(|words| said.contains(words));
    match error.code() {
        // "The input file was recognized but appears to be malformed or corrupt."
        Some("UnprocessableEntityException") => source(FailureCode::Damaged, message),
        Some("BadRequestException") if tells_of_format => source(FailureCode::UnsupportedCodec, message),
        _ => call("the source cannot be probed", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_about_the_inputs_own_bytes_are_held_against_it() {
        let verdict = |code: &str, message: &str| match job(code, message) {
            TranscodeError::Source { code, detail } => {
                assert!(detail.contains(message), "the service's words are kept: {detail}");
                Some(code)
            }
            TranscodeError::Engine(detail) | TranscodeError::Passing(detail) | TranscodeError::Full(detail) => {
                assert!(detail.contains(code) && detail.contains(message), "{detail}");
                None
            }
        };
        let no_parser = "Unable to open input file [s3://b/VIDEO.MP4]: [Failed probe/open: [No parser found for container]]";
        assert_eq!(verdict("1010", no_parser), Some(FailureCode::Damaged));
        let no_access = "Unable to open input file [s3://b/k]: [Failed probe/open: [Failed to read data: AssumeRole failed]]";
        assert_eq!(verdict("1010", no_access), None);
        assert_eq!(verdict("1020", "no video"), Some(FailureCode::NoVideoStream));
        assert_eq!(verdict("1030", "codec"), Some(FailureCode::UnsupportedCodec));
        assert_eq!(verdict("1075", "demuxer"), Some(FailureCode::Damaged));
        assert_eq!(verdict("1076", "end of file"), Some(FailureCode::Truncated));
        for ours in ["1040", "1050", "1056", "1401", "1404", "1432", "1433", "1434", "1507", "1515", "1550", "1999", "7777", ""] {
            assert_eq!(verdict(ours, "words"), None, "{ours}");
        }
    }
}
