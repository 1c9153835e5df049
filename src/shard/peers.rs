//! What a shard hears from its peers in a turn: answers to what its connections have asked, and what theirs ask of it.

use super::calls::Answered;
use super::conn::Life;
use super::execute::{commit, execute};
use super::mesh::held::Held;
use super::mesh::wire::{self, Answer, Ask};
use super::watch::NO_FD;
use super::{Shard, ahead};
use crate::net::Kernel;

/// Asks of one peer that are done in one turn.
const ASKS_PER_TURN: usize = 256;

impl<K: Kernel> Shard<K> {
    /// Takes the answers of the peers, then does what they ask.
    pub(super) fn hear_peers(&mut self) -> bool {
        let mut busy = false;
        let own = self.core.id;
        for peer in (0..self.core.shards).filter(|peer| *peer != own) {
            busy |= self.hear_answers(peer);
            busy |= self.hear_asks(peer);
        }
        busy
    }

    fn hear_answers(&mut self, peer: usize) -> bool {
        let Some(mut queue) = self.inbound.answers[peer].take() else { return false };
        let mut busy = false;
        while let Some(answer) = wire::next_answer(&mut queue, peer) {
            if !busy {
                self.core.telemetry.hears_answers();
            }
            busy = true;
            self.answer(peer, answer);
        }
        self.inbound.answers[peer] = Some(queue);
        busy
    }

    fn hear_asks(&mut self, peer: usize) -> bool {
        let Some(mut queue) = self.inbound.asks[peer].take() else { return false };
        let (mut done, mut looked) = (0, 0);
        // An ask is taken only when there is room for its answer.
        while done < ASKS_PER_TURN && self.core.out.answer_room(peer).is_some() {
            if done == looked {
                looked += ahead::fetch_asks(&self.core, &mut queue);
            }
            let Some(ask) = wire::next_ask(&mut queue) else { break };
            done += 1;
            self.ask(peer, ask);
        }
        self.inbound.asks[peer] = Some(queue);
        done > 0
    }

    fn answer(&mut self, peer: usize, answer: Answer<'_>) {
        let (ticket, answered) = match &answer {
            Answer::Reply(ticket, ..) | Answer::Reserved(ticket, _) => (*ticket, None),
            Answer::Done(ticket) => {
                let part = self.common.take_part(self.core.id, *ticket, peer);
                match self.core.call_answered(*ticket, part) {
                    None => return,
                    answered => (*ticket, answered),
                }
            }
        };
        let conn = self.conns.of(ticket.conn, ticket.generation).filter(|conn| conn.life != Life::Dead);
        let Some((mut session, fd)) = conn.and_then(|conn| Some((conn.session.take()?, conn.fd))) else {
            return self.orphaned(peer, answer);
        };
        self.core.keyspace.journal.asker_fd = fd;
        match answer {
            Answer::Reply(_, text, value) => session.answer(&mut self.core, ticket.slot, text, value),
            Answer::Reserved(_, result) => session.reserved(&mut self.core, result),
            Answer::Done(_) => {
                session.call_answered(&mut self.core, ticket.slot, answered.unwrap_or_default())
            }
        }
        self.went_on(ticket.conn, session);
    }

    /// The connection that asked is gone: what the answer carries goes home.
    fn orphaned(&mut self, peer: usize, answer: Answer<'_>) {
        match answer {
            Answer::Reply(_, _, Some(held)) => self.core.release(peer, held.value),
            Answer::Reserved(_, Ok(upload)) => self.core.abandon(peer, upload),
            _ => {}
        }
    }

    fn ask(&mut self, peer: usize, ask: Ask<'_>) {
        let core = &mut self.core;
        match ask {
            Ask::Key(ticket, request, asker_fd) => {
                core.keyspace.journal.asker_fd = asker_fd;
                core.keyspace.counters.cmd_for_peers += 1;
                let Some(room) = core.out.answer_room(peer) else { return };
                let reply = execute(&mut core.keyspace, &request, wire::reply_room(room));
                core.telemetry.ran_for_peer(request.key);
                let value = reply.value.map(|value| Held { owner: core.id, value, line_end: reply.line_end });
                let len = wire::finish_reply(room, ticket, reply.len, value);
                core.out.answer_commit(peer, len);
            }
            Ask::Reserve(ticket, request, len) => {
                let keys = &mut core.keyspace;
                keys.counters.cmd_for_peers += 1;
                let began_ns = core.telemetry.now_ns();
                let result = keys.store.reserve(request.key, &request.write(), len, keys.now_s);
                core.telemetry.looked_for_room(began_ns);
                let Some(room) = core.out.answer_room(peer) else { return };
                let len = wire::write_reserved(room, ticket, result);
                core.out.answer_commit(peer, len);
            }
            Ask::Grow(ticket, uploading, upload) => {
                let (request, keys) = (uploading.request(), &mut core.keyspace);
                let Some(room) = core.out.answer_room(peer) else { return };
                let began_ns = core.telemetry.now_ns();
                let result = keys.store.grow(upload, request.key, &request.write(), keys.now_s);
                core.telemetry.looked_for_room(began_ns);
                let len = wire::write_reserved(room, ticket, result);
                core.out.answer_commit(peer, len);
            }
            Ask::Commit(ticket, uploading, upload) => {
                let (request, keys) = (uploading.request(), &mut core.keyspace);
                let Some(room) = core.out.answer_room(peer) else { return };
                keys.journal.asker_fd = NO_FD; // the record has no room for it
                let len = commit(keys, &request, upload, wire::reply_room(room));
                core.telemetry.ran_for_peer(request.key);
                let len = wire::finish_reply(room, ticket, len, None);
                core.out.answer_commit(peer, len);
            }
            Ask::Abandon(upload) => core.keyspace.store.abandon(upload),
            Ask::Release(value) => core.keyspace.store.release(value),
            Ask::Call(ticket, words) => core.call_asked(peer, ticket, words),
            Ask::Adopt { fd, listener } => self.adopt(fd, listener),
            Ask::Move(moving) => self.arrive(*moving),
        }
    }

    /// Does this shard's part of the calls that have come; one whose answer finds no room, or that takes
    /// several steps, goes on in the next turn. Long ones, one of each shard, take their steps one after the other.
    pub(super) fn perform_calls(&mut self) {
        let mut any_long = false;
        for mut todo in std::mem::take(&mut self.core.calls.todo) {
            let own = todo.origin == self.core.id;
            if !own && self.core.out.answer_room(todo.origin).is_none() {
                self.core.calls.todo.push(todo);
                continue;
            }
            let waits = any_long && todo.call.is_long();
            any_long |= todo.call.is_long();
            if waits || !self.is_prepared(&mut todo) {
                self.core.calls.todo.push(todo);
                continue;
            }
            let part = self.perform(todo.call, todo.walk);
            if own {
                if let Some(answered) = self.core.call_answered(todo.ticket, part) {
                    self.call_done(todo.ticket, answered);
                }
                continue;
            }
            self.common.post(todo.origin, todo.ticket, self.core.id, part);
            if let Some(room) = self.core.out.answer_room(todo.origin) {
                let len = wire::write_done(room, todo.ticket);
                self.core.out.answer_commit(todo.origin, len);
            }
        }
    }

    fn call_done(&mut self, ticket: wire::Ticket, answered: Answered) {
        let conn = self.conns.of(ticket.conn, ticket.generation);
        if let Some(mut session) = conn.and_then(|conn| conn.session.take()) {
            session.call_answered(&mut self.core, ticket.slot, answered);
            self.went_on(ticket.conn, session);
        }
    }
}
