//! What the admin endpoint answers. Every answer is one whole text.

use super::pace::{Pace, unless};
use crate::operate::metrics;
use crate::operate::stats::Reporter;
use crate::shard::inquiry::Inquiry;
use crate::shard::snapshot::Topic;
use glommio::sync::Semaphore;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Texts of metrics that are made or sent at a time: each is memory of the heap.
const SCRAPES_MAX: u64 = 2;

/// How long a text of metrics may take, with the wait for its turn. Scrapers give up after ten seconds unless told otherwise.
const SCRAPE_WITHIN: Duration = Duration::from_secs(5);

/// How long a shard has to turn, and the shards to report, before a probe is told that they do not: probes give up after a
/// second unless told otherwise.
const PROBE_WITHIN: Duration = Duration::from_millis(800);

/// What it has to say to a path that is not there.
const PATHS: &str = "there are /metrics, /healthz and /readyz\n";

type Answer = Response<Full<Bytes>>;

/// What the connections have in common.
pub struct Endpoint {
    reporter: Arc<Reporter>,
    inquiry: Inquiry,
    scrapes: Rc<Semaphore>,
}

impl Endpoint {
    /// Reports what `inquiry` hears, in the words of `reporter`.
    pub fn new(reporter: Arc<Reporter>, inquiry: Inquiry) -> Endpoint {
        Endpoint { reporter, inquiry, scrapes: Rc::new(Semaphore::new(SCRAPES_MAX)) }
    }

    /// Answers one request. Its body, if it has one, is not read.
    pub async fn answer(&self, request: Request<Incoming>, pace: &Pace) -> Result<Answer, Infallible> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        Ok(match request.uri().path() {
            "/metrics" | "/healthz" | "/readyz" if !is_read => {
                let mut answer = words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            "/metrics" => self.metrics(pace).await,
            "/healthz" => self.health().await,
            "/readyz" => self.readiness().await,
            _ => words(StatusCode::NOT_FOUND, PATHS),
        })
    }

    async fn metrics(&self, pace: &Pace) -> Answer {
        let scrape = async {
            let place = self.scrapes.acquire_static_permit(1).await.ok()?;
            let reports = self.inquiry.reports(Topic::Metrics).await;
            pace.hold(place);
            Some(metrics::render(&self.reporter, &reports).await)
        };
        match within(SCRAPE_WITHIN, scrape).await.flatten() {
            Some(metrics) => text(StatusCode::OK, metrics::CONTENT_TYPE, metrics),
            None => words(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("a shard has not reported within {SCRAPE_WITHIN:?}: see /healthz\n"),
            ),
        }
    }

    /// Whether every shard's loop turns. (If shard 0's does not, there is no answer at all.)
    async fn health(&self) -> Answer {
        let stuck = self.inquiry.stuck(PROBE_WITHIN).await;
        if stuck.is_empty() {
            return words(StatusCode::OK, "every shard turns\n");
        }
        let what = format!("shards {stuck:?} have not turned for {PROBE_WITHIN:?}\n");
        words(StatusCode::SERVICE_UNAVAILABLE, what)
    }

    /// Whether clients are served.
    async fn readiness(&self) -> Answer {
        if self.inquiry.is_stopping() {
            return words(StatusCode::SERVICE_UNAVAILABLE, "the server stops\n");
        }
        // What they report does not matter, that they do does: so the least there is.
        match within(PROBE_WITHIN, self.inquiry.reports(Topic::General)).await {
            Some(_) => words(StatusCode::OK, "serves\n"),
            None => words(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("a shard has not answered for {PROBE_WITHIN:?}: see /healthz\n"),
            ),
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    unless(glommio::timer::sleep(limit), work).await
}

fn words(status: StatusCode, words: impl Into<String>) -> Answer {
    text(status, "text/plain; charset=utf-8", words.into())
}

fn text(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
