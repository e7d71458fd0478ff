//! Figures: panels of bars and of lines, side by side, written as one SVG file and as the numbers behind it.
//!
//! An edge file: it writes files.

use crate::failure::Failure;
use crate::table::figure;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, DefaultFormatting, KeyPointHint, Ranged, ValueFormatter};
use plotters::prelude::*;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// Width and height of a panel in pixels.
const PANEL: (u32, u32) = (560, 420);
/// Series are told apart by these, which are so also for most of the colour-blind.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(80, 60, 140),
];
/// How much of a group's width its bars take; the rest is between the groups.
const GROUP_WIDTH: f64 = 0.8;
/// What is left free above the highest bar, for its label, and for each line of the legend, as a share of its height.
const HEADROOM: (f64, f64) = (1.25, 0.07);
const TEXT: (&str, u32) = ("sans-serif", 12);
const SMALL: (&str, u32) = ("sans-serif", 9);

/// What is drawn. Field names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Above all panels.
    pub title: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// A part of a figure with axes of its own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Panel {
    /// Bars in groups.
    Bars(Bars),
    /// Curves.
    Lines(Lines),
}

/// Bars: one of each series in each group.
#[derive(Clone, Debug, Serialize)]
pub struct Bars {
    /// Above the panel.
    pub title: String,
    /// What the height is, with its unit.
    pub axis: String,
    /// The names of the groups.
    pub groups: Vec<String>,
    /// The series.
    pub series: Vec<BarSeries>,
    /// Whether the series of a group stand on each other, or else beside each other.
    pub stacked: bool,
}

/// The bars of one colour.
#[derive(Clone, Debug, Serialize)]
pub struct BarSeries {
    /// Its name.
    pub name: String,
    /// One per group; `None` where there is no figure.
    pub heights: Vec<Option<f64>>,
    /// What is written on each bar, if it is not its height.
    pub labels: Option<Vec<String>>,
}

/// Curves over axes that begin at 0, or a logarithmic one over.
#[derive(Clone, Debug, Serialize)]
pub struct Lines {
    /// Above the panel.
    pub title: String,
    /// What goes to the right, with its unit.
    pub x_axis: String,
    /// What goes up, with its unit.
    pub y_axis: String,
    /// Whether each tenfold to the right is as far as the one before.
    pub logarithmic: bool,
    /// The curves.
    pub series: Vec<Curve>,
}

/// One curve.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Figure {
    /// Writes `name.svg` and `name.json` into a directory, which is created if it does not exist.
    pub fn write(&self, directory: &Path, name: &str) -> Result<(), Failure> {
        let failed = |path: &Path| Failure::system(path.display().to_string());
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let write = |extension, text: &str| {
            let path = directory.join(format!("{name}.{extension}"));
            fs::write(&path, text).map_err(failed(&path))
        };
        write("svg", &self.svg()?)?;
        write("json", &serde_json::to_string_pretty(self).expect("numbers and names are JSON"))
    }

    fn svg(&self) -> Result<String, Failure> {
        let mut svg = String::new();
        let drawn = self.draw(&mut svg);
        drawn.map_err(|error| Failure::System {
            what: format!("drawing {}", self.title),
            error: std::io::Error::other(error.to_string()),
        })?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let columns = self.panels.len().clamp(1, 3);
        let rows = self.panels.len().div_ceil(columns);
        let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32 + 30);
        let area = SVGBackend::with_string(svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(&self.title, ("sans-serif", 18))?;
        for (panel, area) in self.panels.iter().zip(area.split_evenly((rows, columns))) {
            match panel {
                Panel::Bars(bars) => bars.draw(&area)?,
                Panel::Lines(lines) => lines.draw(&area)?,
            }
        }
        area.present()?;
        Ok(())
    }
}

