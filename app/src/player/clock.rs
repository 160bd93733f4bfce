//! Time in words: the digits beside the seek bar, and the sentence a screen reader says.

/// Digits as in `1:03` or `1:02:03`, with hours where `of` (the whole length) has them, so that the width stays.
pub(super) fn digits(seconds: f64, of: f64) -> String {
    let (hours, minutes, rest) = split(seconds);
    if hours > 0 || of >= 3600.0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

/// Words as in `1 hour 2 minutes 3 seconds`; parts that are zero are left out, except alone.
pub(super) fn words(seconds: f64) -> String {
    let (hours, minutes, rest) = split(seconds);
    let mut words = String::new();
    for (count, one) in [(hours, "hour"), (minutes, "minute"), (rest, "second")] {
        let last = one == "second";
        if count == 0 && !(last && words.is_empty()) {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&count.to_string());
        words.push(' ');
        words.push_str(one);
        if count != 1 {
            words.push('s');
        }
    }
    words
}

/// Reads a time in whole seconds as links carry it: `90`, `90s`, `1m30s`, `1h2m3s`.
pub(super) fn parse(text: &str) -> Option<u32> {
    let (mut total, mut number) = (0_u32, None::<u32>);
    for letter in text.bytes() {
        let unit = match letter {
            b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(letter - b'0'))?);
                continue;
            }
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    if text.is_empty() { None } else { total.checked_add(number.unwrap_or(0)) }
}

/// Hours, minutes and whole seconds. What is not a length yet (`NaN`, infinite, negative) counts as zero.
fn split(seconds: f64) -> (u32, u32, u32) {
    let whole = if seconds.is_finite() && seconds > 0.0 { seconds as u32 } else { 0 };
    (whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_hours_where_the_length_has() {
        assert_eq!(digits(0.0, 30.0), "0:00");
        assert_eq!(digits(63.9, 240.0), "1:03");
        assert_eq!(digits(63.0, 3600.0), "0:01:03");
        assert_eq!(digits(3723.0, 7200.0), "1:02:03");
        assert_eq!(digits(f64::NAN, f64::INFINITY), "0:00:00");
        assert_eq!(digits(-4.0, 30.0), "0:00");
    }

    #[test]
    fn words_leave_zeros_out_and_count_right() {
        assert_eq!(words(0.0), "0 seconds");
        assert_eq!(words(1.0), "1 second");
        assert_eq!(words(60.0), "1 minute");
        assert_eq!(words(63.0), "1 minute 3 seconds");
        assert_eq!(words(3601.0), "1 hour 1 second");
        assert_eq!(words(7384.0), "2 hours 3 minutes 4 seconds");
    }

    #[test]
    fn link_times_read_and_nonsense_does_not() {
        assert_eq!(parse("90"), Some(90));
        assert_eq!(parse("90s"), Some(90));
        assert_eq!(parse("1h2m3s"), Some(3723));
        assert_eq!(parse("1m30"), Some(90));
        for bad in ["", " ", "-3", "1x", "h", "1mm", "1.5", "99999999999999999", "4294967295h"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
