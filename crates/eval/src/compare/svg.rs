//! Plots as SVG: scores as points with bars of 95 %, one line for each task, one colour for each
//! run. Colours come from the style of the page, so that they follow its scheme.

use std::fmt::Write;

use super::comparison::ScoreCell;
use super::html::escaped;

const LABEL_WIDTH: f64 = 250.0;
/// Characters that surely fit into this width.
const LABEL_CHARS: usize = 36;
const PLOT_WIDTH: f64 = 520.0;
const VALUE_WIDTH: f64 = 70.0;
const RUN_HEIGHT: f64 = 14.0;
const GAP: f64 = 10.0;
const TOP: f64 = 8.0;
/// From here on the axis stands above the plot, too.
const LONG: usize = 16;
const AXIS_HEIGHT: f64 = 26.0;
/// Standard errors on each side of a mean that cover 95 %.
const NORMAL_95: f64 = 1.96;

/// Runs that have a colour of their own; further ones begin again.
pub(super) const COLOURS: usize = 6;

/// What is drawn beside one name.
pub(super) struct Line<'a> {
    /// The task.
    pub name: &'a str,
    /// Its metric, if it is worth a word.
    pub metric: &'a str,
    /// One score for each run.
    pub cells: &'a [Option<ScoreCell>],
}

/// A plot of lines.
pub(super) fn plot(lines: &[Line], label: &str) -> String {
    let runs = lines.first().map_or(0, |line| line.cells.len());
    let row_height = RUN_HEIGHT * runs as f64 + GAP;
    let plot_height = row_height * lines.len() as f64;
    let plot_top = if lines.len() > LONG { TOP + AXIS_HEIGHT } else { TOP };
    let width = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH;
    let height = plot_top + plot_height + AXIS_HEIGHT;
    let (low, high) = range(lines);
    let x = |value: f64| LABEL_WIDTH + (value - low) / (high - low) * PLOT_WIDTH;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">",
        escaped(label)
    );
    for i in 0..=5 {
        let value = low + (high - low) * f64::from(i) / 5.0;
        let (at, bottom) = (x(value), plot_top + plot_height);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{plot_top}\" \
             y2=\"{bottom:.1}\"/>"
        );
        let above = (plot_top > TOP).then_some(plot_top - 8.0);
        for y in above.into_iter().chain([bottom + 16.0]) {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{at:.1}\" y=\"{y:.1}\">{:.0} %</text>",
                value * 100.0
            );
        }
    }
    for (i, line) in lines.iter().enumerate() {
        let top = plot_top + row_height * i as f64;
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{} <tspan>{}</tspan></text>",
            LABEL_WIDTH - 10.0,
            top + (row_height - GAP) / 2.0 + GAP / 2.0 + 4.0,
            escaped(&clipped(line.name, line.metric)),
            escaped(line.metric)
        );
        for (run, cell) in line.cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let y = top + GAP / 2.0 + RUN_HEIGHT * (run as f64 + 0.5);
            let reach = cell.stderr.map_or(0.0, |stderr| stderr * NORMAL_95);
            let (from, to) = (x((cell.value - reach).max(low)), x((cell.value + reach).min(high)));
            let (at, colour) = (x(cell.value), run % COLOURS);
            let _ = write!(
                svg,
                "<g class=\"run{colour}\"><line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" \
                 y2=\"{y:.1}\"/><circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4\"/></g>\
                 <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{:.1}</text>",
                LABEL_WIDTH + PLOT_WIDTH + 12.0,
                y + 4.0,
                cell.value * 100.0
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Steps of a tenth around all values and bars.
fn range(lines: &[Line]) -> (f64, f64) {
    let (mut low, mut high) = (1.0f64, 0.0f64);
    for cell in lines.iter().flat_map(|line| line.cells.iter().flatten()) {
        let reach = cell.stderr.unwrap_or(0.0) * NORMAL_95;
        low = low.min(cell.value - reach);
        high = high.max(cell.value + reach);
    }
    let low = ((low * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let high = ((high * 10.0).ceil() / 10.0).clamp(0.1, 1.0);
    if high > low { (low, high) } else { (low, low + 0.1) }
}

/// A name that fits beside the plot together with its metric.
fn clipped(name: &str, metric: &str) -> String {
    let room = LABEL_CHARS.saturating_sub(metric.chars().count()).max(8);
    let start: String = name.chars().take(room - 1).collect();
    if name.chars().count() > room { start + "…" } else { name.to_string() }
}
