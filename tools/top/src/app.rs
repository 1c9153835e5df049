//! What is shown and what keys do: the state between a sample and the screen. No clock, no terminal, no socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::rates::Rates;
use crate::report::printable;
use crate::sample::Sample;
use crate::sampler::News;

/// The most looks whose rate of requests is remembered: more than a wide screen shows.
const HISTORY_MAX: usize = 256;
/// Rows that a page is scrolled by.
const PAGE_ROWS: usize = 10;
/// Ways to sort a pane; see `panels`.
const ORDERS: usize = 3;

/// What is shown below the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// Something of each.
    Overview,
    /// Rates and latency by class of command.
    Commands,
    /// What each shard does.
    Shards,
    /// Memory by size class.
    Memory,
    /// Hot keys.
    Keys,
    /// The slow log.
    Slow,
}

impl Pane {
    /// All, in the order of the screen, with their names.
    pub const ALL: [(Pane, &'static str); 6] = [
        (Pane::Overview, "Overview"),
        (Pane::Commands, "Commands"),
        (Pane::Shards, "Shards"),
        (Pane::Memory, "Memory"),
        (Pane::Keys, "Hot keys"),
        (Pane::Slow, "Slow"),
    ];

    /// The pane so many places to the right, in a circle.
    fn after(self, places: usize) -> Pane {
        let here = Pane::ALL.iter().position(|(pane, _)| *pane == self).unwrap_or_default();
        Pane::ALL.get((here + places) % Pane::ALL.len()).map_or(self, |(pane, _)| *pane)
    }
}

/// Why there is nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence.
    pub sentence: String,
    /// When it began.
    pub since: Instant,
}

/// See the module comment.
pub struct App {
    /// Whom it is about, printable.
    pub server: String,
    /// From one look to the next.
    pub interval: Duration,
    /// The latest sample, and what happened since the one before.
    pub latest: Option<(Sample, Rates)>,
    /// Requests a second, the latest last; at most [`HISTORY_MAX`].
    pub history: VecDeque<u64>,
    /// Set while the server does not answer; what is shown is from before then.
    pub trouble: Option<Trouble>,
    /// What is shown.
    pub pane: Pane,
    /// The first row of it.
    pub scroll: usize,
    /// How it is sorted, below [`ORDERS`].
    pub order: usize,
    /// Nothing new is taken.
    pub is_paused: bool,
    /// The list of keys is shown.
    pub shows_help: bool,
    /// It is over.
    pub has_ended: bool,
}

impl App {
    /// About this server, before the first sample.
    pub fn new(server: String, interval: Duration) -> App {
        App {
            server: printable(server.as_bytes()),
            interval,
            latest: None,
            history: VecDeque::new(),
            trouble: None,
            pane: Pane::Overview,
            scroll: 0,
            order: 0,
            is_paused: false,
            shows_help: false,
            has_ended: false,
        }
    }

    /// Takes what a look has found, now.
    pub fn hear(&mut self, news: News, now: Instant) {
        match news {
            Ok(sample) => {
                let rates = Rates::between(self.latest.as_ref().map(|(old, _)| old), &sample);
                if let Some(requests_per_s) = rates.requests_per_s {
                    if self.history.len() == HISTORY_MAX {
                        self.history.pop_front();
                    }
                    self.history.push_back(requests_per_s.round() as u64);
                }
                self.trouble = None;
                self.latest = Some((sample, rates));
            }
            Err(sentence) => {
                let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
                self.trouble = Some(Trouble { sentence, since });
            }
        }
    }

    /// Does what a key asks for.
    pub fn press(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => self.has_ended = true,
            KeyCode::Char('q') => self.has_ended = true,
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Esc => self.shows_help = false,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => self.order = (self.order + 1) % ORDERS,
            KeyCode::Tab | KeyCode::Right => self.show(self.pane.after(1)),
            KeyCode::BackTab | KeyCode::Left => self.show(self.pane.after(Pane::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='6') => {
                let place = digit.to_digit(10).unwrap_or(1) as usize - 1;
                self.show(Pane::Overview.after(place));
            }
            KeyCode::Down => self.scroll(self.scroll.saturating_add(1)),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll(self.scroll.saturating_add(PAGE_ROWS)),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE_ROWS),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
    }

    fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.scroll = 0;
    }

    /// No further than the last row, so that the way back is not longer than the way there.
    fn scroll(&mut self, row: usize) {
        let Some((sample, _)) = &self.latest else { return };
        let rows = match self.pane {
            Pane::Overview | Pane::Commands => 1,
            Pane::Shards => sample.shards.as_ref().map_or(0, Vec::len),
            Pane::Memory => sample.classes.as_ref().map_or(0, Vec::len),
            Pane::Keys => sample.hot_keys.as_ref().map_or(0, Vec::len),
            Pane::Slow => sample.slow.as_ref().map_or(0, Vec::len),
        };
        self.scroll = row.min(rows.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::{RINGCACHED, sample};

    fn app() -> App {
        App::new("a:1".to_string(), Duration::from_secs(1))
    }

    fn press(app: &mut App, codes: &[KeyCode]) {
        codes.iter().for_each(|code| app.press(KeyEvent::from(*code)));
    }

    #[test]
    fn keys_choose_panes_in_a_circle() {
        let mut app = app();
        press(&mut app, &[KeyCode::Tab, KeyCode::Right]);
        assert_eq!(app.pane, Pane::Shards);
        press(&mut app, &[KeyCode::Left, KeyCode::BackTab, KeyCode::Left]);
        assert_eq!(app.pane, Pane::Slow);
        press(&mut app, &[KeyCode::Tab]);
        assert_eq!(app.pane, Pane::Overview);
        press(&mut app, &[KeyCode::Char('4')]);
        assert_eq!(app.pane, Pane::Memory);
    }

    #[test]
    fn keys_scroll_within_the_rows() {
        let mut app = app();
        press(&mut app, &[KeyCode::Char('3'), KeyCode::PageDown]);
        assert_eq!(app.scroll, 0, "there are no rows");
        app.hear(Ok(sample(Instant::now(), &RINGCACHED)), Instant::now());
        press(&mut app, &[KeyCode::PageDown, KeyCode::Down]);
        assert_eq!(app.scroll, 1, "the second of two shards");
        press(&mut app, &[KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Tab]);
        assert_eq!(app.scroll, 0, "another pane begins at its beginning");
    }

    #[test]
    fn keys_pause_explain_sort_and_end() {
        let mut app = app();
        press(&mut app, &[KeyCode::Char('p'), KeyCode::Char('?'), KeyCode::Char('s')]);
        assert!(app.is_paused && app.shows_help && app.order == 1);
        press(&mut app, &[KeyCode::Char(' '), KeyCode::Esc, KeyCode::Char('s'), KeyCode::Char('s')]);
        assert!(!app.is_paused && !app.shows_help && app.order == 0 && !app.has_ended);
        app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(app.has_ended);
    }

    #[test]
    fn trouble_lasts_until_the_next_sample() {
        let mut app = app();
        let since = Instant::now();
        app.hear(Err("first".to_string()), since);
        app.hear(Err("second".to_string()), since + Duration::from_secs(5));
        assert_eq!(app.trouble, Some(Trouble { sentence: "second".to_string(), since }));
        app.hear(Ok(sample(Instant::now(), &RINGCACHED)), Instant::now());
        assert_eq!(app.trouble, None);
    }

    #[test]
    fn history_is_bounded() {
        let mut app = app();
        let start = Instant::now();
        for i in 0..=HISTORY_MAX as u64 + 5 {
            app.hear(Ok(sample(start + Duration::from_secs(i), &RINGCACHED)), start);
        }
        assert_eq!(app.history.len(), HISTORY_MAX);
    }
}
