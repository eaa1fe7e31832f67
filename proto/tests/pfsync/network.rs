// SPDX-License-Identifier: GPL-2.0

//! The network of the simulation: it loses, delays, doubles and reorders.

use carp_proto::pfsync::time::Instant;

use crate::common::at;
use crate::random::Random;

/// How bad the network is. Rates are per mille, times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub delay_max: u64,
    pub loss: u64,
    pub doubling: u64,
}

impl Weather {
    pub const FAIR: Self = Self {
        delay_max: 1,
        loss: 0,
        doubling: 0,
    };

    pub fn foul(random: &mut Random) -> Self {
        Self {
            delay_max: 1 + random.up_to(50),
            loss: random.up_to(250),
            doubling: random.up_to(200),
        }
    }
}

pub struct Network {
    pub now: u64,
    pub frames_sent: usize,
    pub states_sent: usize,
    random: Random,
    weather: Weather,
    on_the_way: Vec<(u64, usize, Vec<u8>)>,
}

impl Network {
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            now: 0,
            frames_sent: 0,
            states_sent: 0,
            random: Random::new(seed),
            weather,
            on_the_way: vec![],
        }
    }

    pub fn instant(&self) -> Instant {
        at(self.now)
    }

    pub fn send(&mut self, from: usize, frame: &[u8]) {
        self.frames_sent += 1;
        let copies = 1 + u64::from(self.random.chance(self.weather.doubling));
        for _ in 0..copies {
            if !self.random.chance(self.weather.loss) {
                let due = self.now + 1 + self.random.up_to(self.weather.delay_max - 1);
                self.on_the_way.push((due, 1 - from, frame.to_vec()));
            }
        }
    }

    /// What arrives at a host now.
    pub fn due(&mut self, to: usize) -> Vec<Vec<u8>> {
        let now = self.now;
        let mut arrived = vec![];
        self.on_the_way.retain_mut(|(due, host, frame)| {
            let arrives = *due <= now && *host == to;
            if arrives {
                arrived.push(std::mem::take(frame));
            }
            !arrives
        });
        arrived
    }
}
