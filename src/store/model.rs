//! The store against a plain map, under long random sequences of every operation in a tiny arena, so that
//! evictions, drains, table growth and chains happen all the time. Values are compared byte for byte; the
//! invariants are checked every few steps.

use super::tests::oracle::{self, Entry, ITEM_SIZE_MAX, KEY_LEN_MAX, Marks};
use super::*;
use std::collections::HashMap;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to choose operations.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

struct PendingUpload {
    upload: Upload,
    key: Vec<u8>,
    write: Write,
    value: Vec<u8>,
}

/// What a run is like.
#[derive(Clone, Copy)]
struct Scene {
    evict: bool,
    limit_bytes: usize,
    keys: u64,
    /// Of a hundred values, how many are longer than 300 bytes.
    long_pct: u64,
    /// One step in so many thousand is a flush.
    flush_in: u64,
    /// The limit changes all the time.
    elastic: bool,
    /// Steps from one check of the invariants to the next.
    check_every: usize,
}

/// A few hundred items, many of them chains, in a few pages.
const NARROW: Scene = Scene {
    evict: true,
    limit_bytes: 128 << 10,
    keys: 400,
    long_pct: 15,
    flush_in: 4,
    elastic: false,
    check_every: 64,
};

/// Thousands of small items, so that the table grows again and again.
const WIDE: Scene = Scene {
    evict: true,
    limit_bytes: 256 << 10,
    keys: 12_000,
    long_pct: 1,
    flush_in: 40,
    elastic: false,
    check_every: 1024,
};

struct Model {
    store: Store,
    scene: Scene,
    map: HashMap<Vec<u8>, Entry>,
    pins: Vec<(Pinned, Vec<u8>)>,
    uploads: Vec<PendingUpload>,
    random: Random,
    now_s: u32,
    flush_at_s: u32,
    version: u64,
    no_memory: u64,
    hits: u64,
    table_pages_max: usize,
    table_shrank: bool,
}

impl Model {
    fn new(seed: u64, scene: Scene) -> Model {
        let store = Store::new(&StoreConfig {
            limit_bytes: scene.limit_bytes,
            limit_max_bytes: 4 * scene.limit_bytes,
            key_len_max: KEY_LEN_MAX,
            item_size_max: ITEM_SIZE_MAX,
            growth_factor: 1.25,
            min_item_bytes: 8,
            evict: scene.evict,
            cas: true,
            huge_pages: HugePages::Off,
            hasher: Hasher::with_seeds([seed, 2, 3, 4]),
        });
        Model {
            store: store.unwrap(),
            scene,
            map: HashMap::new(),
            pins: Vec::new(),
            uploads: Vec::new(),
            random: Random(seed),
            now_s: 2,
            flush_at_s: u32::MAX,
            version: 0,
            no_memory: 0,
            table_pages_max: 0,
            table_shrank: false,
            hits: 0,
        }
    }

    fn key(&mut self) -> Vec<u8> {
        let id = self.random.below(self.scene.keys);
        let mut key = format!("key-{id}").into_bytes();
        let more = if id % 40 == 7 { 240 + id * 37 % 3900 } else { id % 7 * (id % 5) * 5 };
        key.resize(key.len() + more as usize, b'.');
        key
    }

    /// A value that names its key and version all over.
    fn value(&mut self, key: &[u8]) -> Vec<u8> {
        self.version += 1;
        let len = match self.random.below(100) {
            dice if dice < self.scene.long_pct => match self.random.below(5) {
                0 => self.random.below(ITEM_SIZE_MAX as u64),
                _ => self.random.below(5000),
            },
            90.. => return self.random.below(2000).to_string().into_bytes(),
            _ => self.random.below(if self.scene.long_pct > 10 { 300 } else { 60 }),
        };
        let stamp = [key, &self.version.to_le_bytes()].concat();
        stamp.iter().copied().cycle().take(len as usize).collect()
    }

    fn expires_s(&mut self) -> u32 {
        match self.random.below(10) {
            0..6 => 0,
            6 => 1,
            _ => self.now_s + self.random.below(60) as u32,
        }
    }

