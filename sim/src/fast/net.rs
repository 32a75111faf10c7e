//! The network between servers: delay, loss, duplicates, order, partitions, clogs.

use super::action::Group;
use super::knobs::Knobs;
use super::luck::Luck;

/// What becomes of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// When it arrives; `None` when it is lost.
    pub(super) first: Option<u64>,
    /// When it arrives once more.
    pub(super) second: Option<u64>,
}

#[derive(Debug)]
struct Link {
    luck: Luck,
    cut: bool,
    /// Packets are lost, while streams get through.
    deaf: bool,
    /// Nothing arrives before this.
    clogged_until: u64,
    /// When the last message arrives, for links that keep order.
    last: u64,
}

/// The least time after which TCP sends again; each time in a row takes twice as long.
const SENT_AGAIN: u64 = 200_000_000;
/// Times in a row that a segment is lost at most.
const MOST_LOST: u32 = 5;

impl Link {
    /// How long a segment of a stream takes longer because packets are lost, of a thousand so many.
    fn sent_again(&mut self, loss: u64) -> u64 {
        let lost = (0..MOST_LOST).take_while(|_| self.luck.permille(loss)).count();
        SENT_AGAIN * ((1 << lost) - 1)
    }
}

/// Every directed link.
#[derive(Debug)]
pub(super) struct Net {
    links: Vec<Link>,
    slots: usize,
    groups: Vec<Group>,
    delay: u64,
    loss: u64,
    packet_loss: u64,
    duplicate: u64,
    ordered: bool,
}

impl Net {
    pub(super) fn new(seed: u64, knobs: &Knobs) -> Net {
        let slots = knobs.hosts();
        let link = |n| Link {
            luck: Luck::of(seed, "link", n as u64),
            cut: false,
            deaf: false,
            clogged_until: 0,
            last: 0,
        };
        Net {
            links: (0..slots * slots).map(link).collect(),
            slots,
            groups: Vec::new(),
            delay: knobs.delay_us * 1000,
            loss: knobs.loss_permille,
            packet_loss: knobs.packet_loss_permille,
            duplicate: knobs.duplicate_permille,
            ordered: knobs.ordered == 1,
        }
    }

    /// Whether a message from `a` would get to `b` now.
    pub(super) fn is_open(&self, a: usize, b: usize) -> bool {
        let grouped = self.groups.is_empty() || self.groups.iter().any(|g| g.has(a) && g.has(b));
        grouped && !self.links[a * self.slots + b].cut
    }

    /// Whether anything is cut.
    pub(super) fn is_whole(&self) -> bool {
        self.groups.is_empty() && self.links.iter().all(|link| !link.cut)
    }

    /// Whether all links do what links should, but for loss by chance.
    pub(super) fn is_calm(&self, now: u64) -> bool {
        let ill = |link: &Link| link.cut || link.deaf || link.clogged_until > now;
        self.groups.is_empty() && !self.links.iter().any(ill)
    }

    /// Decides about a message that leaves at `now`.
    pub(super) fn send(&mut self, now: u64, a: usize, b: usize) -> Fate {
        if !self.is_open(a, b) {
            return Fate::default();
        }
        let (delay, ordered, packet_loss) = (self.delay, self.ordered, self.packet_loss);
        let link = &mut self.links[a * self.slots + b];
        if link.luck.permille(self.loss) {
            return Fate::default();
        }
        let arrival = |link: &mut Link| {
            let mut at = now + link.luck.around(delay) + link.sent_again(packet_loss);
            at = at.max(link.clogged_until);
            if ordered {
                at = at.max(link.last + 1);
                link.last = at;
            }
            Some(at)
        };
        let first = arrival(link);
        let second = if link.luck.permille(self.duplicate) { arrival(link) } else { None };
        Fate { first, second }
    }

    /// Decides about a datagram that leaves at `now`: datagrams overtake each other.
    pub(super) fn packet(&mut self, now: u64, a: usize, b: usize) -> Fate {
        let open = self.is_open(a, b);
        let (delay, loss, duplicate) = (self.delay, self.packet_loss, self.duplicate);
        let link = &mut self.links[a * self.slots + b];
        if !open || link.deaf || link.luck.permille(loss) {
            return Fate::default();
        }
        let arrival = |link: &mut Link| (now + link.luck.around(delay)).max(link.clogged_until);
        let first = Some(arrival(link));
        let second = if link.luck.permille(duplicate) { Some(arrival(link)) } else { None };
        Fate { first, second }
    }

    /// How long a piece of a stream takes that leaves at `now`; what is lost is sent again a little later.
    pub(super) fn stream_delay(&mut self, now: u64, a: usize, b: usize) -> u64 {
        let (delay, loss) = (self.delay, self.packet_loss);
        let link = &mut self.links[a * self.slots + b];
        let at = (now + link.luck.around(delay) + link.sent_again(loss)).max(link.clogged_until);
        at - now
    }

    /// Packets do not get from `a` to `b` any more.
    pub(super) fn deafen(&mut self, a: usize, b: usize) {
        if let Some(link) = self.link(a, b) {
            link.deaf = true;
        }
    }

    pub(super) fn partition(&mut self, groups: Vec<Group>) {
        self.groups = groups;
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        if let Some(link) = self.link(a, b) {
            link.cut = true;
        }
    }

    pub(super) fn clog(&mut self, a: usize, b: usize, until: u64) {
        if let Some(link) = self.link(a, b) {
            link.clogged_until = until;
        }
    }

    fn link(&mut self, a: usize, b: usize) -> Option<&mut Link> {
        if a < self.slots && b < self.slots { self.links.get_mut(a * self.slots + b) } else { None }
    }

    /// Undoes partitions, cuts and clogs.
    pub(super) fn mend(&mut self) {
        self.groups.clear();
        for link in &mut self.links {
            link.cut = false;
            link.deaf = false;
            link.clogged_until = 0;
        }
    }

    /// From now on nothing is lost, doubled or overtaken.
    pub(super) fn calm(&mut self) {
        self.mend();
        self.loss = 0;
        self.packet_loss = 0;
        self.duplicate = 0;
        self.ordered = true;
    }
}
