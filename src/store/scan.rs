//! Walking over all items, a few homes of the table at a time.
//!
//! The cursor is a hash. The table keeps its entries in the order of the 32 bits of hash it stores, home by
//! home, and growth keeps that order too; so everything before the cursor has been visited and nothing behind
//! it, whatever the table did between two steps, and moved or rewritten items do not matter. (Cursors of
//! chained tables need tricks for that, such as the reversed bits of Redis's SCAN.)

use super::read::ItemView;
use super::{Found, Store};

impl Store {
    /// Calls `each` for the live items of up to `homes` homes of the table (seven each, about), beginning at
    /// the cursor `from`; 0 is the start. Returns the cursor to go on with, or None when all have been
    /// visited. When `each` returns false the walk ends with that home, whose other
    /// items (a few, 128 at most) are still visited.
    ///
    /// An item that is there from the first step to the last is visited once, one that comes or goes
    /// meanwhile at most once. Nothing is marked or freed.
    pub fn scan(
        &mut self,
        from: u32,
        homes: usize,
        now_s: u32,
        each: &mut dyn FnMut(ItemView<'_>) -> bool,
    ) -> Option<u32> {
        self.tick(now_s);
        let (mut cursor, mut go_on) = (from, true);
        for _ in 0..homes {
            cursor = self.table.visit_home(&self.slab.arena, cursor, |loc| {
                if self.death_of(self.slab.header(loc)).is_none() {
                    go_on &= each(self.item(Found { loc }));
                }
            })?;
            if !go_on {
                break;
            }
        }
        Some(cursor)
    }
}