impl Bars {
    fn draw(&self, area: &Area) -> Drawn {
        let top = nonzero(self.highest() * (HEADROOM.0 + HEADROOM.1 * self.series.len() as f64));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 14))
            .margin(10)
            .margin_right(25)
            .x_label_area_size(40)
            .y_label_area_size(65)
            .build_cartesian_2d(Groups(self.groups.len()), 0.0..top)?;
        let name = |x: &f64| self.groups.get(*x as usize).cloned().unwrap_or_default();
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(self.groups.len())
            .x_label_formatter(&name)
            .y_label_formatter(&|y| figure(*y))
            .max_light_lines(0)
            .y_desc(&self.axis)
            .label_style(TEXT)
            .axis_desc_style(TEXT)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let bars = series.heights.iter().enumerate().filter_map(|(group, height)| {
                let ((left, bottom), (right, top)) = self.place(index, group, (*height)?);
                Some(Rectangle::new([(left, bottom), (right, top)], colour.filled()))
            });
            chart.draw_series(bars)?.label(&series.name).legend(move |(x, y)| square(x, y, colour));
        }
        for (index, series) in self.series.iter().enumerate().filter(|_| !self.stacked) {
            let labels = series.heights.iter().enumerate().filter_map(|(group, height)| {
                let ((left, _), (right, top)) = self.place(index, group, (*height)?);
                let told = series.labels.as_ref().and_then(|labels| labels.get(group).cloned());
                let style = SMALL.into_font().transform(FontTransform::Rotate270);
                Some(Text::new(
                    told.unwrap_or_else(|| figure(top)),
                    (left + 0.3 * (right - left), top),
                    style,
                ))
            });
            chart.draw_series(labels)?;
        }
        legend(&mut chart)
    }

    /// The lower left and the upper right corner of a bar.
    fn place(&self, series: usize, group: usize, height: f64) -> ((f64, f64), (f64, f64)) {
        let left = group as f64 + (1.0 - GROUP_WIDTH) / 2.0;
        if self.stacked {
            let below = self.series[..series].iter().filter_map(|series| series.heights[group]).sum::<f64>();
            return ((left, below), (left + GROUP_WIDTH, below + height));
        }
        let width = GROUP_WIDTH / self.series.len() as f64;
        let left = left + width * series as f64;
        ((left, 0.0), (left + width, height))
    }

    fn highest(&self) -> f64 {
        let of_group = |group: usize| {
            let heights = self.series.iter().filter_map(move |series| series.heights[group]);
            if self.stacked { heights.sum() } else { heights.fold(0.0, f64::max) }
        };
        (0..self.groups.len()).map(of_group).fold(0.0, f64::max)
    }
}

impl Lines {
    /// Cumulative distributions of latencies in milliseconds.
    pub fn of_distributions(title: String, series: Vec<Curve>) -> Lines {
        Lines {
            title,
            x_axis: "latency, ms".to_owned(),
            y_axis: "share of requests that are not slower".to_owned(),
            logarithmic: true,
            series,
        }
    }

    fn draw(&self, area: &Area) -> Drawn {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let right = nonzero(points().map(|(x, _)| *x).fold(0.0, f64::max));
        let top = nonzero(points().map(|(_, y)| *y).fold(0.0, f64::max));
        let positive = points().map(|(x, _)| *x).filter(|x| *x > 0.0);
        let decades = whole_decades(positive.fold(right, f64::min), right);
        if self.logarithmic {
            self.draw_over(area, decades.log_scale(), 0.0..top)
        } else {
            self.draw_over(area, 0.0..right, 0.0..top)
        }
    }

    fn draw_over<X>(&self, area: &Area, x: X, y: std::ops::Range<f64>) -> Drawn
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 14))
            .margin(10)
            .margin_right(25)
            .x_label_area_size(40)
            .y_label_area_size(65)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_label_formatter(&|x| figure(*x))
            .y_label_formatter(&|y| figure(*y))
            .max_light_lines(0)
            .x_labels(6)
            .x_desc(&self.x_axis)
            .y_desc(&self.y_axis)
            .label_style(TEXT)
            .axis_desc_style(TEXT)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let path = PathElement::new(series.points.clone(), colour.stroke_width(2));
            chart.draw_series([path])?.label(&series.name).legend(move |(x, y)| square(x, y, colour));
        }
        legend(&mut chart)
    }
}

/// An axis of so many groups, each of length 1, whose marks are in the middle of the groups.
struct Groups(usize);

impl Ranged for Groups {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (left, right): (i32, i32)) -> i32 {
        let share = value / self.0.max(1) as f64;
        left + (f64::from(right - left) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let bold = !hint.weight().allow_light_points();
        (0..self.0).filter(|_| bold).map(|group| group as f64 + 0.5).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        0.0..self.0 as f64
    }
}

fn square(x: i32, y: i32, colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 4), (x + 8, y + 4)], colour.filled())
}

fn legend<'a, X: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, X>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(TEXT)
        .draw()?;
    Ok(())
}

/// From a power of ten to a greater one, around these.
fn whole_decades(least: f64, most: f64) -> std::ops::Range<f64> {
    let first = least.log10().floor();
    10_f64.powf(first)..10_f64.powf(most.log10().ceil().max(first + 1.0))
}

