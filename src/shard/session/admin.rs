//! The administrative commands of a session.

use super::{Session, Step, Stop};
use crate::net::listener::local_ip_of;
use crate::protocol::reply::text;
use crate::protocol::{Admin, Classes, DumpForm, StatsRequest};
use crate::shard::calls::{Call, Manner};
use crate::shard::core::Core;
use crate::shard::listing::Style;
use crate::shard::nodes::Nodes;
use crate::shard::snapshot::{Query, Topic};
use std::net::IpAddr;

impl Session {
    /// Does what `admin` asks for; with `noreply` says nothing.
    pub(super) fn admin(&mut self, core: &mut Core, admin: Admin, noreply: bool, used: usize) -> Step {
        match admin {
            Admin::MemoryLimit { mib } => {
                core.settings.live.set_limit_bytes(u64::from(mib) << 20);
                self.call(core, Call::Limit, Manner::Text { noreply }, used)
            }
            // They answer without end, and who asked may be somebody else's name.
            Admin::Watch(_) | Admin::Dump { .. } if self.standing.datagram => {
                self.reply(core, text::ERROR, used)
            }
            Admin::Watch(kinds) => self.watch(core, kinds, used),
            // Which classes does not matter: the crawl goes through pages, not classes.
            Admin::Crawl(_) => self.call(core, Call::Crawl, Manner::Text { noreply }, used),
            Admin::Nodes => self.nodes(core, Nodes::config, used),
            Admin::Dump { form, classes } => self.dump_keys(core, form, classes, used),
            Admin::NoEffect(name) => {
                // Once: a script that tunes every minute need not fill a log.
                if !core.said.contains(&name) {
                    core.said.push(name);
                    (core.settings.say)(&format!("`{name}` has no effect here"));
                }
                self.reply(core, if noreply { b"" } else { text::OK }, used)
            }
        }
    }

    /// The list of nodes in one of its two forms. It takes memory of the heap until it is sent, so it waits its turn.
    pub(super) fn nodes(
        &mut self,
        core: &mut Core,
        form: fn(&Nodes, IpAddr) -> Box<[u8]>,
        used: usize,
    ) -> Step {
        let asker = local_ip_of(core.keyspace.journal.asker_fd).filter(|_| !self.standing.datagram);
        let (Some(nodes), Some(own_ip)) = (&core.settings.nodes, asker) else {
            return self.reply(core, text::ERROR, used);
        };
        if !self.slots.is_empty() || self.out.is_full() || (core.is_crowded() && !self.out.is_idle()) {
            return Step::stop(Stop::WaitOwn);
        }
        self.out.push_heap(form(nodes, own_ip));
        Step::on(used)
    }

    /// `OK`, and then what the form says.
    fn dump_keys(&mut self, core: &mut Core, form: DumpForm, classes: Classes, used: usize) -> Step {
        let step = self.reply(core, text::OK, used);
        if step.stop.is_none() {
            let (style, end) = match form {
                DumpForm::Meta => (Style::Metadata, text::END),
                DumpForm::MetaGet => (Style::Commands, text::META_MISS),
            };
            let class_max = core.keyspace.store.class_max();
            let classes: Vec<u8> = match classes {
                Classes::ALL => vec![0],
                some => (1..=class_max).filter(|class| some.contains(*class)).collect(),
            };
            self.start_dump(style, classes, u32::MAX, end);
        }
        step
    }

    /// `stats`
    pub(super) fn stats(&mut self, core: &mut Core, args: &[u8], used: usize) -> Step {
        let call = match StatsRequest::parse(args, &core.settings.limits) {
            StatsRequest::Report(word, argument) => match Topic::named(word) {
                None => return self.reply(core, text::ERROR, used),
                // A long answer, and who asked may be somebody else's name.
                Some(topic) if topic.lists_keys() && self.standing.datagram => {
                    return self.reply(core, text::ERROR, used);
                }
                Some(topic) if topic.lists_keys() && !core.settings.limits.dumping_allowed => {
                    return self.reply(core, text::KEY_LISTS_NOT_ALLOWED, used);
                }
                Some(topic) => match Query::with_rows(topic, argument) {
                    Some(query) => Call::Stats(query),
                    None => return self.reply(core, text::BAD_FORMAT, used),
                },
            },
            StatsRequest::Reset => Call::ResetStats,
            StatsRequest::CountPrefixes(on) => Call::Detail(on),
            StatsRequest::Prefixes => Call::Stats(Topic::Detail.into()),
            StatsRequest::CacheDump { .. } if self.standing.datagram => {
                return self.reply(core, text::ERROR, used);
            }
            StatsRequest::CacheDump { class, limit } => {
                let items_max = if limit == 0 { u32::MAX } else { limit };
                self.start_dump(Style::Cache, vec![class], items_max, text::END);
                return Step::on(used);
            }
            StatsRequest::Refused(words) => return self.reply(core, words, used),
        };
        self.call(core, call, Manner::Text { noreply: false }, used)
    }
}
