//! Where everything stands. Drawn into a buffer of cells: the terminal's, a test's, or the one that `--once` prints.

use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Sparkline, Tabs, Widget as _, Wrap};

use crate::app::{App, Pane};
use crate::panels;
use crate::rates::{Rates, ratio};
use crate::sample::Sample;
use crate::units::{bar, bytes, count, duration, or_absent, percent, rate};

/// Columns and lines of the frame that `--once` prints.
const FRAME: (u16, u16) = (120, 40);
/// The least that anything can be read on.
const LEAST: (u16, u16) = (40, 12);
/// Lines of [`draw_totals`].
const TOTALS_LINES: u16 = 4;
/// Lines of the tables of commands: title, names, and the eight classes.
const COMMANDS_LINES: u16 = 10;
/// Lines below the totals from which on the overview has memory and history too.
const TALL_LINES: u16 = 26;
/// Places of the bar of memory.
const MEMORY_BAR_WIDTH: usize = 24;

const HELP: &[&str] = &[
    "Tab, Right     next pane              Left    the one before",
    "1 to 6         a pane by its number",
    "Up, Down, PgUp, PgDn, Home            rows",
    "s              sort shards (number, requests, connections)",
    "               and memory (size, bytes, evictions)",
    "p              pause, and go on",
    "?              this                   q       quit",
    "",
    "Rates are those from one look to the next; latency is that since",
    "the server's start or `stats reset`. A class in brackets is",
    "counted in others too. hops: requests for keys of other shards.",
    "-              not known, or nothing happened",
];

/// Draws everything.
pub fn draw(app: &App, area: Rect, out: &mut Buffer, now: Instant) {
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let sentence = format!("too small: {}x{} at least", LEAST.0, LEAST.1);
        return Paragraph::new(sentence).wrap(Wrap { trim: true }).render(area, out);
    }
    let lines = [1, 1, TOTALS_LINES].map(Constraint::Length);
    let [head, tabs, totals, body, foot] =
        area.layout(&Layout::vertical(lines.into_iter().chain([Constraint::Fill(1), Constraint::Length(1)])));
    draw_head(app, head, out);
    let selected = Pane::ALL.iter().position(|(pane, _)| *pane == app.pane);
    let names = Pane::ALL.iter().enumerate().map(|(i, (_, name))| format!("{} {name}", i + 1));
    Tabs::new(names).select(selected).divider(" ").render(tabs, out);
    match &app.latest {
        Some((sample, rates)) => {
            draw_totals(sample, rates, totals, out);
            draw_pane(app, sample, rates, body, out);
            if app.trouble.is_some() {
                out.set_style(totals.union(body), Style::new().add_modifier(Modifier::DIM));
            }
        }
        None => Paragraph::new(" nothing seen yet").render(body, out),
    }
    draw_foot(app, foot, out, now);
    if app.shows_help {
        draw_help(body, out);
    }
}

/// The frame of `--once`.
pub fn text(app: &App) -> String {
    let area = Rect::new(0, 0, FRAME.0, FRAME.1);
    let mut buffer = Buffer::empty(area);
    draw(app, area, &mut buffer, Instant::now());
    let mut text = lines(&buffer).join("\n");
    text.push('\n');
    text
}

/// The text of a buffer, without spaces at the ends of lines.
pub fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let line = |cells: &[ratatui::buffer::Cell]| {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_string()
    };
    buffer.content.chunks(width).map(line).collect()
}

/// Which server this is.
fn draw_head(app: &App, area: Rect, out: &mut Buffer) {
    let server = app.latest.as_ref().map(|(sample, _)| &sample.server);
    let version = server.and_then(|server| server.version.clone());
    let uptime_s = server.and_then(|server| server.uptime_s);
    let facts = format!(
        " {}  version {}  up {}  every {} s",
        app.server,
        or_absent(version, |version| version),
        or_absent(uptime_s, duration),
        app.interval.as_secs_f64()
    );
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut spans = vec![Span::styled(facts, bold)];
    if app.is_paused {
        spans.push(Span::styled("  PAUSED", bold.fg(Color::Yellow)));
    }
    Line::from(spans).render(area, out);
}

