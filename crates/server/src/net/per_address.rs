//! How many connections each client address has (`max.connections.per.ip`).

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// Counts open connections by address; clones count together.
#[derive(Clone)]
pub struct PerAddress {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    limit: usize,
}

impl PerAddress {
    /// At most `limit` connections from one address.
    pub fn new(limit: usize) -> PerAddress {
        PerAddress { open: Arc::default(), limit }
    }

    /// A place for one more connection from `address`; None if it has as many as it may.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { counted: self.clone(), address })
    }
}

/// Held by an open connection.
pub struct Place {
    counted: PerAddress,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.counted.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_another_ones_places() {
        let counted = PerAddress::new(1);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let place = counted.enter(a).unwrap();
        assert!(counted.enter(a).is_none());
        assert!(counted.enter(b).is_some());
        drop(place);
        assert!(counted.enter(a).is_some());
        assert!(counted.open.lock().is_empty(), "nothing is kept of who is gone");
    }
}
