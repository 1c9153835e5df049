//! The picture: charts one below the other, as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

const WIDTH_PIXELS: u32 = 900;
const CHART_PIXELS: u32 = 400;
/// Free room above the highest point, as a part of it.
const HEADROOM: f64 = 0.08;

/// Lines over the number of shards, from 1 on.
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What its lines count.
    pub unit: &'static str,
    /// Each with its name.
    pub lines: Vec<(String, Vec<f64>)>,
}

/// All charts in one picture.
///
/// # Errors
/// What the backend says.
pub fn draw(charts: &[Chart]) -> Result<String> {
    let mut svg = String::new();
    {
        let size = (WIDTH_PIXELS, CHART_PIXELS * charts.len() as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let fault = |error: &dyn std::fmt::Display| anyhow!("drawing a plot: {error}");
        area.fill(&WHITE).map_err(|error| fault(&error))?;
        for (area, chart) in area.split_evenly((charts.len(), 1)).iter().zip(charts) {
            draw_one(area, chart).map_err(|error| fault(&error))?;
        }
        area.present().map_err(|error| fault(&error))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Fault<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw_one<'a>(area: &Area<'a>, chart: &Chart) -> Result<(), Fault<'a>> {
    let points = || chart.lines.iter().flat_map(|(_, points)| points);
    let highest = points().copied().fold(1.0, f64::max) * (1.0 + HEADROOM);
    let shards_max = chart.lines.iter().map(|(_, points)| points.len()).max().unwrap_or(1);
    let mut context = ChartBuilder::on(area)
        .margin(12)
        .caption(&chart.title, ("sans-serif", 16))
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(1.0..shards_max as f64, 0.0..highest)?;
    context
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("shards")
        .y_desc(chart.unit)
        .x_label_formatter(&|shards| format!("{shards:.0}"))
        .axis_desc_style(("sans-serif", 14))
        .label_style(("sans-serif", 12))
        .draw()?;
    for (i, (name, points)) in chart.lines.iter().enumerate() {
        let style = Palette99::pick(i).stroke_width(2);
        let line = (1..).map(f64::from).zip(points.iter().copied());
        let sample = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style);
        context.draw_series(LineSeries::new(line, style))?.label(name).legend(sample);
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_chart_is_there() {
        let chart = |title: &str| Chart {
            title: title.into(),
            unit: "hottest / mean",
            lines: vec![("a".into(), vec![1.0, 2.0, 3.0]), ("b".into(), vec![1.0, 1.0, 1.0])],
        };
        let svg = draw(&[chart("first"), chart("second")]).unwrap();
        assert!(svg.contains("first") && svg.contains("second") && svg.trim_end().ends_with("</svg>"));
        let thick =
            svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"2\""));
        assert_eq!(thick.count(), 8, "four lines, and four in the legends");
    }
}
