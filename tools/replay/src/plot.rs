//! Two pictures as SVG: the miss ratio over the course of a run, and against the memory it took.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Run;

const SIZE_PIXELS: (u32, u32) = (900, 520);
/// Free room above the highest point, as a part of it.
const HEADROOM: f64 = 0.08;
/// A line of at most so many points has a mark at each.
const MARKED_MAX: usize = 32;

/// A named line of points.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Miss ratio in percent over millions of gets, a line for each run.
pub fn course(runs: &[Run]) -> Result<String> {
    let line = |run: &Run| {
        let memory = run.memory_mib.map_or(String::new(), |mib| format!(", {mib} MiB"));
        let points = run.course.iter().map(|&(gets, ratio)| (gets as f64 / 1e6, 100.0 * ratio)).collect();
        Line { name: format!("{}{memory}", run.name), points }
    };
    draw(&runs.iter().map(line).collect::<Vec<_>>(), "gets (millions)")
}

/// Miss ratio in percent against resident memory in MiB, a line for each server of a sweep. `None` where no run has both.
pub fn against_memory(runs: &[Run]) -> Result<Option<String>> {
    let mut lines = BTreeMap::<&str, Vec<(f64, f64)>>::new();
    for run in runs {
        if let Some(resident_mib) = run.resident_mib {
            lines.entry(&run.name).or_default().push((resident_mib, 100.0 * run.total.miss_ratio));
        }
    }
    let sorted = |(name, mut points): (&str, Vec<(f64, f64)>)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: name.into(), points }
    };
    let lines: Vec<Line> = lines.into_iter().map(sorted).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    draw(&lines, "resident memory of the process at the end (MiB)").map(Some)
}

fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    // An axis of no length cannot be drawn.
    0.0..values.fold(0.0, f64::max).max(1e-3) * (1.0 + HEADROOM)
}

fn draw(lines: &[Line], x_name: &str) -> Result<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE_PIXELS).into_drawing_area();
        let fault = |error: &dyn std::fmt::Display| anyhow!("drawing a plot: {error}");
        area.fill(&WHITE).map_err(|error| fault(&error))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(range(points().map(|point| point.0)), range(points().map(|point| point.1)))
            .map_err(|error| fault(&error))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(x_name)
            .y_desc("misses (% of gets)")
            .axis_desc_style(("sans-serif", 15))
            .label_style(("sans-serif", 13))
            .draw()
            .map_err(|error| fault(&error))?;
        for (i, line) in lines.iter().enumerate() {
            let style = Palette99::pick(i).stroke_width(2);
            let mark_pixels = if line.points.len() <= MARKED_MAX { 3 } else { 0 };
            let series = LineSeries::new(line.points.iter().copied(), style.filled()).point_size(mark_pixels);
            let drawn = chart.draw_series(series).map_err(|error| fault(&error))?;
            let sample = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style);
            drawn.label(&line.name).legend(sample);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()
            .map_err(|error| fault(&error))?;
        area.present().map_err(|error| fault(&error))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    /// Lines of data in the picture: they are drawn thicker than the axes, each once and once for the legend.
    fn lines(svg: &str) -> usize {
        let thick =
            svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"2\""));
        thick.count() / 2
    }

    #[test]
    fn each_run_has_its_line_over_time() {
        let svg = course(&[sample("a server", 20, 16), sample("a server", 52, 7)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(lines(&svg), 2);
        assert!(svg.contains("a server, 20 MiB") && svg.contains("a server, 52 MiB"));
    }

    #[test]
    fn runs_of_one_server_are_one_line_against_memory() {
        let runs = [sample("a", 52, 7), sample("b", 20, 12), sample("a", 20, 16), sample("a", 70, 2)];
        assert_eq!(lines(&against_memory(&runs).unwrap().unwrap()), 2);
    }

    #[test]
    fn nothing_known_of_memory_is_no_picture() {
        let mut run = sample("a", 20, 16);
        run.resident_mib = None;
        assert!(against_memory(&[run]).unwrap().is_none());
    }

    #[test]
    fn a_run_too_short_for_a_point_is_an_empty_picture() {
        let mut run = sample("a", 20, 0);
        run.course.clear();
        assert!(course(&[run]).unwrap().contains("</svg>"));
    }
}
