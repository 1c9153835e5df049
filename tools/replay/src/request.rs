//! One request of a workload: what trace and synthetic loads produce and the replay sends.

/// Longest key the memcached protocol takes.
pub const KEY_LEN_MAX: usize = 250;
/// Largest object of a workload; a larger size is a damaged trace.
pub const OBJECT_BYTES_MAX: u32 = 1 << 30;

/// What is asked of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read; after a miss the caller stores the value.
    Get,
    /// Store, whatever is there.
    Set,
    /// Remove.
    Delete,
}

/// One request. `object_bytes` is key and value together, as in published traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub op: Op,
    /// The object's name: 1 to [`KEY_LEN_MAX`] bytes without blanks and control characters.
    pub key: String,
    /// Bytes of key and value.
    pub object_bytes: u32,
    /// Seconds the stored value lives; 0 is for ever.
    pub ttl_s: u32,
    /// Which part of the workload it belongs to; miss ratios are reported for each part.
    pub part: &'static str,
}

impl Request {
    /// Bytes of the value: what the object has beyond its key.
    pub fn value_len(&self) -> usize {
        (self.object_bytes as usize).saturating_sub(self.key.len())
    }
}

/// Why `key` cannot be sent, if so.
pub fn key_fault(key: &str) -> Option<&'static str> {
    match key.len() {
        0 => Some("is empty"),
        len if len > KEY_LEN_MAX => Some("is longer than 250 bytes"),
        _ if key.bytes().any(|byte| byte <= b' ' || byte == 0x7f) => Some("has a blank or control character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_the_key_leaves() {
        let request = |object_bytes| Request {
            op: Op::Get,
            key: "12345".into(),
            object_bytes,
            ttl_s: 0,
            part: "trace",
        };
        assert_eq!(request(12).value_len(), 7);
        assert_eq!(request(5).value_len(), 0);
        assert_eq!(request(3).value_len(), 0);
    }

    #[test]
    fn keys_the_protocol_refuses() {
        assert_eq!(key_fault("13053225291711363978"), None);
        assert_eq!(key_fault(&"k".repeat(KEY_LEN_MAX)), None);
        assert!(key_fault(&"k".repeat(KEY_LEN_MAX + 1)).is_some());
        for key in ["", "a b", "a\n", "a\x7f"] {
            assert!(key_fault(key).is_some(), "{key:?}");
        }
    }
}
