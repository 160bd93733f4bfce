//! What the headers of tus say.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::error::Problem;
use time::OffsetDateTime;

use crate::services::uploads::tus::Checksum;

const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const PIECE: &str = "application/offset+octet-stream";
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a client says of a file, as far as it is of use here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) file_name: Option<String>,
    pub(super) title: Option<String>,
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| Problem::invalid(format!("The header {name} has letters that no header has.")))
}

/// A whole number in a header, where there is one.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    // Digits alone: `parse` would take a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.map(Some).ok_or_else(|| Problem::invalid(format!("The header {name} is not a number of bytes.")))
}

/// The method that a client means whose network lets `POST` alone through, in capitals.
pub(super) fn meant(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(OVERRIDE)?.to_str().ok()?.to_ascii_uppercase())
}

/// Whether the body holds bytes of the file.
pub(super) fn is_piece(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(PIECE.as_bytes()))
}

/// What the body's bytes should come to, where the client says it.
pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(text) = text(headers, &CHECKSUM)? else { return Ok(None) };
    let parsed = text.split_once(' ').and_then(|(algorithm, sum)| Checksum::new(algorithm, BASE64_STANDARD.decode(sum.trim()).ok()?));
    let problem = || Problem::invalid("Upload-Checksum is one of sha1, sha256 and crc32c, a space, and the checksum in Base64.");
    parsed.map(Some).ok_or_else(problem)
}

/// Names and values, by commas; values are in Base64 and may be absent. Names that mean nothing here are read past.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Problem> {
    let mut found = Metadata::default();
    let (mut name, mut nick) = (None, None);
    let Some(text) = text(headers, &METADATA)? else { return Ok(found) };
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = BASE64_STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let value = value.ok_or_else(|| Problem::invalid("Upload-Metadata holds a value that is not text in Base64."))?;
        let value = Some(value).filter(|value| !value.is_empty());
        match key {
            "filename" => name = value,
            // As Uppy has it.
            "name" => nick = value,
            "title" => found.title = value,
            _ => {}
        }
    }
    found.file_name = name.or(nick);
    Ok(found)
}

/// A moment as HTTP writes it.
pub(super) fn expires(at_ms: i64) -> Option<HeaderValue> {
    let at = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000)).ok()?;
    let day = DAYS[usize::from(at.weekday().number_days_from_monday())];
    let month = MONTHS[usize::from(u8::from(at.month())) - 1];
    let (hour, minute, second) = at.time().as_hms();
    HeaderValue::from_str(&format!("{day}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", at.day(), at.year())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))])
    }

    #[test]
    fn moments_are_written_as_http_has_them() {
        assert_eq!(expires(784_111_777_999).expect("a moment"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(expires(0).expect("a moment"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(expires(i64::MAX), None);
    }

    #[test]
    fn metadata_are_read_as_clients_write_them() {
        let read = |text| metadata(&with(&METADATA, text));
        let named = |name: &str, title: Option<&str>| Metadata { file_name: Some(name.to_owned()), title: title.map(str::to_owned) };
        assert_eq!(read("filename Y2xpcC5tcDQ=,filetype dmlkZW8vbXA0").expect("read"), named("clip.mp4", None));
        assert_eq!(read("relativePath bnVsbA==, name Y2xpcC5tcDQ=,type dmlkZW8vbXA0").expect("read"), named("clip.mp4", None));
        assert_eq!(read("is_confidential,filename Y2xpcC5tcDQ=,title VGhlIGNsaXA=").expect("read"), named("clip.mp4", Some("The clip")));
        assert_eq!(metadata(&HeaderMap::new()).expect("none"), Metadata::default());
        assert_eq!(read("filename").expect("empty"), Metadata::default());
        for wrong in ["filename !", "filename /w==", "filename a b"] {
            read(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn numbers_are_digits() {
        let name = HeaderName::from_static("upload-offset");
        assert_eq!(number(&with(&name, "007"), &name).expect("a number"), Some(7));
        assert_eq!(number(&HeaderMap::new(), &name).expect("none"), None);
        for wrong in ["", "+1", "-1", "1e3", "99999999999999999999", "1 "] {
            number(&with(&name, wrong), &name).expect_err(wrong);
        }
    }

    #[test]
    fn checksums_name_their_algorithm() {
        assert!(checksum(&with(&CHECKSUM, "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")).expect("known").is_some());
        assert_eq!(checksum(&HeaderMap::new()).expect("none"), None);
        for wrong in ["sha1", "sha1 x", "md5 XrY7u+Ae7tCTyyK7j1rNww==", "sha1 AAAA", "SHA1Kq5sNclPz7QV2+lfQIuc6R7oRu0="] {
            checksum(&with(&CHECKSUM, wrong)).expect_err(wrong);
        }
    }
}