    fn hashed<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.store.hasher.hash(bytes) }
    }

    fn is_live(&self, entry: &Entry) -> bool {
        entry.expires_s == 0 || entry.expires_s >= self.now_s
    }

    /// Brings the map up to what the store may have done by itself: flushed, expired or (if allowed) evicted
    /// this key.
    fn synchronise(&mut self, key: &[u8]) {
        if self.now_s >= self.flush_at_s {
            self.flush_at_s = u32::MAX;
            self.map.clear();
        }
        let Some(entry) = self.map.get(key) else { return };
        if !self.is_live(entry) {
            self.map.remove(key);
        } else if self.store.find(self.hashed(key)).is_none() {
            assert!(self.scene.evict && self.store.counters.evictions > 0, "a live item vanished");
            self.map.remove(key);
        }
    }

    fn step(&mut self) {
        if self.random.below(20) == 0 {
            self.now_s += if self.random.below(30) == 0 { 100 } else { self.random.below(3) as u32 };
        }
        let key = self.key();
        self.synchronise(&key);
        match self.random.below(1000) {
            0..280 => self.read(&key),
            280..600 => self.store_value(&key),
            600..650 => self.reserve(&key),
            650..700 => self.finish_upload(),
            700..760 => self.arith(&key),
            760..800 => self.delete(&key),
            800..840 => self.invalidate(&key),
            840..880 => self.touch(&key),
            880..900 => self.take_win(&key),
            900..930 => self.pin(&key),
            930..955 => self.release(),
            955..960 if self.scene.elastic => self.set_limit(),
            955..999 => _ = self.store.background(self.now_s, 1 + self.random.below(200) as usize),
            _ if self.random.below(self.scene.flush_in) == 0 => self.flush(),
            _ => {}
        }
        self.learn_cas(&key);
    }

    /// Learns the CAS number an operation chose, checks one it was given, and that what the map has is there,
    /// and the other way round.
    fn learn_cas(&mut self, key: &[u8]) {
        let found = self.store.look(self.hashed(key), self.now_s);
        match (found, self.map.get_mut(key)) {
            (Ok(found), Some(entry)) => {
                let cas = self.store.item(found).cas();
                assert_eq!(*entry.cas.get_or_insert(cas), cas);
            }
            (Err(_), Some(entry)) if entry.expires_s != 0 && entry.expires_s < self.now_s => {}
            (Err(_), Some(_)) => {
                assert!(self.scene.evict, "the item just stored is missing");
                self.map.remove(key);
            }
            (Ok(_), None) => panic!("an item nobody stored"),
            (Err(_), None) => {}
        }
    }

    fn marks(&self, found: Found) -> Marks {
        let item = self.store.item(found);
        Marks { stale: item.is_stale(), win_sent: item.win_sent(), binary_key: item.has_binary_key() }
    }

    fn read(&mut self, key: &[u8]) {
        let found = self.store.get(self.hashed(key), self.now_s);
        let Some(entry) = self.map.get(key) else {
            assert!(found.is_err(), "found what is gone");
            return;
        };
        let found = found.expect("a live item is missing");
        let item = self.store.item(found);
        let mut copy = vec![0; item.value_len()];
        assert_eq!(self.store.copy_value(found, &mut copy), entry.value.len());
        assert!(copy == entry.value, "torn or foreign value under {:?}", String::from_utf8_lossy(key));
        assert!(item.value().is_none_or(|value| value == entry.value));
        assert_eq!((item.key(), item.flags(), Some(item.cas())), (key, entry.flags, entry.cas));
        assert_eq!(self.marks(found), entry.marks);
        assert_eq!(
            (item.expires_s(), item.fetched(), item.last_access_s()),
            (entry.expires_s, true, self.now_s)
        );
        self.hits += 1;
    }

    fn write(&mut self, key: &[u8]) -> Write {
        let expires_s = self.expires_s();
        oracle::random_write(&mut self.random, self.map.get(key), expires_s)
    }

    /// Compares what came out with what must, and brings the map up to it.
    fn settle(
        &mut self,
        key: &[u8],
        write: &Write,
        got: Result<Found, Refusal>,
        expected: Result<Entry, Refusal>,
    ) {
        let extends = matches!(write.mode, Mode::Append | Mode::Prepend);
        let unlucky = extends && expected.is_ok() && got == Err(Refusal::NotStored);
        if got == Err(Refusal::NoMemory) || unlucky {
            self.no_memory += 1;
            if oracle::is_plain_set(write) {
                self.map.remove(key);
            }
            return;
        }
        match (got, expected) {
            (Ok(found), Ok(entry)) => {
                let item = self.store.item(found);
                assert_eq!((item.key(), item.value_len()), (key, entry.value.len()));
                self.map.insert(key.to_vec(), entry);
            }
            (Err(got), Err(expected)) => assert_eq!(got, expected, "{write:?}"),
            (got, expected) => panic!("{got:?} is not {expected:?}: {write:?}"),
        }
    }

    fn refused_too_large(&mut self, key: &[u8], write: &Write, got: Option<Refusal>) {
        assert_eq!(got, Some(Refusal::TooLarge));
        if oracle::is_plain_set(write) {
            self.map.remove(key);
        }
    }

    fn store_value(&mut self, key: &[u8]) {
        let (write, value) = (self.write(key), self.value(key));
        let got = self.store.set(self.hashed(key), &write, &value, self.now_s);
        if oracle::too_large(key, write.flags, value.len()) {
            return self.refused_too_large(key, &write, got.err());
        }
        let expected = oracle::written(key, self.map.get(key), &write, &value);
        self.settle(key, &write, got, expected);
    }

    fn reserve(&mut self, key: &[u8]) {
        if self.uploads.len() >= 3 {
            return;
        }
        let (write, value) = (self.write(key), self.value(key));
        let too_large = oracle::too_large(key, write.flags, value.len());
        match self.store.reserve(self.hashed(key), &write, value.len(), self.now_s) {
            Ok(mut upload) => {
                // As much of the first half as there is room for.
                upload.write(&value[..value.len() / 2]);
                self.uploads.push(PendingUpload { upload, key: key.to_vec(), write, value });
            }
            Err(why) if too_large => self.refused_too_large(key, &write, Some(why)),
            Err(why) => self.settle(key, &write, Err(why), Err(Refusal::NoMemory)),
        }
    }

    /// Completes the oldest upload through the raw form of its token, as a peer's thread would.
    fn finish_upload(&mut self) {
        if self.uploads.is_empty() {
            return;
        }
        let PendingUpload { upload, key, write, value } = self.uploads.remove(0);
        let raw = upload.into_raw();
        // SAFETY: the words come from `into_raw` just above.
        #[allow(unsafe_code)]
        let mut upload = unsafe { Upload::from_raw(raw) };
        if self.random.below(4) == 0 {
            return self.store.abandon(upload);
        }
        let rest = &value[value.len() - upload.remaining()..];
        let mut done = 0;
        while done < rest.len() {
            if upload.needs_room() {
                match self.store.grow(upload, self.hashed(&key), &write, self.now_s) {
                    Ok(grown) => upload = grown,
                    Err(why) => {
                        self.synchronise(&key);
                        return self.settle(&key, &write, Err(why), Err(Refusal::NoMemory));
                    }
                }
            }
            let region = upload.next_region();
            let len = region.len().min(rest.len() - done).min(1 + self.random.below(3000) as usize);
            region[..len].copy_from_slice(&rest[done..done + len]);
            upload.advance(len);
            done += len;
        }
        self.synchronise(&key);
        let expected = oracle::written(&key, self.map.get(&key), &write, &value);
        let got = self.store.commit(upload, &write, self.now_s);
        self.settle(&key, &write, got, expected);
        self.learn_cas(&key);
    }

    /// A number to compare with, now and then: the right one or another one.
    fn compare(&mut self, key: &[u8]) -> Option<u64> {
        let cas = self.map.get(key).and_then(|entry| entry.cas).unwrap_or(7);
        match self.random.below(6) {
            0 => Some(cas),
            1 => Some(cas.wrapping_add(1)),
            _ => None,
        }
    }

    fn arith(&mut self, key: &[u8]) {
        let change = Arithmetic {
            delta: self.random.below(1500),
            increment: self.random.below(2) == 0,
            compare: self.compare(key),
            cas: oracle::random_cas(&mut self.random),
            expires_s: (self.random.below(5) == 0).then(|| self.expires_s()),
        };
        let found = self.store.look(self.hashed(key), self.now_s);
        let chained = found.is_ok_and(|found| self.store.item(found).value().is_none());
        let expected = oracle::changed(self.map.get(key), &change, chained);
        let got = self.store.arith(self.hashed(key), &change, self.now_s);
        if got == Err(ArithRefusal::NoMemory) && expected.is_ok() {
            self.no_memory += 1;
            return;
        }
        assert_eq!(got.map(|(number, _)| number), expected);
        let Ok((number, found)) = got else { return };
        let digits = number.to_string().into_bytes();
        let (len, marks) = (self.store.item(found).value_len(), self.marks(found));
        let entry = self.map.get_mut(key).expect("the oracle found it");
        let pinned_copy = self.pins.iter().any(|(_, value)| *value == entry.value);
        let in_place = len == entry.value.len() && digits.len() <= len;
        assert!(in_place || pinned_copy || digits.len() > entry.value.len());
        assert!(in_place || len == digits.len());
        if !in_place || (pinned_copy && marks == Marks::default()) {
            entry.marks = Marks::default();
        }
        entry.value = digits;
        entry.value.resize(len, b' ');
        entry.cas = change.cas;
        entry.expires_s = change.expires_s.unwrap_or(entry.expires_s);
    }

    fn delete(&mut self, key: &[u8]) {
        let compare = self.compare(key);
        let expected = match self.map.get(key) {
            None => Err(Refusal::NotFound),
            Some(entry) if compare.is_some() && compare != entry.cas => Err(Refusal::Exists),
            Some(_) => Ok(()),
        };
        assert_eq!(self.store.delete_if(self.hashed(key), compare, self.now_s), expected);
        if expected.is_ok() {
            self.map.remove(key);
        }
    }

    fn invalidate(&mut self, key: &[u8]) {
        let Ok(found) = self.store.look(self.hashed(key), self.now_s) else { return };
        let fetched = self.store.item(found).fetched();
        let expires_s = (self.random.below(3) == 0).then(|| self.expires_s());
        let cas = oracle::random_cas(&mut self.random);
        let entry = self.map.get_mut(key).expect("an item nobody stored");
        match self.store.invalidate(found, expires_s, cas) {
            Ok(found) => {
                let item = self.store.item(found);
                assert_eq!((item.key(), item.fetched()), (key, fetched));
                assert!(cas.is_some() || Some(item.cas()) != entry.cas, "the number is the old one");
                entry.cas = cas;
                entry.expires_s = expires_s.unwrap_or(entry.expires_s);
                entry.marks = Marks { stale: true, win_sent: false, ..entry.marks };
            }
            Err(why) => {
                assert_eq!((why, cas.is_some()), (Refusal::NoMemory, true));
                self.no_memory += 1;
            }
        }
    }

    fn take_win(&mut self, key: &[u8]) {
        let Ok(found) = self.store.look(self.hashed(key), self.now_s) else { return };
        let entry = self.map.get_mut(key).expect("an item nobody stored");
        assert_eq!(self.store.take_win(found), !entry.marks.win_sent);
        entry.marks.win_sent = true;
    }

    fn touch(&mut self, key: &[u8]) {
        let expires_s = self.expires_s();
        let found = self.store.touch(self.hashed(key), expires_s, self.now_s);
        assert_eq!(found.is_ok(), self.map.contains_key(key));
        if let Some(entry) = self.map.get_mut(key) {
            entry.expires_s = expires_s;
        }
    }

    fn pin(&mut self, key: &[u8]) {
        if let (true, Ok(found)) = (self.pins.len() < 4, self.store.get(self.hashed(key), self.now_s)) {
            // SAFETY: the words come straight from `into_raw`.
            #[allow(unsafe_code)]
            let pinned = unsafe { Pinned::from_raw(self.store.pin(found).into_raw()) };
            self.pins.push((pinned, self.map[key].value.clone()));
        }
    }

    fn release(&mut self) {
        if !self.pins.is_empty() {
            let index = self.random.below(self.pins.len() as u64) as usize;
            let (pinned, value) = self.pins.swap_remove(index);
            let bytes: Vec<u8> = pinned.segments().flatten().copied().collect();
            assert!(bytes == value, "pinned bytes changed");
            self.store.release(pinned);
        }
    }

    fn flush(&mut self) {
        let delay_s = self.random.below(3) as u32 * 5;
        self.store.flush((delay_s > 0).then_some(self.now_s + delay_s), self.now_s);
        if delay_s == 0 {
            self.map.clear();
        }
        self.flush_at_s = if delay_s == 0 { u32::MAX } else { self.now_s + delay_s };
    }

    fn set_limit(&mut self) {
        let limit_bytes = self.scene.limit_bytes / 8 * (3 + self.random.below(29) as usize);
        match self.store.set_limit(limit_bytes) {
            Ok(()) => assert!(limit_bytes - self.store.footprint().limit_bytes < 16 << 10),
            Err(LimitError::TooSmall { least_bytes, .. }) => assert!(least_bytes > limit_bytes),
            Err(error) => panic!("{error}"),
        }
    }

    /// Gives all tokens back and checks that nothing is left once everything is deleted.
    fn finish(mut self) {
        while !self.pins.is_empty() {
            self.release();
        }
        while let Some(pending) = self.uploads.pop() {
            self.store.abandon(pending.upload);
        }
        self.store.flush(None, self.now_s);
        while self.store.background(self.now_s, 1000) {}
        self.store.check();
        assert_eq!(self.store.counters.curr_items, 0);
        let footprint = self.store.footprint();
        assert_eq!((footprint.pages_items, footprint.pages_over), (0, 0));
        assert!(self.hits > 200, "{} hits", self.hits);
    }
}

