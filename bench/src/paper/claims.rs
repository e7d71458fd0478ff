//! What the paper says of its experiments, beside what was found here.

use super::{GLOBAL_SIZE, Load, Paper, Point, Storage, Who};
use crate::table::{Table, thousands};

/// Sizes that the paper speaks of, in bytes.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Numbers of partitions that the paper speaks of, besides 1.
const PARTITIONS: [usize; 3] = [2, 4, 8];
/// Shares of global commands that the paper speaks of, in percent.
const GLOBAL_PERCENT: [u8; 4] = [0, 1, 5, 10];
/// Where a command was late: so many times the median without global commands.
const LATE: f64 = 2.0;

impl Paper {
    /// A row for each claim.
    pub fn claims(&self) -> Table {
        let mut table = Table::default();
        table.row(["claim of section VI", "the paper", "found here"]);
        let rows = self.claims_of_storage(Storage::Disk).into_iter();
        let rows = rows.chain(self.claims_of_storage(Storage::Memory)).chain(self.claims_of_both());
        for (claim, paper, found) in rows.chain(self.claims_of_global()) {
            table.row([claim, paper.to_owned(), found]);
        }
        table
    }

    fn claims_of_storage(&self, storage: Storage) -> Vec<(String, &'static str, String)> {
        let disk = storage == Storage::Disk;
        let place = if disk { "on disk" } else { "in memory" };
        let load = |size| Load { storage, size, global_percent: 0 };
        let scales = |size: usize| {
            let ratios = PARTITIONS.map(|partitions| {
                let ratio = self.rates(load(size), Who::Volery(partitions), Who::Volery(1));
                format!("{partitions}: {}", told(ratio))
            });
            (format!("{place}: throughput to 1 partition, {} B", thousands(size as i64)), ratios.join(", "))
        };
        let grows = |size| if size == 100 { "grows" } else { "grows linearly" };
        let mut rows: Vec<_> = SIZES.map(|size| (scales(size).0, grows(size), scales(size).1)).into();
        let spread = |partitions| {
            let point = self.point(load(1_000), Who::Volery(partitions))?;
            let of = |outcome: &crate::outcome::Outcome| {
                outcome.latency_us.p99 as f64 / outcome.latency_us.p50 as f64
            };
            Some(point.of_open(of))
        };
        rows.push((
            format!("{place}: latency varies more with partitions (p99 / p50, 1,000 B)"),
            "more with 2, 4, 8 than with 1",
            list(&[1, 2, 4, 8].map(|partitions| (partitions.to_string(), spread(partitions)))),
        ));
        rows.push((
            format!("{place}: share of multicasting in latency (1,000 B)"),
            if disk { "more than half" } else { "most, then batching" },
            list(&[1, 8].map(|partitions| {
                let point = self.point(load(1_000), Who::Volery(partitions));
                (partitions.to_string(), point.and_then(|point| stage_share(point, "multicasting")))
            })),
        ));
        if disk {
            rows.extend(self.claims_of_disk());
        }
        rows
    }

    /// What the paper says of ZooKeeper and ZKsmr on disk.
    fn claims_of_disk(&self) -> Vec<(String, &'static str, String)> {
        let load = |size| Load { storage: Storage::Disk, size, global_percent: 0 };
        let zookeeper = |size, partitions| self.rates(load(size), Who::ZooKeeper, Who::Volery(partitions));
        let latencies = |size: usize| {
            let volery = |partitions| Some(self.point(load(size), Who::Volery(partitions))?.latency_ms());
            let least = [1, 2, 4, 8].into_iter().filter_map(volery).fold(f64::INFINITY, f64::min);
            let zookeeper = self.point(load(size), Who::ZooKeeper)?.latency_ms();
            Some(zookeeper / least).filter(|_| least.is_finite())
        };
        let latency = |size: usize, paper| {
            let claim = format!(
                "on disk: ZooKeeper's latency / Volery's least, {} B, each at 75 % of its throughput",
                thousands(size as i64)
            );
            (claim, paper, told(latencies(size)))
        };
        vec![
            (
                "on disk: ZooKeeper's throughput / Volery's with 1 partition, 100 B".to_owned(),
                "similar",
                told(zookeeper(100, 1)),
            ),
            (
                "on disk: ZooKeeper's throughput / Volery's with 2 partitions, 1,000 B".to_owned(),
                "similar",
                told(zookeeper(1_000, 2)),
            ),
            (
                "on disk: ZooKeeper's throughput / Volery's with 4 partitions, 10,000 B".to_owned(),
                "below 1",
                told(zookeeper(10_000, 4)),
            ),
            (
                "on disk: ZKsmr's throughput / Volery's with 1 partition, 100 B".to_owned(),
                "above 1, less so for larger",
                "the same program".to_owned(),
            ),
            latency(100, "below 1"),
            latency(1_000, "below 1"),
            latency(10_000, "1 or above"),
        ]
    }