/// The server as a whole.
fn draw_totals(sample: &Sample, rates: &Rates, area: Rect, out: &mut Buffer) {
    let server = &sample.server;
    let get = sample.commands.first();
    let hits_in_all = get.and_then(|get| ratio(get.hits, get.total));
    let bytes_per_s = |per_s: Option<f64>| or_absent(per_s, |per_s| format!("{}/s", bytes(per_s)));
    let per_s = |number: Option<f64>| or_absent(number, |number| format!("{}/s", rate(number)));
    let bytes_of = |number: Option<u64>| or_absent(number, |number| bytes(number as f64));
    let filled = ratio(server.bytes, server.limit_bytes);
    let lines = [
        format!(
            " requests {}   hits {} (in all {})   connections {} of {}",
            per_s(rates.requests_per_s),
            or_absent(rates.hit_ratio, percent),
            or_absent(hits_in_all, percent),
            or_absent(server.connections, count),
            or_absent(server.connections_max, count),
        ),
        format!(
            " in {}   out {}   new connections {}   cores busy {}",
            bytes_per_s(rates.read_bytes_per_s),
            bytes_per_s(rates.written_bytes_per_s),
            per_s(rates.connections_per_s),
            or_absent(rates.cores, |cores| format!("{cores:.2}")),
        ),
        format!(
            " memory [{}] {} of {} ({})",
            bar(filled.unwrap_or(0.0), MEMORY_BAR_WIDTH),
            bytes_of(server.bytes),
            bytes_of(server.limit_bytes),
            or_absent(filled, percent),
        ),
        format!(
            " items {}   evicted {}   expired {}",
            or_absent(server.items, count),
            per_s(rates.evictions_per_s),
            per_s(rates.expired_per_s),
        ),
    ];
    Paragraph::new(lines.map(Line::from).to_vec()).render(area, out);
}

/// What is below the totals.
fn draw_pane(app: &App, sample: &Sample, rates: &Rates, area: Rect, out: &mut Buffer) {
    let table = match app.pane {
        Pane::Overview => return draw_overview(app, sample, rates, area, out),
        Pane::Commands => {
            let [above, below] = area.layout(&Layout::vertical([
                Constraint::Length(COMMANDS_LINES.min(area.height / 2)),
                Constraint::Fill(1),
            ]));
            panels::commands(sample, rates).draw(above, out, 0);
            return panels::latency(sample).draw(below, out, 0);
        }
        Pane::Shards => panels::shards(sample, rates, app.order),
        Pane::Memory => panels::memory(sample, rates, app.order),
        Pane::Keys => panels::hot_keys(sample),
        Pane::Slow => panels::slow(sample),
    };
    // There may be fewer rows than when it was scrolled.
    table.draw(area, out, app.scroll.min(table.rows.len().saturating_sub(1)));
}

/// Something of each: two columns of tables.
fn draw_overview(app: &App, sample: &Sample, rates: &Rates, area: Rect, out: &mut Buffer) {
    let is_tall = area.height >= TALL_LINES;
    let tall_row = Constraint::Fill(u16::from(is_tall));
    let rows = [Constraint::Length(COMMANDS_LINES), Constraint::Fill(1), tall_row];
    let columns = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1);
    let [first, second, third] = area.layout(&Layout::vertical(rows));
    let [left, right] = first.layout(&columns);
    panels::commands(sample, rates).draw(left, out, 0);
    panels::latency(sample).draw(right, out, 0);
    let [left, right] = second.layout(&columns);
    panels::shards(sample, rates, app.order).draw(left, out, 0);
    panels::hot_keys(sample).draw(right, out, 0);
    if is_tall {
        let [left, right] = third.layout(&columns);
        // There is not much room: the largest.
        panels::memory(sample, rates, app.order.max(1)).draw(left, out, 0);
        draw_history(app, right, out);
    }
}

/// Requests a second, look by look.
fn draw_history(app: &App, area: Rect, out: &mut Buffer) {
    let [title, below] = area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    let shown = app.history.len().min(usize::from(below.width));
    let most = app.history.iter().rev().take(shown).max().copied().unwrap_or_default();
    let words = format!(" requests a second, look by look, most {}", count(most));
    Paragraph::new(words).style(Style::new().add_modifier(Modifier::REVERSED)).render(title, out);
    let data = app.history.iter().skip(app.history.len() - shown).copied();
    Sparkline::default().data(data.collect::<Vec<u64>>()).render(below, out);
}

/// What is wrong, or what keys there are.
fn draw_foot(app: &App, area: Rect, out: &mut Buffer, now: Instant) {
    match &app.trouble {
        Some(trouble) => {
            let seconds = now.saturating_duration_since(trouble.since).as_secs();
            let sentence = format!(" LOST for {}: {}; trying again", duration(seconds), trouble.sentence);
            let red = Style::new().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD);
            Paragraph::new(sentence).style(red).render(area, out);
        }
        None => Paragraph::new(" q quit  Tab panes  s sort  p pause  ? help").render(area, out),
    }
}

fn draw_help(area: Rect, out: &mut Buffer) {
    let area = Rect { height: area.height.min(HELP.len() as u16 + 1), ..area };
    Clear.render(area, out);
    let lines = HELP.iter().map(|line| Line::from(format!(" {line}")));
    Paragraph::new(lines.collect::<Vec<_>>()).render(area, out);
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
