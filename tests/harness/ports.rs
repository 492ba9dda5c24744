//! Ports of our own, so that a server can come back where it was.

use std::env::temp_dir;
use std::fs::{File, create_dir_all};
use std::net::{Ipv4Addr, TcpListener};

use crate::random::Random;

/// Below the ports from which Linux takes those of outgoing connections, and beside those that a supervised
/// nats-server takes.
const FIRST: usize = 10_000;
const COUNT: usize = 9_000;

/// A free port that no other test takes while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// A free one.
    ///
    /// # Panics
    /// When a hundred were not.
    pub fn free() -> Self {
        let claims = temp_dir().join(format!("frontdesk-ports-{}", rustix::process::getuid().as_raw()));
        create_dir_all(&claims).expect("could not make the folder of claimed ports");
        let mut random = Random::unseeded();
        for _ in 0..100 {
            let number = u16::try_from(FIRST + random.below(COUNT)).expect("it is a port");
            let claim = File::create(claims.join(number.to_string())).expect("could not claim a port");
            if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("a hundred ports were taken");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
