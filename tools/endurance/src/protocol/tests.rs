use super::*;

fn keys() -> Keys {
    Keys::new(100, 13)
}

fn set(key: u32) -> Request {
    Request::Set { key, version: 7, len: 100, lifetime_s: 0, cas: None, quiet: false }
}

/// What classic and binary servers answer to a get of `key` whose value is that of `content`.
fn hits(key: u32, content: u32) -> [(Protocol, Vec<u8>); 3] {
    let keys = keys();
    let mut value = Vec::new();
    content::append(content, 7, 100, &mut value);
    let name = keys.text(key);
    let classic = [format!("VALUE {name} 0 100 5\r\n").as_bytes(), &value, b"\r\nEND\r\n"].concat();
    let meta = [format!("VA 100 k{name} c5\r\n").as_bytes(), &value, b"\r\nMN\r\n"].concat();
    let mut head = [0; 24];
    head[0] = 0x81;
    head[1] = 0x0d;
    head[3] = 13;
    head[4] = 4;
    head[11] = 4 + 13 + 100;
    head[23] = 5;
    let mut noop = [0; 24];
    noop[..2].copy_from_slice(&[0x81, 0x0a]);
    let binary = [&head[..], &[0; 4], name.as_bytes(), &value, &noop].concat();
    [(Protocol::Classic, classic), (Protocol::Meta, meta), (Protocol::Binary, binary)]
}

#[test]
fn a_value_is_read_with_its_version_and_number() {
    for (protocol, answer) in hits(3, 3) {
        let found =
            protocol.read(&Request::Get { keys: vec![3] }, &keys(), &mut &answer[..]).expect("a value");
        assert_eq!(found, Answer::Found(vec![Found { key: 3, version: 7, cas: 5 }]), "{protocol:?}");
    }
}

#[test]
fn a_wrong_value_a_torn_one_and_a_foreign_one_are_named() {
    let get = Request::Get { keys: vec![3] };
    for (protocol, answer) in hits(3, 4) {
        let error = protocol.read(&get, &keys(), &mut &answer[..]).expect_err("another key's").to_string();
        assert!(error.contains("wrong value: load:00000003"), "{error}");
    }
    for (protocol, mut answer) in hits(3, 3) {
        let at = answer.len() - 50;
        answer[at] ^= 1;
        let error = protocol.read(&get, &keys(), &mut &answer[..]).expect_err("a flipped bit").to_string();
        assert!(error.contains("wrong value") && error.contains("from byte"), "{error}");
        assert!(protocol.read(&get, &keys(), &mut &answer[..90]).is_err(), "a connection that ends");
    }
}

#[test]
fn answers_of_another_request_are_refused() {
    let request = set(3);
    for (protocol, answer) in
        [(Protocol::Classic, "DELETED\r\n"), (Protocol::Classic, "EXISTS\r\n"), (Protocol::Meta, "EX\r\n")]
    {
        let error = protocol.read(&request, &keys(), &mut answer.as_bytes()).expect_err(answer).to_string();
        assert!(error.contains("load:00000003"), "{error}");
    }
    let count = Request::Count { key: 3, by: 1 };
    assert!(Protocol::Classic.read(&count, &keys(), &mut &b"STORED\r\n"[..]).is_err());
    assert_eq!(
        Protocol::Meta.read(&count, &keys(), &mut &b"VA 2\r\n17\r\n"[..]).expect("a number"),
        Answer::Number(17)
    );
}

#[test]
fn a_full_house_is_told_from_a_welcome() {
    for protocol in PROTOCOLS {
        let full = b"ERROR Too many open connections\r\n";
        assert!(!protocol.is_welcome(&mut &full[..]).expect("an answer"));
    }
    assert!(Protocol::Classic.is_welcome(&mut &b"VERSION 1.6.45\r\n"[..]).expect("an answer"));
    assert!(Protocol::Meta.is_welcome(&mut &b"MN\r\n"[..]).expect("an answer"));
    assert!(Protocol::Classic.is_welcome(&mut &b"ERROR\r\n"[..]).is_err());
    assert!(Protocol::Classic.is_welcome(&mut &b""[..]).is_err());
}
