//! A table in plain text.

use std::fmt;

/// Rows below a head. Columns of numbers are flush right, the others flush left.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    pub(super) fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|name| name.to_string()).collect()] }
    }

    /// Adds a row; cells that it has too few of are empty.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        assert!(cells.len() <= self.rows[0].len(), "more cells than columns");
        self.rows.push(cells);
    }

    fn column(&self, index: usize) -> Column {
        let cells = || self.rows.iter().filter_map(|row| row.get(index));
        let is_number = |cell: &String| cell.is_empty() || cell == "-" || cell.parse::<u64>().is_ok();
        Column {
            width: cells().map(|cell| cell.chars().count()).max().unwrap_or(0),
            numbers: cells().skip(1).all(is_number),
        }
    }
}

struct Column {
    width: usize,
    numbers: bool,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<Column> = (0..self.rows[0].len()).map(|index| self.column(index)).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&columns).map(|(cell, column)| match column.numbers {
                true => format!("{cell:>0$}", column.width),
                false => format!("{cell:<0$}", column.width),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["name", "count", "why"]);
        table.row(vec!["a longer one".into(), "1234567".into(), "é".into()]);
        table.row(vec!["b".into(), "-".into()]);
        let expected = "\
name            count  why
a longer one  1234567  é
b                   -
";
        assert_eq!(table.to_string(), expected);
    }
}
