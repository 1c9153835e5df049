//! HTTP for operators (`--admin`): `/metrics`, `/healthz`, `/readyz`. Tasks of shard 0's executor, with the few shares of the upkeep:
//! a request of a client never waits for one of these longer than for a step of the store.
//!
//! Each connection is one request: were they kept, a few scrapers could hold all places, and a probe would never have its turn.
//! hyper speaks HTTP; [`stream`] is its way to the socket, [`pace`] the time a client has, [`answers`] what is said. Everything is
//! bounded: connections, the head of a request, the time to send it and to take the answer, texts of metrics at a time. Nothing
//! can be changed through it, and it is never on a port of the cache.

mod answers;
mod pace;
mod stream;

use super::stats::Reporter;
use crate::shard::inquiry::{Inquiry, Task};
use answers::Endpoint;
use glommio::io::PollableFd;
use glommio::sync::Semaphore;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use pace::{Pace, unless};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;

/// Connections at a time; more wait to be accepted, and none lasts long.
const CONNECTIONS_MAX: u64 = 8;

/// Bytes of the head of a request, the least that hyper takes for it. What comes beyond is answered with 431.
const HEAD_BYTES_MAX: usize = 8192;

/// Lines of the head of a request.
const HEADERS_MAX: usize = 64;

/// How long to wait when the system has no room for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The task that serves on `listeners`, which must not block.
pub fn task(listeners: Vec<TcpListener>, reporter: Arc<Reporter>) -> Task {
    Box::new(move |inquiry| Box::pin(serve(listeners, reporter, inquiry)))
}

async fn serve(listeners: Vec<TcpListener>, reporter: Arc<Reporter>, inquiry: Inquiry) {
    let endpoint = Rc::new(Endpoint::new(reporter, inquiry));
    let connections = Rc::new(Semaphore::new(CONNECTIONS_MAX));
    for listener in listeners {
        glommio::spawn_local(accept(listener, endpoint.clone(), connections.clone())).detach();
    }
}

/// Accepts for ever.
async fn accept(listener: TcpListener, endpoint: Rc<Endpoint>, connections: Rc<Semaphore>) {
    let Ok(listener) = PollableFd::new(listener) else { return };
    loop {
        let waited = listener.readable().await;
        let Ok(place) = connections.acquire_static_permit(1).await else { return };
        match waited.map_err(std::io::Error::other).and_then(|()| listener.get_ref().accept()) {
            Ok((socket, _)) => {
                let endpoint = endpoint.clone();
                let conversation = async move {
                    converse(socket, &endpoint).await;
                    drop(place);
                };
                glommio::spawn_local(conversation).detach();
            }
            // It is gone already, or another wake-up came first.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => glommio::timer::sleep(ACCEPT_AGAIN).await,
        }
    }
}

/// Answers the one request of a connection, unless it takes too long.
async fn converse(socket: TcpStream, endpoint: &Endpoint) {
    let pace = Pace::default();
    // A socket that is broken already has nobody to tell.
    let Ok(stream) = Stream::new(socket) else { return };
    let service = service_fn(|request| {
        pace.answering();
        endpoint.answer(request, &pace)
    });
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(stream, service);
    // How it ended does not matter: there is nothing to undo.
    let _ = unless(pace.overdue(), connection).await;
}
