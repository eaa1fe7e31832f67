// SPDX-License-Identifier: GPL-2.0

//! A unit of systemd that is to be active: what `carpctl require` says of it, and the check
//! that it is.

use crate::{
    carp_words::check_group,
    causes::{AMOUNT_MAX, GROUP_DEFAULT},
    check_file::{Command, Named, Settings, CAUSE_MAX},
    error::{usage, Result},
};
use std::{process, time::Duration};

/// What the name of a cause begins with.
const CAUSE_PREFIX: &str = "unit:";
/// What a unit's name ends with that has no ending.
const SERVICE: &str = ".service";
const SUFFIXES: [&str; 11] = [
    SERVICE,
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".device",
    ".swap",
    ".slice",
    ".scope",
];

#[derive(clap::Args)]
pub struct Words {
    /// The unit, a service if its name has no ending
    unit: String,
    /// A group; may be said several times
    #[arg(short, long = "group", value_name = "GROUP", default_value = GROUP_DEFAULT)]
    groups: Vec<String>,
    /// By how much, 1-255
    #[arg(long, value_name = "N", default_value_t = 1)]
    by: u32,
}

impl Words {
    /// The check whether it is active.
    pub fn named(&self) -> Result<Named> {
        for group in &self.groups {
            check_group(group)?;
        }
        if !(1..=AMOUNT_MAX).contains(&self.by) {
            return usage(format!(
                "--by \"{}\": a number of 1-{AMOUNT_MAX} is expected",
                self.by
            ));
        }
        let unit = whole(&self.unit);
        if !is_name(&unit) {
            return usage(format!("\"{}\" is no name of a unit", self.unit));
        }
        let words = ["is-active", "--", &unit].map(str::to_owned);
        Ok(Named {
            title: format!("unit {unit}"),
            cause: cause(&unit),
            prefix: format!("{unit} is "),
            settings: Settings {
                every: Duration::from_secs(1),
                // a restart that takes less than a second goes unnoticed
                fall: 2,
                demote: self.by,
                groups: self.groups.clone(),
                ..Settings::new(Command::Words("systemctl", words.into()))
            },
        })
    }
}

/// As systemctl(1) completes it.
fn whole(unit: &str) -> String {
    match SUFFIXES.iter().any(|suffix| unit.ends_with(suffix)) {
        true => unit.to_owned(),
        false => format!("{unit}{SERVICE}"),
    }
}

/// What systemd.unit(5) allows.
fn is_name(unit: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    unit.len() < 256 && !unit.starts_with(['.', '@']) && unit.bytes().all(is_fit)
}

/// The name of its cause. Of a long one the end is a number, so that two that begin alike are
/// two causes.
fn cause(unit: &str) -> String {
    let unit = unit.strip_suffix(SERVICE).unwrap_or(unit);
    let whole = format!("{CAUSE_PREFIX}{unit}");
    if whole.len() <= CAUSE_MAX {
        return whole;
    }
    // FNV-1a, which is the same tomorrow
    let hash = unit.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let end = format!("~{hash:08x}");
    let begin = whole.get(..CAUSE_MAX - end.len()).unwrap_or_default();
    format!("{begin}{end}")
}

/// The services that systemd knows, for completion; none, where it does not run.
pub fn services() -> Vec<String> {
    let listed = process::Command::new("systemctl")
        .args(["list-units", "--all", "--plain", "--no-legend", "--full"])
        .arg("--type=service")
        .stdin(process::Stdio::null())
        .output();
    let listed = listed.map_or(Vec::new(), |it| it.stdout);
    let listed = String::from_utf8_lossy(&listed);
    let units = listed.lines().filter_map(|line| line.split(' ').next());
    units.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(unit: &str) -> Result<Named> {
        let words = Words {
            unit: unit.into(),
            groups: vec!["carp".into()],
            by: 7,
        };
        words.named()
    }

    #[test]
    fn names_of_units_and_causes() {
        for (unit, title, cause) in [
            ("nginx", "unit nginx.service", "unit:nginx"),
            ("nginx.service", "unit nginx.service", "unit:nginx"),
            ("a.socket", "unit a.socket", "unit:a.socket"),
            ("pg@16-main", "unit pg@16-main.service", "unit:pg@16-main"),
            (
                "srv-a\\x2db.mount",
                "unit srv-a\\x2db.mount",
                "unit:srv-a\\x2db.mount",
            ),
            (
                "a-service-with-26-letters-",
                "unit a-service-with-26-letters-.service",
                "unit:a-service-with-26-letters-",
            ),
        ] {
            let named = named(unit).expect("is one");
            assert_eq!((&*named.title, &*named.cause), (title, cause));
            assert_eq!(named.settings.demote, 7);
        }
        for wrong in ["", "a b", "ü", "a/b", ".hidden", &"x".repeat(300)] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn long_names_stay_different() {
        let one = cause("openvpn-server@berlin-and-munich.service");
        let other = cause("openvpn-server@berlin-and-hamburg.service");
        assert_eq!(one.len(), CAUSE_MAX);
        assert!(one.starts_with("unit:openvpn-server@be~"), "{one}");
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
