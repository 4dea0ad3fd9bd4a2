//! What a person sees while the demo runs: bars and the latest blows on a terminal, plain lines elsewhere. All of it goes to
//! standard error.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::text::thousands;

/// Between two plain lines about how far it is.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// How far it is.
pub struct Progress {
    began: Instant,
    bars: Option<Bars>,
    line_due: Instant,
}

struct Bars {
    all: MultiProgress,
    orders: ProgressBar,
    packets: ProgressBar,
}

impl Progress {
    /// Of so many orders.
    pub fn start(orders: u64) -> Progress {
        let began = Instant::now();
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let bar = |name| {
                let bar = all.add(ProgressBar::new(orders).with_prefix(name));
                if let Ok(style) =
                    ProgressStyle::with_template("{prefix:>11} {wide_bar} {human_pos}/{human_len}")
                {
                    bar.set_style(style);
                }
                bar
            };
            let (orders, packets) = (bar("orders"), bar("red packets"));
            Bars { all, orders, packets }
        });
        Progress { began, bars, line_due: began + LINE_INTERVAL }
    }

    /// Something happened.
    pub fn event(&self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.seconds());
        match &self.bars {
            // A terminal that cannot be written to shows nothing, and the table comes all the same.
            Some(bars) => drop(bars.all.println(line)),
            None => eprintln!("{line}"),
        }
    }

    /// So many orders and red packets are there.
    pub fn at(&mut self, orders: u64, packets: u64) {
        if let Some(bars) = &self.bars {
            bars.orders.set_position(orders);
            bars.packets.set_position(packets);
        } else if Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_INTERVAL;
            self.event(&format!("{} orders, {} red packets", thousands(orders), thousands(packets)));
        }
    }

    /// Since the start.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Takes the bars away.
    pub fn end(&self) {
        if let Some(bars) = &self.bars {
            bars.orders.finish_and_clear();
            bars.packets.finish_and_clear();
        }
    }
}
