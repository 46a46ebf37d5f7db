//! Plots, as SVG.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::failed;
use super::measure::Measured;
use super::report::{Figures, Report};
use super::sample::{LatencySummary, Sample, Tick};
use crate::error::CliError;

const SIZE: (u32, u32) = (800, 480);
const COLORS: [RGBColor; 4] = [BLUE, RED, GREEN, MAGENTA];

/// A line with a name.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// What the axes are called.
struct Axes {
    title: String,
    x: &'static str,
    y: &'static str,
}

/// Draws whatever a report has.
pub(super) fn draw(folder: &Path, report: &Report) -> Result<(), CliError> {
    fs::create_dir_all(folder).map_err(|error| CliError::usage(format!("--plots: {}: {error}", folder.display())))?;
    let latency = |lines: &[Line]| {
        let axes = Axes {
            title: format!("{}: latency", report.workload),
            x: "nines of calls (1 = 90 %, 2 = 99 %, 3 = 99.9 %)",
            y: "µs, log₁₀",
        };
        chart(&folder.join(format!("{}-latency.svg", report.workload)), &axes, lines)
    };
    if let Figures::RevokeDeny(found) = &report.figures {
        let lines = found.curves().map(|(name, summary)| line(name.to_owned(), summary));
        latency(&lines)?;
    }
    if let Figures::Soak(found) = &report.figures {
        return soak(&folder.join("soak.svg"), &found.sample);
    }
    let Some(measured) = report.measured() else {
        return Ok(());
    };
    latency(&latency_lines(measured))?;
    if measured.len() > 1 {
        let axes = Axes {
            title: format!("{}: throughput", report.workload),
            x: "calls in flight",
            y: "calls/s",
        };
        let path = folder.join(format!("{}-throughput.svg", report.workload));
        chart(&path, &axes, &throughput_lines(measured))?;
    }
    Ok(())
}

/// The last round of ours and of the bare service, at the highest concurrency.
fn latency_lines(measured: &[Measured]) -> Vec<Line> {
    let Some(round) = measured.last().and_then(|measured| measured.rounds.last()) else {
        return Vec::new();
    };
    let bare = round
        .bare
        .as_ref()
        .map(|bare| line("bare service".to_owned(), &bare.latency_us));
    let ours = line("tokenbind".to_owned(), &round.ours.latency_us);
    std::iter::once(ours).chain(bare).collect()
}

fn line(name: String, summary: &LatencySummary) -> Line {
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-5).log10();
    let points = summary.curve.iter();
    let points = points.map(|(percentile, latency)| (nines(*percentile), latency.max(1.0).log10()));
    Line {
        name,
        points: points.collect(),
    }
}

fn throughput_lines(measured: &[Measured]) -> Vec<Line> {
    let points = |of: fn(&Measured) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = measured.iter();
        points
            .filter_map(|measured| Some((f64::from(u32::try_from(measured.concurrency).ok()?), of(measured)?)))
            .collect()
    };
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
    };
    let bare = points(|measured| measured.median.bare_per_second);
    let ours = points(|measured| Some(measured.median.per_second));
    [line("tokenbind", ours), line("bare service", bare)]
        .into_iter()
        .filter(|line| !line.points.is_empty())
        .collect()
}

/// Throughput above, memory below, over the same time.
fn soak(path: &Path, sample: &Sample) -> Result<(), CliError> {
    let line = |name: &str, of: fn(&Tick) -> Option<f64>| Line {
        name: name.to_owned(),
        points: sample
            .timeline
            .iter()
            .filter_map(|tick| Some((tick.seconds, of(tick)?)))
            .collect(),
    };
    let axes = |title: &str, y| Axes {
        title: title.to_owned(),
        x: "seconds",
        y,
    };
    let root = SVGBackend::new(path, (SIZE.0, SIZE.1 * 2)).into_drawing_area();
    let (above, below) = root.split_vertically(SIZE.1);
    let calls = [line("validator", |tick| Some(tick.per_second))];
    panel(&above, &axes("soak: throughput", "calls/s"), &calls)?;
    let memory = [
        line("validator", |tick| mebibytes(tick.resident_bytes)),
        line("Redis", |tick| mebibytes(tick.redis_resident_bytes)),
    ];
    panel(&below, &axes("soak: resident memory", "MiB"), &memory)?;
    root.present().map_err(failed)
}

#[expect(clippy::cast_precision_loss, reason = "a machine's memory is far below 2^52")]
fn mebibytes(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))
}

fn chart(path: &Path, axes: &Axes, lines: &[Line]) -> Result<(), CliError> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    panel(&root, axes, lines)?;
    root.present().map_err(failed)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn panel(area: &Area<'_>, axes: &Axes, lines: &[Line]) -> Result<(), CliError> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max) * 1.05;
    area.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(area)
        .caption(&axes.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..most(|point| point.0), 0.0..most(|point| point.1))
        .map_err(failed)?;
    let mesh = chart.configure_mesh().x_desc(axes.x).y_desc(axes.y).draw();
    mesh.map_err(failed)?;
    let drawn = lines.iter().filter(|line| !line.points.is_empty());
    for (line, color) in drawn.zip(COLORS.iter().cycle()) {
        let series = chart.draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)));
        let key = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2));
        series.map_err(failed)?.label(&line.name).legend(key);
    }
    let labels = chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .draw();
    labels.map_err(failed)
}
