//! Which datacenters there are, the nearest first.

use super::Node;
use super::pools::own_name;
use crate::Str;
use crate::call::Datacenter;
use crate::gossip::consul::Server;
use crate::gossip::{Gossip, Status};
use crate::ids::Pool;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

impl Node {
    /// The datacenters by the median of the round-trip times to their servers, as Consul sorts them: this one
    /// first, those of which nothing is known last; by name where that is the same.
    pub(super) fn datacenters(&self) -> Vec<Datacenter> {
        let mut found: BTreeMap<Str, (Vec<f64>, Datacenter)> = BTreeMap::new();
        let own = &self.config.datacenter;
        found.insert(own.clone(), (Vec::from([0.0]), of(own)));
        if let Some(wan) = self.pools.get(Pool::Wan) {
            let own_name = own_name(&self.config, Pool::Wan);
            let here = wan.coordinate();
            for member in wan.members().filter(|member| member.status != Status::Left) {
                let Some(server) = Server::from_member(member) else { continue };
                let place = match member.name == own_name {
                    true => Some(here),
                    false => wan.coordinate_of(&member.name),
                };
                let distance = match place {
                    _ if server.datacenter == *own => 0.0,
                    Some(place) => here.distance(place),
                    None => f64::INFINITY,
                };
                let (distances, datacenter) = found
                    .entry(server.datacenter.clone())
                    .or_insert_with(|| (Vec::new(), of(&server.datacenter)));
                distances.push(distance);
                datacenter.servers.extend(place.map(|place| (server.short_name, place.clone())));
            }
        }
        let mut sorted: Vec<(f64, Datacenter)> = found.into_values().map(|(d, dc)| (median(d), dc)).collect();
        sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        sorted.into_iter().map(|(_, datacenter)| datacenter).collect()
    }

    /// The servers of all datacenters, whatever their status.
    pub(super) fn wan_servers(&self) -> impl Iterator<Item = Server> {
        let members = self.pools.get(Pool::Wan).into_iter().flat_map(Gossip::members);
        members.filter_map(Server::from_member)
    }
}

fn of(name: &Str) -> Datacenter {
    Datacenter { name: name.clone(), servers: Vec::new() }
}

fn median(mut distances: Vec<f64>) -> f64 {
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(f64::INFINITY)
}
