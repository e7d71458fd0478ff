//! Points in time as people read them.

use std::fmt;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since 1970, shown as `2026-11-22 03:24:05.123 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp(pub(super) i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{:03} UTC", ms % 1000)
    }
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that a leap day is the last of
/// its year, and in eras of 400 of them, after which the calendar repeats.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0.div_euclid(ERA_DAYS);
    let day_of_era = since_march_of_year_0.rem_euclid(ERA_DAYS);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let shown = |ms| Timestamp(ms).to_string();
        assert_eq!(shown(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(shown(-1), "1969-12-31 23:59:59.999 UTC");
        assert_eq!(shown(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(shown(1_709_251_199_123), "2024-02-29 23:59:59.123 UTC");
        assert_eq!(shown(4_107_542_400_000), "2100-03-01 00:00:00.000 UTC");
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut before = civil(-1);
        for day in 0..200_000 {
            let today = civil(day);
            let next_day = today == (before.0, before.1, before.2 + 1) && today.2 <= 31;
            let next_month = today == (before.0, before.1 + 1, 1) && before.2 >= 28;
            let next_year = today == (before.0 + 1, 1, 1) && (before.1, before.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{before:?} {today:?}");
            before = today;
        }
    }
}
