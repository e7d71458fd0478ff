//! What is demanded of Volery beside what was measured.

use crate::table::Table;
use serde::Serialize;

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Less is better.
    AtMost,
    /// More is better.
    AtLeast,
}

/// One demand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The figure.
    pub what: &'static str,
    /// What it was; `None` if it was not measured.
    pub measured: Option<f64>,
    /// Which way it is good.
    pub bound: Bound,
    /// What it must reach.
    pub must: f64,
    /// What it should reach.
    pub aim: f64,
}

impl Verdict {
    /// The same demand with what was measured.
    pub fn measured(self, figure: f64) -> Verdict {
        Verdict { measured: Some(figure).filter(|figure| figure.is_finite()), ..self }
    }
}

/// A demand that nothing has been measured for yet.
const fn demand(what: &'static str, bound: Bound, must: f64, aim: f64) -> Verdict {
    Verdict { what, measured: None, bound, must, aim }
}

/// CPU per command.
pub const CPU: Verdict = demand("CPU per local command, 8 partitions / 1", Bound::AtMost, 1.15, 1.05);
/// Cells.
pub const CELLS: Verdict =
    demand("throughput of cells under a CPU quota, 8 partitions / 1", Bound::AtLeast, 6.5, 7.6);
/// The tail beside idle partitions.
pub const TAIL: Verdict = demand("p99 of local commands, 7 idle partitions / none", Bound::AtMost, 1.2, 1.05);
/// Commands over two partitions.
pub const GLOBAL: Verdict =
    demand("throughput with 10 % two-partition commands / none", Bound::AtLeast, 0.4, 0.8);
/// Syncs of one log.
pub const SYNCS: Verdict = demand("syncs per second, 8 loaded rings / 1, one node", Bound::AtMost, 1.5, 1.1);

/// A row for each demand.
pub fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::default();
    table.row(["what", "measured", "must", "aim"]);
    for Verdict { what, measured, bound, must, aim } in verdicts {
        let sign = match bound {
            Bound::AtMost => "<=",
            Bound::AtLeast => ">=",
        };
        let measured = measured.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        table.row([(*what).to_owned(), measured, format!("{sign} {must:.2}"), format!("{sign} {aim:.2}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_demanded_all_the_same() {
        let verdicts = [CPU.measured(1.034), CELLS, GLOBAL.measured(f64::NAN)];
        let expected = "\
what                                                     measured     must      aim
CPU per local command, 8 partitions / 1                      1.03  <= 1.15  <= 1.05
throughput of cells under a CPU quota, 8 partitions / 1         -  >= 6.50  >= 7.60
throughput with 10 % two-partition commands / none              -  >= 0.40  >= 0.80
";
        assert_eq!(table(&verdicts).to_string(), expected);
    }
}
