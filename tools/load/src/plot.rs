//! A picture as SVG: latency over its percentiles, which are spread so that each further nine takes the same room.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::tally::{Latencies, Tally};

const SIZE_PIXELS: (u32, u32) = (900, 520);
/// Points of a curve for each nine.
const POINTS_PER_NINE: u32 = 40;
/// Most nines: one request in a million.
const NINES_MAX: f64 = 6.0;

/// Curves of gets and sets, where there were any.
pub fn percentiles(tally: &Tally) -> Result<String> {
    let curves: Vec<(&str, Vec<(f64, f64)>)> = [("get", &tally.gets), ("set", &tally.sets)]
        .into_iter()
        .filter(|(_, latencies)| !latencies.is_empty())
        .map(|(name, latencies)| (name, curve(latencies)))
        .collect();
    draw(&curves).map_err(|error| anyhow!("drawing a plot: {error}"))
}

/// Nines and ms, as far as there are requests.
fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    let nines_max = (latencies.len() as f64).log10().min(NINES_MAX);
    let points = (nines_max * f64::from(POINTS_PER_NINE)) as u32;
    let point = |i: u32| {
        let nines = f64::from(i) / f64::from(POINTS_PER_NINE);
        let quantile = 1.0 - 10_f64.powf(-nines);
        (nines, latencies.value_at_quantile(quantile) as f64 / 1e6)
    };
    (0..=points).map(point).collect()
}

fn draw(curves: &[(&str, Vec<(f64, f64)>)]) -> Result<String, Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let nines = points().map(|point| point.0).fold(1.0, f64::max);
    let least = points().map(|point| point.1).fold(f64::MAX, f64::min).clamp(1e-4, 1e5);
    let most = points().map(|point| point.1).fold(2.0 * least, f64::max);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE_PIXELS).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..nines, (least..most * 1.1).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(NINES_MAX as usize + 1)
            .x_label_formatter(&|nines| percentile(*nines))
            .x_desc("percentile of requests")
            .y_desc("latency (ms)")
            .axis_desc_style(("sans-serif", 15))
            .label_style(("sans-serif", 13))
            .draw()?;
        for (i, (name, points)) in curves.iter().enumerate() {
            let style = Palette99::pick(i).stroke_width(2);
            let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), style.filled()))?;
            drawn.label(*name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// 0, 90, 99, 99.9 ...
fn percentile(nines: f64) -> String {
    let decimals = (nines.ceil() as usize).saturating_sub(2);
    format!("{:.decimals$}", 100.0 * (1.0 - 10_f64.powf(-nines)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_request_has_its_curve() {
        let mut tally = Tally::default();
        assert!(percentiles(&tally).expect("an empty picture").contains("</svg>"));
        (1..100_000).for_each(|i| tally.gets.saturating_record(i * 100));
        let one = percentiles(&tally).expect("a picture");
        (1..100).for_each(|i| tally.sets.saturating_record(i * 100));
        let two = percentiles(&tally).expect("a picture");
        let curves = |svg: &str| svg.lines().filter(|line| line.contains("stroke-width=\"2\"")).count() / 2;
        assert_eq!((curves(&one), curves(&two)), (1, 2));
        assert!(one.contains("99.99"), "{one}");
    }

    #[test]
    fn a_curve_ends_with_the_requests() {
        let mut tally = Tally::default();
        (1..=1000).for_each(|i| tally.gets.saturating_record(i * 1_000_000));
        let curve = curve(&tally.gets);
        assert_eq!(curve.len(), 3 * POINTS_PER_NINE as usize + 1);
        let (nines, last_ms) = curve[curve.len() - 1];
        assert!((nines - 3.0).abs() < 1e-9 && (last_ms - 999.0).abs() < 2.0, "{last_ms}");
        assert_eq!(percentile(3.0), "99.9");
        assert_eq!(percentile(1.0), "90");
    }
}