    /// Disk beside memory, at 1,000 B.
    fn claims_of_both(&self) -> Vec<(String, &'static str, String)> {
        let ratio = |who| {
            let at = |storage| {
                Some(self.point(Load { storage, size: 1_000, global_percent: 0 }, who)?.latency_ms())
            };
            Some(at(Storage::Memory)? / at(Storage::Disk)?)
        };
        let volery = [1, 2, 4, 8].map(|partitions| (partitions.to_string(), ratio(Who::Volery(partitions))));
        vec![
            ("Volery's latency in memory / on disk, 1,000 B".to_owned(), "below 0.5", list(&volery)),
            (
                "ZooKeeper's latency in memory / on disk, 1,000 B".to_owned(),
                "about 0.1",
                told(ratio(Who::ZooKeeper)),
            ),
        ]
    }

    fn claims_of_global(&self) -> Vec<(String, &'static str, String)> {
        let rates = |percent, a, b| self.rates(global(percent), a, b);
        let by_percent = |of: &dyn Fn(u8) -> Option<f64>| {
            list(&GLOBAL_PERCENT.map(|percent| (format!("{percent} %"), of(percent))))
        };
        let grows = |more, less| by_percent(&|percent| rates(percent, Who::Volery(more), Who::Volery(less)));
        let latency = |partitions| {
            let at = |percent| Some(self.point(global(percent), Who::Volery(partitions))?.latency_ms());
            (format!("{partitions} partitions"), at(10).zip(at(0)).map(|(with, without)| with / without))
        };
        let waiting = |partitions| {
            let point = self.point(global(10), Who::Volery(partitions));
            (format!("{partitions} partitions"), point.and_then(|point| stage_share(point, "waiting")))
        };
        let late = |partitions| (format!("{partitions} partitions"), self.late(partitions));
        vec![
            ("global: throughput, 2 partitions / 1".to_owned(), "grows at all rates", grows(2, 1)),
            ("global: throughput, 4 partitions / 2".to_owned(), "grows at all rates", grows(4, 2)),
            ("global: throughput, 8 partitions / 4".to_owned(), "grows, but at 10 %", grows(8, 4)),
            (
                "global: throughput of Volery with 2 partitions / ZooKeeper's".to_owned(),
                "above 1 at all rates",
                by_percent(&|percent| rates(percent, Who::Volery(2), Who::ZooKeeper)),
            ),
            (
                "global: latency with 10 % / with none".to_owned(),
                "grows with partitions",
                list(&PARTITIONS.map(latency)),
            ),
            (
                "global: share of waiting for signals in latency, 10 %".to_owned(),
                "what is added is waiting",
                list(&PARTITIONS.map(waiting)),
            ),
            (
                "global: commands in a hundred that are late (twice the median without) at 1 %".to_owned(),
                "much more than 1",
                list(&PARTITIONS.map(late)),
            ),
        ]
    }

    /// How many of a hundred commands are late where 1 % are global.
    fn late(&self, partitions: usize) -> Option<f64> {
        let open = |percent| self.point(global(percent), Who::Volery(partitions))?.open.first();
        let limit_us = open(0)?.latency_us.p50 as f64 * LATE;
        let in_time = open(1)?.distribution.iter().filter(|share| share.us as f64 <= limit_us);
        Some(100.0 * (1.0 - in_time.map(|share| share.of_all).fold(0.0, f64::max)))
    }

    /// The throughput of one as a multiple of another's.
    fn rates(&self, load: Load, of: Who, to: Who) -> Option<f64> {
        Some(self.point(load, of)?.rate() / self.point(load, to)?.rate())
    }
}

fn global(global_percent: u8) -> Load {
    Load { storage: Storage::Memory, size: GLOBAL_SIZE, global_percent }
}

/// The share of a stage in the whole; `None` if the server did not tell.
fn stage_share(point: &Point, name: &str) -> Option<f64> {
    let all: f64 = point.stages.iter().map(|stage| stage.mean_us).sum();
    let stage = point.stages.iter().find(|stage| stage.name == name)?;
    Some(stage.mean_us / all)
}

fn told(figure: Option<f64>) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"))
}

