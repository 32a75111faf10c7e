//! What a front counts of the requests that it takes.

use super::Front;
use super::api::{catalog, health};
use super::request::Request;
use super::route::{Handler, Read};
use crate::metrics::Metric;
use crate::time::Now;
use crate::view::View;
use alloc::borrow::Cow;
use alloc::string::String;

impl Front {
    /// Counts a request on its way to its handler.
    pub(super) fn count(&mut self, now: Now, view: &View, rq: &Request, handler: Handler) {
        if let Some(endpoint) = self.routed {
            self.metrics.asked(now, endpoint);
        }
        match handler {
            Handler::Read(read) => {
                self.count_rpc(now);
                self.metrics.count(now, Metric::RpcQuery);
                self.count_service(now, view, rq, read);
            }
            Handler::Call(_) => self.count_rpc(now),
            Handler::View(_) | Handler::Hash(_) | Handler::Events(_) | Handler::NotBuilt => {}
        }
    }

    /// Where Consul's agent asks a server, a front reads or asks the node.
    fn count_rpc(&mut self, now: Now) {
        self.metrics.count(now, Metric::ClientRpc);
        self.metrics.count(now, Metric::RpcRequest);
    }

    fn count_service(&mut self, now: Now, view: &View, rq: &Request, read: &'static Read) {
        let (query, tag, tags, missing) = if core::ptr::eq(read, &health::SERVICE) {
            (
                Metric::HealthServiceQuery,
                Some(Metric::HealthServiceQueryTag),
                Metric::HealthServiceQueryTags,
                Metric::HealthServiceNotFound,
            )
        } else if core::ptr::eq(read, &catalog::SERVICE) {
            (
                Metric::CatalogServiceQuery,
                None,
                Metric::CatalogServiceQueryTags,
                Metric::CatalogServiceNotFound,
            )
        } else {
            return;
        };
        let name = rq.arg();
        if name.is_empty() {
            return;
        }
        self.metrics.count_named(now, query, name, "");
        let mut wanted = rq.query.all("tag");
        if let Some(first) = wanted.next() {
            let rest = wanted.fold(Cow::Borrowed(first), |all, next| {
                let mut all: String = all.into_owned();
                all.push(',');
                all.push_str(next);
                Cow::Owned(all)
            });
            self.metrics.count_named(now, tags, name, &rest);
            if let Some(tag) = tag {
                // Guides and dashboards look for this one, which Consul feeds from old clients only.
                self.metrics.count(now, tag);
            }
        }
        if view.store.service_health(name).next().is_none() {
            self.metrics.count_named(now, missing, name, "");
        }
    }
}
