//! A table with a title. Columns stand in the order of their weight: where the room is narrow the last ones are left out, whole.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Widget as _, Wrap};

/// Between two columns.
const GAP: u16 = 1;
/// The lines of the title and of the names of columns.
const HEAD_LINES: u16 = 2;

/// How a column is shown.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Above it.
    pub name: &'static str,
    /// Places; text that has the last column takes what is left of the line.
    pub width: u16,
    /// From the left, and not from the right as numbers are.
    pub is_text: bool,
}

/// A column of numbers.
pub const fn number(name: &'static str, width: u16) -> Column {
    Column { name, width, is_text: false }
}

/// A column of text.
pub const fn text(name: &'static str, width: u16) -> Column {
    Column { name, width, is_text: true }
}

/// See the module comment.
pub struct Table {
    /// What it is.
    pub title: String,
    /// Its columns.
    pub columns: &'static [Column],
    /// A text for each column.
    pub rows: Vec<Vec<String>>,
    /// What is said where there are no rows.
    pub note: String,
}

impl Table {
    /// Draws the rows from `first` on.
    pub fn draw(&self, area: Rect, out: &mut Buffer, first: usize) {
        let room = usize::from(area.height.saturating_sub(HEAD_LINES));
        let last = self.rows.len().min(first + room);
        let title = match self.rows.len() {
            rows if rows > room => format!(" {} ({}-{last} of {rows})", self.title, first + 1),
            _ => format!(" {}", self.title),
        };
        let (title_area, below) = split(area);
        let bar = Style::new().add_modifier(Modifier::REVERSED);
        Paragraph::new(title).style(bar).render(title_area, out);
        if self.rows.is_empty() {
            let note = Paragraph::new(self.note.as_str()).wrap(Wrap { trim: true });
            note.render(Rect { x: below.x + 1, width: below.width.saturating_sub(1), ..below }, out);
            return;
        }
        let columns = fitting(self.columns, area.width);
        let widths = columns.iter().enumerate().map(|(i, column)| {
            let is_last = i + 1 == self.columns.len();
            if column.is_text && is_last {
                Constraint::Min(column.width)
            } else {
                Constraint::Length(column.width)
            }
        });
        let cell = |(column, text): (&Column, &str)| {
            let line = Line::from(text.to_string());
            Cell::from(if column.is_text { line } else { line.right_aligned() })
        };
        let rows = self.rows.iter().skip(first).take(room);
        let rows = rows.map(|row| Row::new(columns.iter().zip(row.iter().map(String::as_str)).map(cell)));
        let names = columns.iter().map(|column| (column, column.name)).map(cell);
        ratatui::widgets::Table::new(rows, widths)
            .header(Row::new(names).style(Style::new().add_modifier(Modifier::BOLD)))
            .column_spacing(GAP)
            .render(below, out);
    }
}

/// The first line and the others.
fn split(area: Rect) -> (Rect, Rect) {
    let title_height = area.height.min(1);
    let title = Rect { height: title_height, ..area };
    (title, Rect { y: area.y + title_height, height: area.height - title_height, ..area })
}

/// As many of the columns as there is room for.
fn fitting(columns: &[Column], width: u16) -> &[Column] {
    let mut used = 0;
    let fit = columns.iter().take_while(|column| {
        used += column.width + if used == 0 { 0 } else { GAP };
        used <= width
    });
    columns.get(..fit.count()).unwrap_or(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::lines;

    const COLUMNS: &[Column] = &[number("id", 3), number("load", 6), text("key", 5)];

    fn drawn(rows: usize, width: u16, height: u16, first: usize) -> Vec<String> {
        let row = |i: usize| vec![i.to_string(), format!("{i}.5"), format!("key:{i}:long")];
        let table = Table {
            title: "keys".into(),
            columns: COLUMNS,
            rows: (0..rows).map(row).collect(),
            note: "none yet".into(),
        };
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        table.draw(area, &mut buffer, first);
        lines(&buffer)
    }

    #[test]
    fn text_at_the_end_takes_what_is_left() {
        assert_eq!(drawn(1, 22, 3, 0), [" keys", " id   load key", "  0    0.5 key:0:long"]);
        assert_eq!(drawn(1, 16, 3, 0)[2], "  0    0.5 key:0");
    }

    #[test]
    fn columns_without_room_are_left_out() {
        assert_eq!(drawn(1, 15, 3, 0), [" keys", " id   load", "  0    0.5"]);
        assert_eq!(drawn(1, 9, 3, 0)[2], "  0");
        assert_eq!(drawn(1, 2, 3, 0)[2], "");
    }

    #[test]
    fn rows_without_room_are_told_of() {
        assert_eq!(
            drawn(9, 22, 4, 3),
            [" keys (4-5 of 9)", " id   load key", "  3    3.5 key:3:long", "  4    4.5 key:4:long"]
        );
        assert_eq!(drawn(9, 22, 4, 8), [" keys (9-9 of 9)", " id   load key", "  8    8.5 key:8:long", ""]);
    }

    #[test]
    fn no_rows_are_said() {
        assert_eq!(drawn(0, 22, 3, 0), [" keys", " none yet", ""]);
    }

    #[test]
    fn no_room_does_no_harm() {
        for (width, height) in [(0, 0), (1, 1), (22, 1), (0, 5), (5, 0)] {
            drawn(3, width, height, 2);
        }
    }
}
