//! A round of an experiment: one fault, and what each partition answered around it.

use super::drill::Seen;
use super::timeline::BUCKET;
use crate::plot::{Curve, Lines};
use crate::table::{Table, figure};
use serde::Serialize;
use std::time::Duration;

/// How far above the highest point the line at the fault goes, so that there is room for the legend.
const HEADROOM: f64 = 1.5;

/// What was seen of one fault. Field names are those of the JSON.
#[derive(Clone, Serialize)]
pub struct Round {
    /// What happened, for people.
    pub fault: String,
    /// The partition that it was about.
    pub partition: usize,
    /// The share of the time before it in which the machine's cores had nothing to do.
    pub idle_share_before: f64,
    /// For how long after the fault the rates are, in seconds.
    pub window_seconds: f64,
    /// What the other partitions answered per second after the fault, as a share of the same before.
    pub kept_elsewhere: f64,
    /// With which of the buckets the fault came.
    pub fault_bucket: usize,
    /// All partitions.
    pub partitions: Vec<Course>,
}

/// What one partition answered around a fault.
#[derive(Clone, Serialize)]
pub struct Course {
    /// Writes answered per second before it.
    pub before_per_second: f64,
    /// Writes answered per second in the window after it.
    pub after_per_second: f64,
    /// The longest time without an answered write from the fault to the end.
    pub longest_gap_ms: f64,
    /// Errors replied, before and after.
    pub errors: usize,
    /// Writes answered in each 100 ms.
    pub answered_per_100_ms: Vec<usize>,
}

impl Round {
    /// What `seen` says of a fault that was about this partition; rates are over a window of so long after it.
    pub fn new(fault: String, partition: usize, seen: &Seen, window: Duration) -> Round {
        let timeline = &seen.timeline;
        let course = |partition| Course {
            before_per_second: timeline.before(partition),
            after_per_second: timeline.after(partition, window),
            longest_gap_ms: timeline.longest_gap(partition).as_secs_f64() * 1e3,
            errors: seen.errors[partition],
            answered_per_100_ms: timeline.buckets(partition),
        };
        Round {
            fault,
            partition,
            idle_share_before: seen.idle_share_before,
            window_seconds: window.as_secs_f64(),
            kept_elsewhere: timeline.kept_elsewhere(partition, window),
            fault_bucket: timeline.fault_bucket(),
            partitions: (0..timeline.partitions()).map(course).collect(),
        }
    }

    /// The longest time without an answered write of the partition that the fault was about, in seconds.
    pub fn outage_seconds(&self) -> f64 {
        self.partitions[self.partition].longest_gap_ms / 1e3
    }

    /// What the other partitions answered less after the fault, as a share of the same before; nothing if it was more.
    pub fn dip_elsewhere(&self) -> f64 {
        (1.0 - self.kept_elsewhere).max(0.0)
    }

    /// The longest time without an answered write of a partition that the fault was not about, in seconds.
    pub fn gap_elsewhere_seconds(&self) -> f64 {
        let others = self.partitions.iter().enumerate().filter(|(partition, _)| *partition != self.partition);
        others.map(|(_, course)| course.longest_gap_ms / 1e3).fold(0.0, f64::max)
    }

    /// The course of each partition over time, and the moment of the fault.
    pub fn lines(&self, title: String) -> Lines {
        let begin = |bucket: usize| bucket as f64 * BUCKET.as_secs_f64();
        let middle = |bucket: usize| begin(bucket) + BUCKET.as_secs_f64() / 2.0;
        let mut series: Vec<Curve> = Vec::new();
        for (partition, course) in self.partitions.iter().enumerate() {
            let points = course.answered_per_100_ms.iter().enumerate();
            let points = points.map(|(bucket, answers)| (middle(bucket), *answers as f64)).collect();
            series.push(Curve { name: format!("p{partition}"), points });
        }
        let most = self.partitions.iter().flat_map(|course| &course.answered_per_100_ms).max();
        let top = HEADROOM * most.copied().unwrap_or(0) as f64;
        let at = begin(self.fault_bucket);
        series.push(Curve { name: self.fault.clone(), points: vec![(at, 0.0), (at, top)] });
        Lines {
            title,
            x_axis: "time, s".to_owned(),
            y_axis: "writes answered per 100 ms".to_owned(),
            logarithmic: false,
            series,
        }
    }
}

/// A row for each partition of each round.
pub fn table(rounds: &[Round]) -> Table {
    let mut table = Table::default();
    let window = rounds.first().map_or(0.0, |round| round.window_seconds);
    table.row([
        "fault".to_owned(),
        "CPU idle before".to_owned(),
        "partition".to_owned(),
        "answered/s before".to_owned(),
        format!("in {} s after", figure(window)),
        "longest gap ms".to_owned(),
        "errors".to_owned(),
    ]);
    for round in rounds {
        for (partition, course) in round.partitions.iter().enumerate() {
            let its_own = if partition == round.partition { " (hit)" } else { "" };
            let idle = format!("{:.0} %", 100.0 * round.idle_share_before);
            let [fault, idle] =
                if partition == 0 { [round.fault.clone(), idle] } else { [const { String::new() }; 2] };
            table.row([
                fault,
                idle,
                format!("p{partition}{its_own}"),
                figure(course.before_per_second),
                figure(course.after_per_second),
                figure(course.longest_gap_ms),
                course.errors.to_string(),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::timeline::Timeline;

    /// Partition 0 answers 100 times per second for two seconds, partition 1 for one; the fault comes after that one.
    fn round() -> Round {
        let times = |count: u64| (0..count).map(|i| Duration::from_millis(10 * i)).collect();
        let [second, end] = [1, 2].map(Duration::from_secs);
        let timeline = Timeline::new(second, end, vec![times(200), times(100)]);
        let seen = Seen { timeline, errors: vec![0, 7], idle_share_before: 0.6 };
        Round::new("node 1 killed".to_owned(), 1, &seen, second)
    }

    #[test]
    fn a_round_is_told_partition_by_partition() {
        assert_eq!((round().outage_seconds(), round().gap_elsewhere_seconds()), (1.0, 0.01));
        assert_eq!((round().kept_elsewhere, round().dip_elsewhere()), (1.0, 0.0));
        let dip = |kept_elsewhere| Round { kept_elsewhere, ..round() }.dip_elsewhere();
        assert_eq!([0.75, 1.25, 0.0].map(dip), [0.25, 0.0, 1.0]);
        let expected = "\
fault          CPU idle before  partition  answered/s before  in 1.00 s after  longest gap ms  errors
node 1 killed             60 %         p0                100              100            10.0       0
                                 p1 (hit)                100             0.00           1,000       7
";
        assert_eq!(table(&[round()]).to_string(), expected);
    }

    #[test]
    fn the_plot_has_a_line_per_partition_and_one_at_the_fault() {
        let lines = round().lines(String::new());
        let named: Vec<(&str, usize)> =
            lines.series.iter().map(|curve| (curve.name.as_str(), curve.points.len())).collect();
        assert_eq!(named, [("p0", 20), ("p1", 20), ("node 1 killed", 2)]);
        let (at, answers) = lines.series[0].points[19];
        assert!((at - 1.95).abs() < 1e-9 && answers == 10.0, "in the middle of its bucket: {at} {answers}");
        assert_eq!(lines.series[2].points, [(1.0, 0.0), (1.0, 15.0)]);
    }
}
