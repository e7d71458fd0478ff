//! Text in columns.

use std::fmt;

/// Rows of cells; the first column is aligned to the left, the others to the right.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Appends a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let cell = |(column, cell): (usize, &String)| match column {
                0 => format!("{cell:<width$}", width = self.width(0)),
                _ => format!("{cell:>width$}", width = self.width(column)),
            };
            let line: Vec<String> = row.iter().enumerate().map(cell).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A number as it is read best: whole with thousands apart from 100 on, else with one or two decimals.
pub fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => thousands(number.round() as i64),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// A whole number with its thousands apart.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A count of things, whose name takes an s or es in the plural.
pub fn many(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ if thing.ends_with('s') => format!("{count} {thing}es"),
        _ => format!("{count} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::default();
        table.row(["op", "µs", ""]);
        table.row(["set", "1,234", "x"]);
        assert_eq!(table.to_string(), "op      µs\nset  1,234  x\n");
    }

    #[test]
    fn things_are_counted_in_the_plural() {
        let told =
            [(1, "round"), (2, "round"), (0, "process"), (1, "process")].map(|(n, what)| many(n, what));
        assert_eq!(told, ["1 round", "2 rounds", "0 processes", "1 process"]);
    }

    #[test]
    fn figures_keep_three_digits_or_more() {
        assert_eq!(
            [0.0, 1.234, 12.34, 123.4, 1_234_567.8].map(figure),
            ["0.00", "1.23", "12.3", "123", "1,234,568"]
        );
        assert_eq!([0, 999, -1_000, 12_345].map(thousands), ["0", "999", "-1,000", "12,345"]);
    }
}