fn run(seed: u64, scene: Scene, steps: usize) -> Model {
    let mut model = Model::new(seed, scene);
    for step in 0..steps {
        model.step();
        let pages = model.store.table.page_count();
        model.table_pages_max = model.table_pages_max.max(pages);
        model.table_shrank |= pages < model.table_pages_max;
        if step % scene.check_every == 0 {
            model.store.check();
        }
    }
    model
}

#[test]
fn behaves_like_a_map_that_forgets() {
    for seed in 0..6 {
        let model = run(seed, NARROW, 30_000);
        assert!(model.store.counters.evictions > 500, "{} were evicted", model.store.counters.evictions);
        assert!(model.store.counters.slabs_moved > 10, "no page was moved");
        assert!(model.no_memory < 200, "seed {seed}: {} times no memory", model.no_memory);
        model.finish();
    }
}

#[test]
fn behaves_like_a_map_while_the_table_grows() {
    let model = run(20, WIDE, 200_000);
    assert!(model.table_pages_max > 1, "the table never grew");
    assert!(model.table_shrank, "the table never shrank");
    assert!(model.store.counters.evictions > 500, "{} were evicted", model.store.counters.evictions);
    assert_eq!(model.no_memory, 0);
    model.finish();
}

#[test]
fn without_evictions_behaves_like_a_map() {
    for seed in 10..14 {
        let model = run(seed, Scene { evict: false, keys: 200, ..NARROW }, 20_000);
        assert_eq!(model.store.counters.evictions, 0);
        assert!(model.no_memory > 0, "memory never ran out");
        model.finish();
    }
}

#[test]
fn behaves_like_a_map_under_a_limit_that_changes() {
    for seed in 30..33 {
        let model = run(seed, Scene { elastic: true, ..NARROW }, 20_000);
        assert!(model.store.counters.evictions > 200, "{} were evicted", model.store.counters.evictions);
        assert!(model.no_memory < 200, "seed {seed}: {} times no memory", model.no_memory);
        model.finish();
    }
    run(34, Scene { elastic: true, ..WIDE }, 60_000).finish();
    let model = run(33, Scene { elastic: true, evict: false, keys: 200, ..NARROW }, 20_000);
    assert_eq!(model.store.counters.evictions, 0);
    model.finish();
}
