//! What a `Range` header asks for, and what that is of an object that is in memory.

use crate::ports::blob_store::ByteRange;

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: also for what cannot be read and for several ranges, which a server may ignore (RFC 9110, 14.2).
    Whole,
    Part(ByteRange),
    Last(u64),
}

/// The range starts behind the object's end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Behind;

pub(super) fn parse_range(header: &str) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else { return Asked::Whole };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Asked::Part(ByteRange { first, last: Some(last) }),
        (Ok(first), Err(_)) if last.trim().is_empty() => Asked::Part(ByteRange { first, last: None }),
        (Err(_), Ok(last)) if first.trim().is_empty() => Asked::Last(last),
        _ => Asked::Whole,
    }
}

impl Asked {
    /// First byte and the one behind the last, of an object of so many bytes.
    pub(super) fn of(self, size: u64) -> Result<(u64, u64), Behind> {
        match self {
            Self::Whole => Ok((0, size)),
            Self::Last(0) => Err(Behind),
            Self::Last(count) => Self::Part(ByteRange { first: size.saturating_sub(count), last: None }).of(size),
            Self::Part(ByteRange { first, .. }) if first >= size => Err(Behind),
            Self::Part(ByteRange { first, last }) => Ok((first, last.map_or(size, |last| last.saturating_add(1).min(size)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |first, last| Asked::Part(ByteRange { first, last });
        assert_eq!(parse_range("bytes=0-99"), part(0, Some(99)));
        assert_eq!(parse_range("bytes=100-"), part(100, None));
        assert_eq!(parse_range("bytes=-5"), Asked::Last(5));
        for whole in ["bytes=5-4", "bytes=0-1,4-5", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=99999999999999999999-"] {
            assert_eq!(parse_range(whole), Asked::Whole, "{whole}");
        }
    }

    #[test]
    fn ranges_end_where_the_object_does() {
        for (header, size, expected) in [
            ("bytes=0-99", 1_000, Ok((0, 100))),
            ("bytes=990-2000", 1_000, Ok((990, 1_000))),
            ("bytes=-2000", 1_000, Ok((0, 1_000))),
            ("bytes=-10", 1_000, Ok((990, 1_000))),
            ("bytes=5-4", 1_000, Ok((0, 1_000))),
            ("bytes=1000-", 1_000, Err(Behind)),
            ("bytes=-0", 1_000, Err(Behind)),
            ("bytes=0-", 0, Err(Behind)),
            ("bytes=-1", 0, Err(Behind)),
            ("items=0-1", 0, Ok((0, 0))),
        ] {
            assert_eq!(parse_range(header).of(size), expected, "{header} of {size}");
        }
        let end = Asked::Part(ByteRange { first: 1, last: Some(u64::MAX) });
        assert_eq!(end.of(2), Ok((1, 2)));
    }
}