/// An axis needs a length.
fn nonzero(end: f64) -> f64 {
    if end > 0.0 && end.is_finite() { end } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(stacked: bool) -> Bars {
        let series = |name: &str, heights: [Option<f64>; 2], labels: Option<[&str; 2]>| BarSeries {
            name: name.to_owned(),
            heights: heights.into(),
            labels: labels.map(|labels| labels.map(str::to_owned).into()),
        };
        Bars {
            title: "Throughput".to_owned(),
            axis: "operations/s".to_owned(),
            groups: vec!["100 B".to_owned(), "1,000 B".to_owned()],
            series: vec![
                series("Volery", [Some(3.0), Some(2.0)], Some(["30 k", "20 k"])),
                series("ZooKeeper", [Some(1.0), None], None),
            ],
            stacked,
        }
    }

    fn lines(logarithmic: bool) -> Lines {
        Lines {
            title: "Latency".to_owned(),
            x_axis: "latency, ms".to_owned(),
            y_axis: "share of requests".to_owned(),
            logarithmic,
            series: vec![Curve { name: "Volery".to_owned(), points: vec![(0.5, 0.1), (20.0, 1.0)] }],
        }
    }

    /// The texts of an SVG.
    fn texts(svg: &str) -> Vec<String> {
        let text = |rest: &str| {
            rest.split_once('>').map(|(_, rest)| rest.split('<').next().unwrap_or("").trim().to_owned())
        };
        svg.split("<text").skip(1).filter_map(text).collect()
    }

    #[test]
    fn a_figure_says_what_it_shows_and_in_which_units() {
        let panels = vec![Panel::Bars(bars(false)), Panel::Lines(lines(false)), Panel::Lines(lines(true))];
        let svg = Figure { title: "Figure 9".to_owned(), panels }.svg().unwrap();
        let texts = texts(&svg);
        for expected in [
            "Figure 9",
            "Throughput",
            "operations/s",
            "100 B",
            "1,000 B",
            "Volery",
            "ZooKeeper",
            "30 k",
            "1.00",
            "Latency",
            "latency, ms",
            "share of requests",
        ] {
            assert!(texts.iter().any(|text| text == expected), "no {expected:?} in {texts:?}");
        }
    }

    #[test]
    fn bars_stand_beside_each_other_or_on_each_other() {
        let beside = bars(false);
        assert_eq!(beside.highest(), 3.0);
        let ((left, bottom), (right, top)) = beside.place(1, 0, 1.0);
        assert!((left - 0.5).abs() < 1e-9 && (right - 0.9).abs() < 1e-9, "{left} {right}");
        assert_eq!((bottom, top), (0.0, 1.0));
        let stacked = bars(true);
        assert_eq!(stacked.highest(), 4.0);
        let ((left, bottom), (right, top)) = stacked.place(1, 0, 1.0);
        assert!((left - 0.1).abs() < 1e-9 && (right - 0.9).abs() < 1e-9, "{left} {right}");
        assert_eq!((bottom, top), (3.0, 4.0));
    }

    #[test]
    fn a_logarithmic_axis_goes_over_whole_decades() {
        assert_eq!(whole_decades(0.5, 20.0), 0.1..100.0);
        assert_eq!(whole_decades(1.0, 1.0), 1.0..10.0);
    }

    #[test]
    fn a_figure_without_numbers_is_drawn_all_the_same() {
        let mut empty = bars(false);
        empty.series.iter_mut().for_each(|series| series.heights = vec![None, None]);
        let nothing = Lines { series: Vec::new(), ..lines(true) };
        let panels = vec![Panel::Bars(empty), Panel::Lines(nothing)];
        assert!(Figure { title: "Nothing".to_owned(), panels }.svg().is_ok());
    }

    #[test]
    fn the_numbers_are_written_beside_the_picture() {
        let directory = tempfile::tempdir().unwrap();
        let figure = Figure { title: "Figure 9".to_owned(), panels: vec![Panel::Bars(bars(false))] };
        figure.write(&directory.path().join("plots"), "figure-9").unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join("plots").join(name)).unwrap();
        assert!(read("figure-9.svg").starts_with("<svg"));
        let json: serde_json::Value = serde_json::from_str(&read("figure-9.json")).unwrap();
        assert_eq!(json["panels"][0]["bars"]["series"][0]["heights"][1], 2.0);
    }
}
