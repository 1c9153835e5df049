//! The whole loop of the server, bytes in and bytes out: shards, sessions, mesh and store in the simulated world of
//! tools/simulation, driven by a small program.
//!
//! What must hold, whatever connections send in whatever pieces, while the kernel does things late, in part or not at all: no
//! panic and no overflow; the shard keeps its side of the kernel's contract; what waits in sessions stays within the plan;
//! answers are whole lines, values of the length announced, and packets; once the clients have ended, all connections do so
//! in a bounded number of steps, every shard sleeps, and nothing is left over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached_fuzz::answers::Answers;
use ringcached_fuzz::program::{Action, CONNECTIONS, Program, Segment};
use ringcached_simulation::{End, World};
use std::os::fd::RawFd;
use std::time::Duration;

/// Steps after which nothing may be under way any more, when nobody sends and everybody reads.
const LAST_STEPS_MAX: u64 = 200_000;

/// Bytes that a client reads at a time.
const READ_BYTES: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some(program) = Program::read(bytes) else { return };
    let mut server = Server::new(&program);
    for segment in &program.segments {
        server.run(segment);
    }
    server.end();
});

/// A client's end of a connection.
struct Client {
    fd: RawFd,
    reads: bool,
    answers: Answers,
}

struct Server {
    world: World,
    clients: [Option<Client>; CONNECTIONS],
}

impl Server {
    fn new(program: &Program<'_>) -> Server {
        Server { world: World::new(program.seed, &program.setup), clients: Default::default() }
    }

    fn run(&mut self, segment: &Segment<'_>) {
        let world = &mut self.world;
        let client = self.clients[segment.connection].get_or_insert_with(|| Client {
            fd: world.connect(),
            reads: true,
            answers: Answers::default(),
        });
        let fd = client.fd;
        client.reads = segment.reads;
        for piece in segment.payload.chunks(segment.piece_bytes) {
            self.send(fd, piece);
        }
        if segment.filler_bytes > 0 {
            self.send(fd, &vec![b'v'; segment.filler_bytes]);
            self.send(fd, b"\r\n");
        }
        match segment.action {
            Action::Go => {}
            Action::End => self.world.end(fd),
            Action::Reset => self.world.reset(fd),
            Action::Pass(seconds) => self.world.pass(Duration::from_secs(seconds)),
        }
        for _ in 0..segment.steps {
            self.step();
        }
    }

    /// Sends what the connection has room for; what a program asks for beyond that is left out.
    fn send(&mut self, fd: RawFd, bytes: &[u8]) {
        let sent = self.world.send(fd, bytes);
        self.step();
        self.world.send(fd, &bytes[sent..]);
        self.step();
    }

    fn step(&mut self) {
        self.world.step();
        assert_eq!(self.world.beyond_plan(), None);
        self.read();
    }

    /// Whoever reads takes what is there; a connection that has ended makes room for another.
    fn read(&mut self) {
        for place in &mut self.clients {
            let Some(client) = place.as_mut().filter(|client| client.reads) else { continue };
            let mut received = Vec::new();
            let end = self.world.receive(client.fd, READ_BYTES, &mut received);
            client.answers.read(&received);
            match end {
                End::Open => continue,
                End::Closed => client.answers.end(),
                End::Reset => {}
            }
            *place = None;
        }
    }

    /// Nobody sends any more and nothing goes wrong: everything comes to its end.
    fn end(&mut self) {
        self.world.heal();
        for client in self.clients.iter_mut().flatten() {
            client.reads = true;
            self.world.end(client.fd);
        }
        let last = self.world.steps() + LAST_STEPS_MAX;
        while self.clients.iter().any(Option::is_some) {
            assert!(self.world.steps() < last, "a connection that has ended does not go away");
            self.step();
        }
        assert!(self.world.settle(), "the server does not come to rest");
        assert_eq!(self.world.leftovers(), Vec::<String>::new(), "left over");
    }
}
