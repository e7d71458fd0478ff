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

/// How far a demand is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// What it should reach, and so what it must.
    Aim,
    /// What it must reach.
    Must,
    /// Nothing of it.
    Neither,
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

    /// How far it is met; `None` if it was not measured.
    pub fn reached(&self) -> Option<Reached> {
        let is_within = |goal| match self.bound {
            Bound::AtMost => self.measured.map(|figure| figure <= goal),
            Bound::AtLeast => self.measured.map(|figure| figure >= goal),
        };
        Some(match (is_within(self.aim)?, is_within(self.must)?) {
            (true, _) => Reached::Aim,
            (false, true) => Reached::Must,
            (false, false) => Reached::Neither,
        })
    }

    /// What it must reach and what it should, as they are shown.
    pub fn goals(&self) -> [String; 2] {
        let sign = match self.bound {
            Bound::AtMost => "<=",
            Bound::AtLeast => ">=",
        };
        [self.must, self.aim].map(|goal| format!("{sign} {goal:.2}"))
    }
}

/// A demand that nothing has been measured for yet.
pub const fn demand(what: &'static str, bound: Bound, must: f64, aim: f64) -> Verdict {
    Verdict { what, measured: None, bound, must, aim }
}

/// A row for each demand.
pub fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::default();
    table.row(["what", "measured", "must", "aim"]);
    for verdict in verdicts {
        let measured = verdict.measured.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        let [must, aim] = verdict.goals();
        table.row([verdict.what.to_owned(), measured, must, aim]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Verdict = demand("CPU per command", Bound::AtMost, 1.15, 1.05);
    const CELLS: Verdict = demand("throughput of cells", Bound::AtLeast, 6.5, 7.6);
    const GLOBAL: Verdict = demand("throughput with global commands", Bound::AtLeast, 0.4, 0.8);

    #[test]
    fn what_was_not_measured_is_demanded_all_the_same() {
        let verdicts = [CPU.measured(1.034), CELLS, GLOBAL.measured(f64::NAN)];
        let expected = "\
what                             measured     must      aim
CPU per command                      1.03  <= 1.15  <= 1.05
throughput of cells                     -  >= 6.50  >= 7.60
throughput with global commands         -  >= 0.40  >= 0.80
";
        assert_eq!(table(&verdicts).to_string(), expected);
    }

    #[test]
    fn a_demand_is_met_up_to_its_bound_and_whichever_way_is_good() {
        let reached = |verdict: Verdict, figures: [f64; 4]| {
            figures.map(|figure| verdict.clone().measured(figure).reached())
        };
        let expected = [Reached::Aim, Reached::Must, Reached::Must, Reached::Neither].map(Some);
        assert_eq!(reached(CPU, [1.05, 1.06, 1.15, 1.16]), expected);
        assert_eq!(reached(CELLS, [7.6, 7.5, 6.5, 6.4]), expected);
        assert_eq!(CELLS.reached(), None);
    }
}
