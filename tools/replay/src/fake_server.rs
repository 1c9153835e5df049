//! A cache server for unit tests: one thread a connection, first in first out, and faults on demand.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The last byte of every value it sends is another.
    WrongByte,
    RefusesStores,
    /// It closes the connection at the first request.
    HangsUp,
}

/// A running server; its threads end when their connections do. `log` holds the request lines.
pub struct FakeServer {
    pub address: SocketAddr,
    pub log: Arc<Mutex<Vec<String>>>,
}

struct Cache {
    items_max: usize,
    items: HashMap<String, Vec<u8>>,
    order: VecDeque<String>,
}

impl Cache {
    fn set(&mut self, key: &str, value: Vec<u8>) {
        if self.items.insert(key.into(), value).is_none() {
            self.order.push_back(key.into());
        }
        if self.items.len() > self.items_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.items.remove(&oldest);
        }
    }

    fn delete(&mut self, key: &str) -> &'static str {
        self.order.retain(|other| other != key);
        if self.items.remove(key).is_some() { "DELETED\r\n" } else { "NOT_FOUND\r\n" }
    }
}

impl FakeServer {
    /// A server that keeps the `items_max` items stored last.
    pub fn start(items_max: usize, fault: Fault) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cache = Cache { items_max, items: HashMap::new(), order: VecDeque::new() };
        let cache = Arc::new(Mutex::new(cache));
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared_log = log.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (cache, log) = (cache.clone(), shared_log.clone());
                std::thread::spawn(move || serve(stream, &cache, &log, fault));
            }
        });
        FakeServer { address, log }
    }
}

fn serve(stream: TcpStream, cache: &Mutex<Cache>, log: &Mutex<Vec<String>>, fault: Fault) -> Option<()> {
    let mut requests = BufReader::new(stream.try_clone().ok()?);
    let mut answers = stream;
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).ok()? == 0 || fault == Fault::HangsUp {
            return None;
        }
        log.lock().ok()?.push(line.trim_end().into());
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        let mut cache = cache.lock().ok()?;
        match words[..] {
            ["get", key] => {
                let mut answer = Vec::new();
                if let Some(value) = cache.items.get(key) {
                    answer = format!("VALUE {key} 0 {}\r\n", value.len()).into_bytes();
                    answer.extend_from_slice(value);
                    if fault == Fault::WrongByte {
                        *answer.last_mut()? ^= 1;
                    }
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"END\r\n");
                answers.write_all(&answer).ok()?;
            }
            ["set", key, "0", _, len] => {
                let mut value = vec![0; len.parse::<usize>().ok()? + 2];
                requests.read_exact(&mut value).ok()?;
                value.truncate(value.len() - 2);
                if fault == Fault::RefusesStores {
                    answers.write_all(b"SERVER_ERROR out of memory storing object\r\n").ok()?;
                } else {
                    cache.set(key, value);
                    answers.write_all(b"STORED\r\n").ok()?;
                }
            }
            ["delete", key] => answers.write_all(cache.delete(key).as_bytes()).ok()?,
            ["stats"] => {
                let items = cache.items.len();
                answers.write_all(format!("STAT curr_items {items}\r\nEND\r\n").as_bytes()).ok()?;
            }
            _ => answers.write_all(b"ERROR\r\n").ok()?,
        }
    }
}
