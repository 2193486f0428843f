//! Dates as Python's `strftime` writes them, at midnight, without a clock or a locale.

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    year: u32,
    /// From 1.
    month: u32,
    /// From 1.
    day: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Date {
    /// The day that `text` names as YYYY-MM-DD.
    pub(super) fn parse(text: &str) -> Option<Date> {
        let is_shaped = text.len() == 10
            && text.bytes().enumerate().all(|(i, byte)| match i {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse().ok();
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let is_month = is_shaped && year > 0 && (1..=12).contains(&month);
        let date = Date { year, month, day };
        (is_month && (1..=date.days_of_month()).contains(&day)).then_some(date)
    }

    fn days_of_month(self) -> u32 {
        match self.month {
            2 if self.is_leap_year() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn is_leap_year(self) -> bool {
        self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)
            || self.year.is_multiple_of(400)
    }

    /// The day's number in its year, from 1.
    fn day_of_year(self) -> u32 {
        let before = (1..self.month).map(|month| Date { month, ..self }.days_of_month());
        before.sum::<u32>() + self.day
    }

    /// Days since Sunday.
    fn weekday(self) -> usize {
        // Days since the first of January of year 1, a Monday.
        let years = self.year - 1;
        let days = 365 * years + years / 4 - years / 100 + years / 400 + self.day_of_year() - 1;
        (days as usize + 1) % 7
    }

    /// The day as `format` says, in English.
    ///
    /// # Errors
    /// The directive that is not known.
    pub(super) fn format(self, format: &str) -> Result<String, String> {
        let mut text = String::with_capacity(format.len() + 16);
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => text += &self.directive(&mut chars)?,
                c => text.push(c),
            }
        }
        Ok(text)
    }

    /// What stands for the directive that follows a `%`.
    fn directive(self, chars: &mut std::str::Chars<'_>) -> Result<String, String> {
        let Date { year, month, day } = self;
        let month_name = MONTHS[month as usize - 1];
        let weekday = WEEKDAYS[self.weekday()];
        // `%-d` is `%d` without the zero, as the C library of Linux has it.
        let (is_bare, directive) = match chars.next() {
            Some('-') => (true, chars.next()),
            directive => (false, directive),
        };
        let text = match directive {
            Some('%') => "%".to_owned(),
            Some('d') => format!("{day:02}"),
            Some('e') => format!("{day:>2}"),
            Some('m') => format!("{month:02}"),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('B') => month_name.to_owned(),
            Some('y') => format!("{:02}", year % 100),
            Some('Y') => year.to_string(),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('D') => format!("{month:02}/{day:02}/{:02}", year % 100),
            Some('j') => format!("{:03}", self.day_of_year()),
            Some('a') => weekday[..3].to_owned(),
            Some('A') => weekday.to_owned(),
            Some('w') => self.weekday().to_string(),
            Some('H' | 'M' | 'S') => "00".to_owned(),
            Some('I') => "12".to_owned(),
            Some('p') => "AM".to_owned(),
            Some('T') => "00:00:00".to_owned(),
            Some(other) => return Err(format!("%{other}")),
            None => return Err("%".to_owned()),
        };
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == ' ');
        Ok(match text.trim_start_matches(['0', ' ']) {
            _ if !is_bare || !is_number => text,
            "" => "0".to_owned(),
            bare => bare.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_exist_are_dates() {
        for text in ["2024-02-29", "2000-02-29", "1970-01-01", "9999-12-31"] {
            assert!(Date::parse(text).is_some(), "{text}");
        }
        let wrong = [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-04-31",
            "0000-01-01",
            "2024-1-01",
            "24-01-01",
            "+024-01-01",
            "2024-01-0é",
            "",
        ];
        for text in wrong {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn directives_are_those_of_python() {
        // Each from Python's datetime.
        let date = Date::parse("2026-11-03").unwrap();
        for (format, expected) in [
            ("%d %b %Y", "03 Nov 2026"),
            ("%B %d, %Y", "November 03, 2026"),
            ("%A %a %w %j", "Tuesday Tue 2 307"),
            ("%-d/%-m/%y %e %-M %-B", "3/11/26  3 0 November"),
            ("%F %T %I %p 100%%", "2026-11-03 00:00:00 12 AM 100%"),
        ] {
            assert_eq!(date.format(format).as_deref(), Ok(expected));
        }
        assert_eq!(Date::parse("2000-01-01").unwrap().format("%A").as_deref(), Ok("Saturday"));
        assert_eq!(Date::parse("1900-03-01").unwrap().format("%A").as_deref(), Ok("Thursday"));
        assert_eq!(date.format("%Q"), Err("%Q".to_owned()));
        assert_eq!(date.format("ends in %"), Err("%".to_owned()));
    }
}
