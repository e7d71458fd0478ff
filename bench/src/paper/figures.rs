//! The paper's figures, drawn from what was found here.

use super::{GLOBAL_SIZE, Load, Paper, Point, Storage, Who};
use crate::plot::{BarSeries, Bars, Curve, Figure, Lines, Panel};
use crate::table::{figure, thousands};

impl Paper {
    /// Figures 2 to 7 by their names; 2 and 3 only, if nothing was measured in memory.
    pub fn figures(&self) -> Vec<(&'static str, Figure)> {
        let local = |storage| self.loads(|load| load.storage == storage && load.global_percent == 0);
        let global = self.loads(|load| load.storage == Storage::Memory && load.size == GLOBAL_SIZE);
        let (disk, memory) = (local(Storage::Disk), local(Storage::Memory));
        let size = |load: &Load| format!("{} B", thousands(load.size as i64));
        let percent = |load: &Load| format!("{} % global", load.global_percent);
        let mut figures = vec![
            ("figure-2", self.throughput("Figure 2: local commands, on disk", &disk, size, true)),
            ("figure-3", self.distributions("Figure 3: latency, on disk", &disk, size)),
        ];
        if memory.is_empty() {
            return figures;
        }
        figures.extend([
            ("figure-4", self.throughput("Figure 4: local commands, in memory", &memory, size, true)),
            ("figure-5", self.distributions("Figure 5: latency, in memory", &memory, size)),
            (
                "figure-6",
                self.throughput("Figure 6: global commands, in memory, 1,000 B", &global, percent, false),
            ),
            (
                "figure-7",
                self.distributions("Figure 7: latency with global commands, in memory", &global, percent),
            ),
        ]);
        figures
    }

    /// The loads that were measured, each once.
    fn loads(&self, wanted: impl Fn(&Load) -> bool) -> Vec<Load> {
        let mut loads: Vec<Load> = Vec::new();
        for point in self.points.iter().filter(|point| wanted(&point.load)) {
            if !loads.contains(&point.load) {
                loads.push(point.load);
            }
        }
        loads.sort_by_key(|load| (load.global_percent, load.size));
        loads
    }

    /// Throughput and latency side by side, and the stages if they are known.
    fn throughput(
        &self,
        title: &str,
        loads: &[Load],
        name: impl Fn(&Load) -> String,
        normalised: bool,
    ) -> Figure {
        let groups: Vec<String> = loads.iter().map(&name).collect();
        let series = |of: &dyn Fn(&Point) -> f64, label: &dyn Fn(&Point) -> String| {
            let of_one = |who: Who| {
                let points: Vec<Option<&Point>> = loads.iter().map(|load| self.point(*load, who)).collect();
                let labels = points.iter().map(|point| point.map(label).unwrap_or_default()).collect();
                let heights = points.iter().map(|point| point.map(of).filter(|height| height.is_finite()));
                BarSeries { name: who.to_string(), heights: heights.collect(), labels: Some(labels) }
            };
            self.who().into_iter().map(of_one).collect()
        };
        let one = |point: &Point| self.point(point.load, Who::Volery(1)).map_or(f64::NAN, Point::rate);
        let kilo = |point: &Point| format!("{} k/s", figure(point.rate() / 1e3));
        let heights: &dyn Fn(&Point) -> f64 =
            if normalised { &|point| point.rate() / one(point) } else { &|point| point.rate() / 1e3 };
        let axis = if normalised { "throughput / that of 1 partition" } else { "thousand commands/s" };
        let bars = |title: &str, axis: &str, series| {
            let (title, axis) = (title.to_owned(), axis.to_owned());
            Panel::Bars(Bars { title, axis, groups: groups.clone(), series, stacked: false })
        };
        let mut panels = vec![
            bars("Throughput", axis, series(heights, &kilo)),
            bars(
                "Mean latency at 75 % of it",
                "ms",
                series(&Point::latency_ms, &|point| figure(point.latency_ms())),
            ),
        ];
        panels.extend(self.stages(loads, name));
        Figure { title: title.to_owned(), panels }
    }

    /// The stages stacked, for each load and number of partitions; nothing if no server told of them.
    fn stages(&self, loads: &[Load], name: impl Fn(&Load) -> String) -> Option<Panel> {
        let told: Vec<&Point> = loads
            .iter()
            .flat_map(|load| self.who().into_iter().filter_map(|who| self.point(*load, who)))
            .filter(|point| !point.stages.is_empty())
            .collect();
        let group = |point: &&Point| match point.who {
            Who::Volery(partitions) => format!("{}, {partitions}", name(&point.load)),
            Who::ZooKeeper => name(&point.load),
        };
        let names: Vec<&str> = told.first()?.stages.iter().map(|stage| stage.name.as_str()).collect();
        let mean_ms = |point: &Point, name: &str| {
            let stage = point.stages.iter().find(|stage| stage.name == name)?;
            Some(stage.mean_us / 1e3)
        };
        let series = names.iter().map(|name| BarSeries {
            name: (*name).to_owned(),
            heights: told.iter().map(|point| mean_ms(point, name)).collect(),
            labels: None,
        });
        Some(Panel::Bars(Bars {
            title: "Where the time of a command goes, by partitions".to_owned(),
            axis: "ms".to_owned(),
            groups: told.iter().map(group).collect(),
            series: series.collect(),
            stacked: true,
        }))
    }

    /// A panel for each load; the curves are of the first round.
    fn distributions(&self, title: &str, loads: &[Load], name: impl Fn(&Load) -> String) -> Figure {
        let curve = |load: Load, who: Who| {
            let points = self.point(load, who)?.open.first()?.distribution_ms();
            Some(Curve { name: who.to_string(), points })
        };
        let panels = loads.iter().map(|load| {
            let curves = self.who().into_iter().filter_map(|who| curve(*load, who)).collect();
            Panel::Lines(Lines::of_distributions(name(load), curves))
        });
        Figure { title: format!("{title}, at 75 % of the throughput"), panels: panels.collect() }
    }
}
