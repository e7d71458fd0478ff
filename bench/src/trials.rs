//! Configurations that were measured in turn.

use crate::failure::Failure;
use crate::median::median;
use crate::outcome::Outcome;
use crate::table::{Table, figure};
use serde::Serialize;

/// The rounds of one configuration.
#[derive(Serialize)]
pub struct Trial {
    /// What tells it from the others.
    pub name: String,
    /// One per round.
    pub rounds: Vec<Outcome>,
}

/// Configurations that were measured in turn, so that what the machine does meanwhile meets all of them. The first is
/// what the others are compared with.
#[derive(Serialize)]
pub struct Trials {
    /// What they are about, for people.
    pub about: String,
    /// In the order in which they were measured.
    pub trials: Vec<Trial>,
}

/// A figure of an outcome, and the head of its column. The figures are medians over the rounds.
#[derive(Clone, Copy)]
pub struct Column {
    /// With its unit.
    pub head: &'static str,
    /// The figure.
    pub of: fn(&Outcome) -> f64,
    /// Whether a column follows of it as a multiple of the first configuration's.
    pub ratio: bool,
}

impl Trials {
    /// Measures configurations of these names in turn; `measure` is given the index of each.
    pub fn measure(
        about: String,
        names: Vec<String>,
        rounds: usize,
        mut measure: impl FnMut(usize) -> Result<Outcome, Failure>,
    ) -> Result<Trials, Failure> {
        let mut trials: Vec<Trial> =
            names.into_iter().map(|name| Trial { name, rounds: Vec::new() }).collect();
        for _ in 0..rounds {
            for (index, trial) in trials.iter_mut().enumerate() {
                trial.rounds.push(measure(index)?);
            }
        }
        Ok(Trials { about, trials })
    }

    /// The median of a figure of the configuration with this index.
    pub fn median(&self, index: usize, of: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.trials[index].rounds.iter().map(of).collect())
    }

    /// A figure of the configuration with this index as a multiple of the first one's.
    pub fn ratio(&self, index: usize, of: impl Fn(&Outcome) -> f64) -> f64 {
        self.median(index, &of) / self.median(0, &of)
    }

    /// The same of the last configuration.
    pub fn last_ratio(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        self.ratio(self.trials.len() - 1, of)
    }

    /// A row for each configuration.
    pub fn table(&self, columns: &[Column]) -> Table {
        let mut table = Table::default();
        let ratio = format!("to {}", self.trials[0].name);
        let heads = columns.iter().flat_map(|column| {
            std::iter::once(column.head.to_owned()).chain(column.ratio.then(|| ratio.clone()))
        });
        table.row(std::iter::once(String::new()).chain(heads));
        for (index, trial) in self.trials.iter().enumerate() {
            let cells = columns.iter().flat_map(|column| {
                let value = cell(self.median(index, column.of), figure);
                let ratio =
                    column.ratio.then(|| cell(self.ratio(index, column.of), |ratio| format!("{ratio:.2}")));
                std::iter::once(value).chain(ratio)
            });
            table.row(std::iter::once(trial.name.clone()).chain(cells));
        }
        table
    }
}

/// A figure, or that there is none.
fn cell(number: f64, show: impl Fn(f64) -> String) -> String {
    if number.is_finite() { show(number) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn configurations_take_turns_and_are_compared_with_the_first() {
        let mut order = Vec::new();
        let names = vec!["1 partition".to_owned(), "8 partitions".to_owned()];
        let trials = Trials::measure("About.".to_owned(), names, 3, |index| {
            order.push(index);
            let operations_per_second = [100.0, 400.0][index] + order.len() as f64;
            Ok(Outcome { operations_per_second, ..outcome() })
        });
        let trials = trials.unwrap();
        assert_eq!(order, [0, 1, 0, 1, 0, 1]);
        let rate = |outcome: &Outcome| outcome.operations_per_second;
        assert_eq!(trials.median(1, rate), 404.0);
        let columns = [
            Column { head: "operations/s", of: rate, ratio: true },
            Column { head: "p50 us", of: |outcome| outcome.latency_us.p50 as f64, ratio: false },
            Column {
                head: "syncs/s",
                of: |outcome| outcome.syncs_per_second().unwrap_or(f64::NAN),
                ratio: false,
            },
        ];
        let expected = "              operations/s  to 1 partition  p50 us  syncs/s
1 partition            103            1.00   1,000        -
8 partitions           404            3.92   1,000        -
";
        assert_eq!(trials.table(&columns).to_string(), expected);
    }
}