fn list(figures: &[(String, Option<f64>)]) -> String {
    let one = |(name, figure): &(String, Option<f64>)| format!("{name}: {}", told(*figure));
    figures.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;
    use crate::outcome::{Latency, Outcome};
    use crate::stages::Stage;

    /// A point of so many commands per second, whose latencies have a mean of so many milliseconds.
    fn point(load: Load, who: Who, rate: f64, mean_ms: f64) -> Point {
        let outcome = outcome();
        let latency_us = Latency { mean: mean_ms * 1e3, ..outcome.latency_us };
        let outcome = Outcome { operations_per_second: rate, latency_us, ..outcome };
        let stages = [("batching", 1.0), ("multicasting", 6.0), ("waiting", 2.0), ("executing", 1.0)];
        let stages = stages.map(|(name, mean_us)| Stage { name: name.to_owned(), mean_us }).into();
        Point { load, who, closed: vec![outcome.clone()], open: vec![outcome], stages }
    }

    fn paper() -> Paper {
        let disk = Load { storage: Storage::Disk, size: 1_000, global_percent: 0 };
        let memory = Load { storage: Storage::Memory, ..disk };
        let points = vec![
            point(disk, Who::ZooKeeper, 90.0, 1.0),
            point(disk, Who::Volery(1), 100.0, 4.0),
            point(disk, Who::Volery(2), 180.0, 2.0),
            point(memory, Who::ZooKeeper, 100.0, 0.1),
            point(memory, Who::Volery(1), 200.0, 1.0),
            point(memory, Who::Volery(2), 400.0, 1.0),
            point(global(10), Who::Volery(1), 100.0, 3.0),
            point(global(10), Who::Volery(2), 150.0, 3.0),
        ];
        Paper { caption: "Once.".to_owned(), points, wall_seconds: 1.0 }
    }

    #[test]
    fn claims_stand_beside_what_was_found() {
        let claims = paper().claims().to_string();
        let found = |claim: &str| {
            let row = claims.lines().find(|row| row.starts_with(claim)).unwrap();
            row.rsplit("  ").next().unwrap().trim().to_owned()
        };
        assert_eq!(found("on disk: throughput to 1 partition, 1,000 B"), "2: 1.80, 4: -, 8: -");
        assert_eq!(found("on disk: throughput to 1 partition, 100 B"), "2: -, 4: -, 8: -");
        assert_eq!(found("on disk: ZooKeeper's throughput / Volery's with 2 partitions, 1,000 B"), "0.50");
        assert_eq!(found("on disk: ZooKeeper's latency / Volery's least, 1,000 B"), "0.50");
        assert_eq!(found("on disk: share of multicasting"), "1: 0.60, 8: -");
        assert_eq!(found("Volery's latency in memory / on disk"), "1: 0.25, 2: 0.50, 4: -, 8: -");
        assert_eq!(found("ZooKeeper's latency in memory / on disk"), "0.10");
        assert_eq!(found("global: throughput, 2 partitions / 1"), "0 %: 2.00, 1 %: -, 5 %: -, 10 %: 1.50");
        assert_eq!(
            found("global: latency with 10 %"),
            "2 partitions: 3.00, 4 partitions: -, 8 partitions: -"
        );
    }

    #[test]
    fn late_commands_are_counted_over_the_whole_distribution() {
        let mut paper = paper();
        let mut slow = point(global(1), Who::Volery(2), 100.0, 1.0);
        // Half of all are slower than twice the median of 1,000 us.
        let middle = slow.open[0].distribution.iter().position(|share| share.of_all >= 0.5).unwrap();
        slow.open[0].distribution[middle + 1..].iter_mut().for_each(|share| share.us = 3_000);
        paper.points.push(slow);
        assert_eq!(told(paper.late(2)), "50.00");
    }

    #[test]
    fn all_figures_are_drawn_also_from_a_few_points() {
        let figures = paper().figures();
        let names: Vec<&str> = figures.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["figure-2", "figure-3", "figure-4", "figure-5", "figure-6", "figure-7"]);
        let panels: Vec<usize> = figures.iter().map(|(_, figure)| figure.panels.len()).collect();
        assert_eq!(panels, [3, 1, 3, 1, 3, 2]);
        let directory = tempfile::tempdir().unwrap();
        figures.iter().for_each(|(name, figure)| figure.write(directory.path(), name).unwrap());
    }

    #[test]
    fn throughput_is_normalised_by_one_partition() {
        let (_, figure) = paper().figures().remove(0);
        let crate::plot::Panel::Bars(bars) = &figure.panels[0] else { panic!("throughput is bars") };
        let heights: Vec<_> = bars.series.iter().map(|series| series.heights[0]).collect();
        assert_eq!(heights, [Some(0.9), Some(1.0), Some(1.8)]);
        assert_eq!(bars.series[2].labels.as_ref().unwrap()[0], "0.18 k/s");
    }
}
