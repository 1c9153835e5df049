//! The rows of memory: how much is kept, and how.

use crate::options::spec::{Category, OptionSpec, Takes};

/// Largest `-m`, 16 TiB: beyond any machine, and far from where bytes overflow 64 bits.
const MEMORY_LIMIT_MAX_MIB: i64 = 16 << 20;

/// `-m`
pub const MEMORY_LIMIT: OptionSpec = OptionSpec {
    short: Some('m'),
    long: "memory-limit",
    takes: Takes::Integer { name: "MiB", min: 1, max: MEMORY_LIMIT_MAX_MIB },
    category: Category::Memory,
    default: "64, or 16 a shard if that is more",
    summary: "memory for items, their index included",
    details: "Divided evenly among the shards. The hash table lives inside of it, unlike memcached's.",
};

/// `-M`
pub const DISABLE_EVICTIONS: OptionSpec = OptionSpec {
    short: Some('M'),
    long: "disable-evictions",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "answer an error when memory is full instead of evicting",
    details: "",
};

/// `-I`
pub const MAX_ITEM_SIZE: OptionSpec = OptionSpec {
    short: Some('I'),
    long: "max-item-size",
    takes: Takes::Text {
        name: "size",
        allowed: "a number of bytes, or one followed by k, m or g, from 1k (1024) to 1g (1073741824)",
    },
    category: Category::Memory,
    default: "1m",
    summary: "largest item, in bytes or with k, m, g",
    details: "At most half of -m.",
};

/// `--max-key-size`
pub const MAX_KEY_SIZE: OptionSpec = OptionSpec {
    short: None,
    long: "max-key-size",
    takes: Takes::Integer { name: "bytes", min: 250, max: 65535 },
    category: Category::Memory,
    default: "250",
    summary: "longest key",
    details: "250 is memcached's limit, and client libraries check it themselves unless told otherwise. 65535 is what the \
              header of the binary protocol can say.",
};

/// `-f`
pub const SLAB_GROWTH_FACTOR: OptionSpec = OptionSpec {
    short: Some('f'),
    long: "slab-growth-factor",
    takes: Takes::Real { name: "factor", above: 1.0 },
    category: Category::Memory,
    default: "1.07",
    summary: "ratio of one slab class's chunk size to the next",
    details: "memcached's default is 1.25. Here it is smaller because more classes cost nothing: eviction spans all of \
              them. Up to 2 KiB, where most items are, the steps are half as wide again.",
};

/// `-n`
pub const SLAB_MIN_SIZE: OptionSpec = OptionSpec {
    short: Some('n'),
    long: "slab-min-size",
    takes: Takes::Integer { name: "bytes", min: 1, max: 512 << 10 },
    category: Category::Memory,
    default: "8",
    summary: "least room for key, value and flags in a chunk",
    details: "memcached's default is 48. Here it is 8 because the header of an item is half of memcached's, and a small \
              item should not be padded to a size its header no longer suggests. Not above -I.",
};

/// `-C`
pub const DISABLE_CAS: OptionSpec = OptionSpec {
    short: Some('C'),
    long: "disable-cas",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "no compare-and-swap: gets returns 0, cas always fails",
    details: "",
};

/// `-L`
pub const ENABLE_LARGEPAGES: OptionSpec = OptionSpec {
    short: Some('L'),
    long: "enable-largepages",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "use explicit huge pages for item memory",
    details: "They have to be set aside first (vm.nr_hugepages); where there are too few, transparent huge pages are \
              used, with a notice. Without this option transparent ones are used where the kernel allows it.",
};

/// `-k`
pub const LOCK_MEMORY: OptionSpec = OptionSpec {
    short: Some('k'),
    long: "lock-memory",
    takes: Takes::Nothing,
    category: Category::Memory,
    default: "",
    summary: "lock all memory, so that none of it is paged out",
    details: "Needs root without `-u`, or a limit of locked memory above -m (`ulimit -l`, LimitMEMLOCK=); refused by the \
              kernel, it is a warning.",
};
